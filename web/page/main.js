/** The application: starts Python, opens the store, shows the view of the address, and refreshes it when the store changes. */
import { empty, heading, linkTo } from "./components.js";
import { consoleView } from "./console.js";
import { ConsoleSession } from "./console-session.js";
import { Player, demoView } from "./demo.js";
import { button, fill, fillIfChanged, h, setText } from "./dom.js";
import { eventsView } from "./events.js";
import { contents, setUpFiles } from "./files.js";
import { count, cut, name, visible } from "./format.js";
import { LISTED, definitionView, mobsView, profilesView } from "./mobs.js";
import { LIMIT, isWorking, notify, runTask, showError, showSilence } from "./notices.js";
import { invited, raceView } from "./race.js";
import { rosterView } from "./roster.js";
import { link, replaceRoute, route, storeName } from "./route.js";
import { Failure, Rpc } from "./rpc.js";
import { runView } from "./run.js";
import { runsView } from "./runs.js";
import { recall, remember } from "./storage.js";
import { storeView } from "./store.js";
import { Tabs } from "./tabs.js";
import { workersView } from "./workers.js";

const byId = (id) => document.getElementById(id);
const main = byId("main");
const REST = 3; // times as long as the last refresh took
const OF_ALL = new Map([["profiles", profilesView], ["workers", workersView]]); // by tab
const OF_MOB = new Map([["runs", runsView], ["definition", definitionView]]); // by tab
let view = null;
let refreshing = null; // the active refresh
let again = false; // another refresh must follow
let updating = null; // the active update
let known = false; // the overview of this store was read
let changed = true; // the store changed since the overview was read
let filled = () => {}; // called after the first refresh of a view
let rested = 0; // when the store may be read again because it changed
let resting = 0; // the timer until then

let opening = Promise.resolve(); // the store being opened; calls wait for it
let rpc;
const app = { call: (...call) => opening.then(() => rpc.call(...call)), open, stop };

/** Create the view that the address names. */
function viewOf(place) {
  if (place.page === "store") return storeView(app);
  if (place.page === "demo" && app.player) return demoView(app); // no player and no console before a store is open
  if (place.page === "race") return raceView(app, place);
  if (place.page === "python" && app.console) return consoleView(app);
  if (place.tab === "events") return eventsView(app, place);
  if (place.run !== undefined && place.mob === undefined) return runView(app, place);
  if (place.mob === undefined) return (OF_ALL.get(place.tab) ?? mobsView)(app);
  return (OF_MOB.get(place.tab) ?? rosterView)(app, place);
}

