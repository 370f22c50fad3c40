/** The store itself: where it is kept, how much room it takes, going out, coming in, and being erased. */
import { button, fill, h, renew } from "./dom.js";
import { chooseFile, erase, exportStore, openSample } from "./files.js";
import { bytes, count } from "./format.js";
import { news, problem } from "./notices.js";
import { heading, labelled, pairs } from "./parts.js";

export function storeView(app) {
  const head = h("div", {});
  const room = h("div", {});
  const name = h("input", { name: "store", value: app.store, required: true, maxlength: 60 });
  const other = h("form", {
    class: "filters",
    onsubmit(event) {
      event.preventDefault();
      app.open(name.value).catch(problem);
    },
  }, labelled("Name of the store", name), h("button", {}, "Open this store"));
  const card = (title, text, ...more) => h("section", { class: "card" }, h("h2", {}, title), h("p", {}, text), more);
  const element = h("section", { class: "view" }, head, h("div", { class: "cards" },
    h("section", { class: "card" }, h("h2", {}, "Space"), room),
    card("Export", "The whole store as one file, for another browser, or for the command line on this machine.",
      button("Export the store", () => exportStore(app))),
    card("Import", "A mob.db of meerkat-mob 0.5, or a store exported here. You can also drop it anywhere on this page.",
      h("div", { class: "actions" }, button("Choose a file", chooseFile), button("Open the sample", () => openSample(app)))),
    card("Other stores", "This browser can hold many. Each has a name, which is also in the address of the page.", other),
    card("Erase", "Everything in this store; other stores stay as they are.", button("Erase the store", () => erase(app), { class: "danger" }))));

  async function persist() {
    try {
      if (await navigator.storage.persist()) news("The browser will keep this site's data until you delete it.");
      else news("The browser did not agree. It decides by how often you visit; a bookmark may help. Export the store to be safe.");
      await showRoom();
    } catch (error) {
      problem(error);
    }
  }

  async function showRoom() {
    if (!app.durable) return fill(room, h("p", {}, "This store is in memory only: it is gone when the page closes."));
    if (!navigator.storage) return fill(room, h("p", {}, "This browser does not tell."));
    const [{ usage, quota }, persisted] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
    fill(room,
      pairs([["Used by this site", bytes(usage)], ["Available to this site", bytes(quota)],
        ["When disk space is short", persisted ? "the browser keeps it" : "the browser may delete it"]]),
      h("meter", { min: 0, max: quota, value: usage, "aria-label": "Part of the space that is used" }),
      !persisted && button("Ask the browser to keep it", persist));
  }

  return {
    element,
    async refresh() {
      renew(head, heading({
        title: `Store "${app.store}"`,
        facts: [app.durable ? "IndexedDB, in this browser" : "in memory only", count(app.overview.mobs.length, "mob"), count(app.overview.events, "event"),
          count(app.overview.runs, "run"), count(app.overview.profiles.length, "profile")],
      }));
      await showRoom();
    },
  };
}
