/** The shell: starts Python, opens the store, shows what the address names, and shows it anew when the store changes. */
import { Player, demoView } from "./demo.js";
import { button, fill, h, renew, say } from "./dom.js";
import { eventsView } from "./events.js";
import { contents, setUpFiles } from "./files.js";
import { count, cut, name, visible } from "./format.js";
import { LISTED, definitionView, mobsView, profilesView } from "./mobs.js";
import { LIMIT, atWork, busy, job, news, problem } from "./notices.js";
import { empty, heading, linkTo } from "./parts.js";
import { invited, raceView } from "./race.js";
import { rosterView } from "./roster.js";
import { link, note, route, storeName } from "./route.js";
import { Failure, Rpc } from "./rpc.js";
import { runView } from "./run.js";
import { runsView } from "./runs.js";
import { storeView } from "./store.js";
import { Tabs } from "./tabs.js";

const byId = (id) => document.getElementById(id);
const main = byId("main");
const OF_MOB = new Map([["runs", runsView], ["definition", definitionView]]); // by tab
let view = null;
let refreshing = null; // the refresh under way
let again = false; // whether it must be followed by another
let changed = true; // whether the store changed since the overview was read

let opening = Promise.resolve(); // a store that is being opened; calls wait for it
let rpc;
const app = { call: (...call) => opening.then(() => rpc.call(...call)), open, stop };

/** What the address names. */
function viewOf(place) {
  if (place.page === "store") return storeView(app);
  if (place.page === "demo") return demoView(app);
  if (place.page === "race") return raceView(app, place);
  if (place.run !== undefined && place.mob === undefined) return runView(app, place);
  if (place.tab === "events") return eventsView(app, place);
  if (place.mob === undefined) return place.tab === "profiles" ? profilesView(app) : mobsView(app);
  return (OF_MOB.get(place.tab) ?? rosterView)(app, place);
}