async function show() {
  const first = view === null;
  const tabbing = main.contains(document.activeElement) && document.activeElement.closest(".tabs");
  view?.close?.();
  const current = (view = viewOf(route()));
  fill(main, current.element);
  main.setAttribute("aria-busy", "true");
  filled(); // ends the wait for the view before
  const wait = new Promise((resolve) => (filled = resolve));
  if (known) refresh();
  else update();
  await wait; // not for further rounds: on a slow machine the store may change in each
  if (changed) refreshInTime();
  if (view !== current) return;
  main.removeAttribute("aria-busy");
  for (const current of document.querySelectorAll("[aria-current]")) current.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${visible(cut(view.title ?? main.querySelector("h1")?.textContent ?? "Mobs", 100))} – mobstore inspector`;
  if (tabbing) main.querySelector(".tabs [aria-current]")?.focus();
  else if (!first && document.activeElement === document.body) main.focus({ preventScroll: true });
}

/** Refresh the view, with the overview that is known; calls that come meanwhile cause one more round. */
function refresh() {
  again = true;
  return (refreshing ??= (async () => {
    while (again) {
      again = false;
      const [current, done] = [view, filled];
      try {
        sidebar();
        await current.refresh();
      } catch (error) {
        if (again) continue; // another view may be shown by now
        if (error.kind === "gone") fill(main, notFound(error));
        else showError(error);
      }
      if (current === view) done();
    }
    refreshing = null;
  })());
}

/** Read the overview, then refresh what shows it. A view that is opened meanwhile does not wait, unless it is the first one of the store. */
function update() {
  return (updating ??= (async () => {
    const started = performance.now();
    changed = false;
    let failed = false;
    try {
      app.overview = await app.call("overview");
      known = true;
      await refresh();
    } catch (error) {
      failed = true;
      showError(error);
      if (!known) filled();
    }
    rested = performance.now() + REST * (performance.now() - started);
    updating = null;
    if (changed) refreshInTime();
    changed ||= failed;
  })());
}

/** Show changes of the store. Writers wait for reads, so most of the time belongs to them; a hidden page reads nothing. */
function refreshInTime() {
  changed = true;
  if (resting || updating || document.hidden) return;
  resting = setTimeout(() => {
    resting = 0;
    update();
  }, Math.max(0, rested - performance.now()));
}

const notFound = ({ message, wayOut }) => h("section", { class: "view" }, heading({ title: "Not found" }),
  empty(message, wayOut, linkTo("All mobs", {})));

function sidebar() {
  const place = route();
  const entry = (text, target, ...more) => h("li", {},
    h("a", { href: link(target), "aria-current": link(target) === link(here(place)) && "page" }, h("span", {}, text), more));
  const events = (number) => [" ", h("span", { class: "number" }, count(number), h("span", { class: "hidden" }, number === 1 ? " event" : " events"))];
  fillIfChanged(byId("mobs"), entry("All mobs", {}, events(app.overview.events)),
    app.overview.mobs.slice(0, LISTED).map((mob) => entry(name(mob.mob_id), { mob: mob.mob_id }, events(mob.events))));
  fillIfChanged(byId("tools"), entry("Play a flow", { page: "demo" }), entry("Python", { page: "python" }), entry("Race another tab", { page: "race" }),
    entry("Store", { page: "store" }));
}

const here = ({ mob, page, run }) => (page ? { page } : mob !== undefined ? { mob } : run !== undefined ? { run } : {});

/** Open a store of this browser and show it. */
async function open(store) {
  await opened(`indexeddb:${store}`, store);
}

async function opened(url, store) {
  rpc.changed = () => {}; // the old store is not read again
  while (updating || refreshing) await (updating ?? refreshing);
  clearTimeout(resting);
  resting = 0;
  const answer = rpc.call("open", { url });
  opening = answer.catch(() => {});
  const { durable, event_types: eventTypes } = await answer;
  app.tabs?.close();
  Object.assign(app, { url, store, durable, eventTypes, races: new Map(), tabs: new Tabs(durable ? store : "") });
  app.player = new Player(app);
  if (app.console?.url !== url) { // not if the page's own Python was restarted
    const stopped = app.console?.running;
    app.console?.close();
    if (stopped) notify(`Cell ${stopped.number} of the Python console was stopped, because the page shows another store now.`);
    app.console = new ConsoleSession(url);
  }
  known = false;
  changed = true;
  rpc.changed = refreshInTime;
  app.tabs.addEventListener("race", ({ detail }) => durable && invited(app, detail.run_id).catch(showError));
  const address = new URL(location.href);
  if (durable && storeName() !== store) {
    address.searchParams.set("store", store);
    address.hash = "";
    history.pushState(null, "", address);
  }
  setText(byId("where"), `Store: ${store}${durable ? "" : " (in memory only)"}`);
  await show();
}

/**
 * Stop all work by terminating Python, then reopen the store. An uncommitted transaction leaves no trace.
 * @param {string} [why]  the start of the notice
 */
async function stop(why = "Stopped.") {
  const { url, store, durable } = app;
  if (!isWorking()) replaceRoute({ page: "store" }); // the last view may take as long again
  rpc.changed = () => {};
  known = false;
  rpc.stop();
  await runTask("Restarting Python", () => opened(url, store));
  if (!known) return; // the overview could not be read, and an error is shown
  const holds = app.overview.empty ? "is empty: nothing was imported" : `holds ${contents(app.overview)}`;
  notify(`${why} The store "${store}" ${holds}.${durable ? "" : " It is a new one, since the old one was in memory only."}`);
}

/** Apply the chosen theme, by default that of the system. */
function setUpTheme() {
  const chosen = byId("theme");
  chosen.value = recall("theme") ?? "";
  const theme = () => {
    remember("theme", chosen.value || undefined);
    if (chosen.value) document.documentElement.dataset.theme = chosen.value;
    else delete document.documentElement.dataset.theme;
    dispatchEvent(new Event("theme"));
  };
  chosen.onchange = theme;
  matchMedia("(prefers-color-scheme: dark)").onchange = theme;
  theme();
}

async function begin() {
  setUpTheme();
  byId("skip").onclick = (event) => {
    event.preventDefault(); // the address names a view
    main.focus();
  };
  if (globalThis.top !== globalThis) {
    return fill(main, h("section", { class: "view" }, heading({ title: "Not shown in a frame" }),
      empty("This page is inside another page", "Another page could cover parts of this one and trick you into erasing or exporting a store.",
        linkTo("Open it in a new tab", route(), { target: "_blank", rel: "noopener" }))));
  }
  if (!globalThis.WebAssembly || !globalThis.Worker || !globalThis.BroadcastChannel) {
    throw new Failure({
      kind: "browser", message: "This browser cannot run Python: WebAssembly, workers or broadcast channels are missing.",
      way_out: "Use a current Chromium, Firefox or Safari, without a lockdown mode.",
    });
  }
  rpc = new Rpc(({ done, total, text }) => {
    Object.assign(byId("boot-bar") ?? {}, { max: total, value: done });
    if (byId("boot-text")) setText(byId("boot-text"), text);
  });
  rpc.silent = (seconds) => {
    showSilence(seconds, stop);
    if (seconds >= LIMIT && isWorking()) stop(`Stopped after ${LIMIT} seconds without progress.`);
  };
  setUpFiles(app);
  addEventListener("hashchange", () => show().catch(showError));
  addEventListener("visibilitychange", () => view && changed && refreshInTime());
  addEventListener("popstate", () => storeName() !== app.store && location.reload());
  await open(storeName());
  byId("open-file").disabled = false;
}

begin().catch((error) => {
  byId("boot")?.classList.add("stopped");
  const inMemory = button("Continue in memory only", () => opened("memory:", "memory").catch(showError));
  showError(error, !["load", "worker", "browser"].includes(error.kind) && inMemory);
});
