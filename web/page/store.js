/** The store itself: its name and size, export, import, and erasure. */
import { heading, labelled, pairs } from "./components.js";
import { button, fill, fillIfChanged, h } from "./dom.js";
import { chooseFile, erase, exportStore, openSample } from "./files.js";
import { formatBytes, count } from "./format.js";
import { notify, showError } from "./notices.js";

export function storeView(app) {
  const head = h("div", {});
  const space = h("div", {});
  const name = h("input", { name: "store", value: app.store, required: true, maxlength: 60 });
  const other = h("form", {
    class: "filters",
    onsubmit(event) {
      event.preventDefault();
      app.open(name.value).catch(showError);
    },
  }, labelled("Name of the store", name), h("button", {}, "Open this store"));
  const card = (title, text, ...more) => h("section", { class: "card" }, h("h2", {}, title), h("p", {}, text), more);
  const element = h("section", { class: "view" }, head, h("div", { class: "cards" },
    h("section", { class: "card" }, h("h2", {}, "Space"), space),
    card("Export", "The whole store as one file, for another browser or for the command line.",
      button("Export the store", () => exportStore(app))),
    card("Import", "A mob.db of meerkat-mob 0.5, or an exported store. You can also drop the file anywhere on this page.",
      h("div", { class: "actions" }, button("Choose a file", chooseFile), button("Open the sample", () => openSample(app)))),
    card("Other stores", "This browser can hold many stores. The address of the page names the open one.", other),
    card("Erase", "Delete everything in this store. Other stores are not affected.", button("Erase the store", () => erase(app), { class: "danger" }))));

  async function persist() {
    try {
      if (await navigator.storage.persist()) notify("The browser will keep this site's data until you delete it.");
      else notify("The browser declined. It depends on how often you visit this site; a bookmark may help. Export the store to be safe.");
      await showSpace();
    } catch (error) {
      showError(error);
    }
  }

  async function showSpace() {
    if (!app.durable) return fill(space, h("p", {}, "This store is in memory only: it is lost when the page closes."));
    if (!navigator.storage) return fill(space, h("p", {}, "This browser does not report it."));
    const [{ usage, quota }, persisted] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
    fill(space,
      pairs([["Used by this site", formatBytes(usage)], ["Available to this site", formatBytes(quota)],
        ["When disk space is short", persisted ? "the browser keeps the data" : "the browser may delete the data"]]),
      h("meter", { min: 0, max: quota, value: usage, "aria-label": "Used part of the space" }),
      !persisted && button("Ask the browser to keep the data", persist));
  }

  return {
    element,
    async refresh() {
      fillIfChanged(head, heading({
        title: `Store "${app.store}"`,
        facts: [app.durable ? "IndexedDB, in this browser" : "in memory only", count(app.overview.mobs.length, "mob"), count(app.overview.events, "event"),
          count(app.overview.runs, "run"), count(app.overview.profiles.length, "profile")],
      }));
      await showSpace();
    },
  };
}