async function show() {
  const first = view === null;
  const tabbing = main.contains(document.activeElement) && document.activeElement.closest(".tabs");
  view?.close?.();
  view = viewOf(route());
  fill(main, view.element);
  main.setAttribute("aria-busy", "true");
  await refresh();
  main.removeAttribute("aria-busy");
  for (const current of document.querySelectorAll("[aria-current]")) current.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${visible(cut(view.title ?? main.querySelector("h1")?.textContent ?? "Mobs", 100))} – mobstore inspector`;
  if (tabbing) main.querySelector(".tabs [aria-current]")?.focus();
  else if (!first && document.activeElement === document.body) main.focus({ preventScroll: true });
}

/** Read what is shown; changes that come meanwhile lead to one more round. */
function refresh() {
  again = true;
  return (refreshing ??= (async () => {
    while (again) {
      again = false;
      try {
        if (changed) await look();
        sidebar();
        await view.refresh();
      } catch (error) {
        if (again) continue; // something else may be shown by now
        if (error.kind === "gone") fill(main, gone(error));
        else problem(error);
      }
    }
    refreshing = null;
  })());
}

async function look() {
  changed = false;
  try {
    app.overview = await app.call("overview");
  } catch (error) {
    changed = true;
    throw error;
  }
}

const gone = ({ message, wayOut }) => h("section", { class: "view" }, heading({ title: "Not here" }),
  empty(message, wayOut, linkTo("All mobs", {})));

function sidebar() {
  const place = route();
  const entry = (text, target, ...more) => h("li", {},
    h("a", { href: link(target), "aria-current": link(target) === link(here(place)) && "page" }, h("span", {}, text), more));
  const events = (number) => [" ", h("span", { class: "number" }, count(number), h("span", { class: "hidden" }, " events"))];
  renew(byId("mobs"), entry("All mobs", {}, events(app.overview.events)),
    app.overview.mobs.slice(0, LISTED).map((mob) => entry(name(mob.mob_id), { mob: mob.mob_id }, events(mob.events))));
  renew(byId("tools"), entry("Play a flow", { page: "demo" }), entry("Race another tab", { page: "race" }), entry("Store", { page: "store" }));
}

const here = ({ mob, page, run }) => (page ? { page } : mob !== undefined ? { mob } : run !== undefined ? { run } : {});

/** Open a store of this browser and show it. */
async function open(store) {
  await opened(`indexeddb:${store}`, store);
}

async function opened(url, store) {
  rpc.changed = () => {}; // what is being left is not read again
  await refreshing;
  const answer = rpc.call("open", { url });
  opening = answer.catch(() => {});
  const { durable } = await answer;
  app.tabs?.close();
  Object.assign(app, { url, store, durable, log: undefined, tabs: new Tabs(durable ? store : "") });
  app.player = new Player(app);
  changed = true;
  rpc.changed = () => {
    changed = true;
    refresh();
  };
  app.tabs.addEventListener("race", ({ detail }) => durable && invited(app, detail.run_id).catch(problem));
  const address = new URL(location.href);
  if (durable && storeName() !== store) {
    address.searchParams.set("store", store);
    address.hash = "";
    history.pushState(null, "", address);
  }
  say(byId("where"), `Store: ${store}${durable ? "" : " (in memory only)"}`);
  await show();
}

/**
 * End whatever Python does, by ending Python, and open the store anew. A transaction that was not committed leaves nothing.
 * @param {string} [why]  what to say
 */
async function stop(why = "Stopped.") {
  const { url, store, durable } = app;
  if (!atWork()) note({ page: "store" }); // what was looked at may take as long again
  rpc.changed = () => {};
  rpc.stop();
  await job("Starting Python anew", () => opened(url, store));
  if (changed) return; // it is not known what the store holds; a failure has been shown
  const holds = app.overview.empty ? "is empty: nothing was imported" : `holds ${contents(app)}`;
  news(`${why} The store "${store}" ${holds}.${durable ? "" : " It was in memory only, and is a new one."}`);
}

/** Light or dark as chosen here, else as the system has it. */
function setUpTheme() {
  const chosen = byId("theme");
  chosen.value = localStorage.theme ?? "";
  const theme = () => {
    if (chosen.value) localStorage.theme = document.documentElement.dataset.theme = chosen.value;
    else {
      delete localStorage.theme;
      delete document.documentElement.dataset.theme;
    }
    dispatchEvent(new Event("theme"));
  };
  chosen.onchange = theme;
  matchMedia("(prefers-color-scheme: dark)").onchange = theme;
  theme();
}

async function begin() {
  setUpTheme();
  byId("skip").onclick = (event) => {
    event.preventDefault(); // the address is ours
    main.focus();
  };
  if (globalThis.top !== globalThis) {
    return fill(main, h("section", { class: "view" }, heading({ title: "Not shown in a frame" }),
      empty("This page is inside another page", "What another page lays around or over this one could lead you to erase or export a store unawares.",
        linkTo("Open it in a tab of its own", route(), { target: "_blank", rel: "noopener" }))));
  }
  if (!globalThis.WebAssembly || !globalThis.Worker || !globalThis.BroadcastChannel) {
    throw new Failure({
      kind: "browser", message: "This browser cannot run Python: it lacks WebAssembly, workers or broadcast channels.",
      way_out: "Use a current Chromium, Firefox or Safari, outside of any locked-down mode.",
    });
  }
  rpc = new Rpc(({ done, total, text }) => {
    Object.assign(byId("boot-bar") ?? {}, { max: total, value: done });
    if (byId("boot-text")) say(byId("boot-text"), text);
  });
  rpc.silent = (seconds) => {
    busy(seconds, stop);
    if (seconds >= LIMIT && atWork()) stop(`Stopped after ${LIMIT} seconds without progress.`);
  };
  setUpFiles(app);
  addEventListener("hashchange", () => show().catch(problem));
  addEventListener("popstate", () => storeName() !== app.store && location.reload());
  await open(storeName());
  byId("open-file").disabled = false;
}

begin().catch((error) => {
  byId("boot")?.classList.add("stopped");
  const inMemory = button("Go on without keeping anything", () => opened("memory:", "memory").catch(problem));
  problem(error, !["load", "worker", "browser"].includes(error.kind) && inMemory);
});
