/** The event log: filters, a list of any length, and details of one event. Only the visible events are fetched. */
import { choice, documentOf, labelled, pairs } from "./components.js";
import { button, fill, fillIfChanged, h, setText, setTexts } from "./dom.js";
import { EventLog } from "./event-log.js";
import { Explorer } from "./explorer.js";
import { count, formatTime, name, short, words } from "./format.js";
import { allHeading, mobHeading, nothingYet } from "./mobs.js";
import { showError } from "./notices.js";
import { link, replaceRoute } from "./route.js";

const KEPT = 4000; // fetched events in the cache
const FILTERS = { type: "Kind", member: "Member", run: "Run" };

export function eventsView(app, place) {
  const whole = (app.log ??= new EventLog(app.call));
  const filter = { ...place };
  // The events of a run arrive long before the whole of a long log.
  let log = filter.run && whole.size === 0 ? new EventLog(app.call, filter.run) : whole;
  let lines = new Map(); // by cursor; null no longer exists
  let places = new Uint32Array(0);
  let texts = {}; // the names of the numbers in the columns
  let all = 0; // events of this mob
  let fetching = false;

  const head = h("div", {});
  const found = h("p", { role: "status" });
  const clear = button("Clear the filters", () => {
    for (const key of ["type", "member", "run", "text"]) delete filter[key];
    text.value = "";
    narrow();
    selects.forEach(options);
    text.focus();
  });
  const selects = Object.entries(FILTERS).map(([key, title]) => select(key, title));
  const text = h("input", {
    type: "search", placeholder: "kind, member, run", value: place.text ?? "", oninput: () => narrow("text", text.value),
  });
  const newest = h("input", {
    type: "checkbox", checked: place.order !== "old", onchange: () => narrow("order", newest.checked ? "" : "old"),
  });
  const filters = h("form", { class: "filters", role: "search", "aria-label": "Filter events", onsubmit: (event) => event.preventDefault() },
    selects.map(({ label }) => label), labelled("Contains", text), choice("Newest first", newest));
  const { list, element: body } = new Explorer({
    label: "Events", kind: "events", columns: ["Cursor", "Time", "Kind", "Member", "Run", "Content"],
    above: [filters, h("div", { class: "found" }, found, clear)], fill: row, settled, details,
  });
  const nothing = h("div", {});
  const element = h("section", { class: "view" }, head, nothing, body);

  function select(key, title) {
    const control = h("select", { onchange: () => narrow(key, control.value) });
    return { key, control, label: labelled(title, control) };
  }

  function options({ key, control }) {
    const tally = log.tally(key, place.mob);
    const shown = tally.map(([value, times]) => h("option", { value }, `${key === "type" ? words(value) : name(value)} (${count(times)})`));
    if (filter[key] && !tally.some(([value]) => value === filter[key])) shown.unshift(h("option", { value: filter[key] }, filter[key]));
    fillIfChanged(control, h("option", { value: "" }, "All"), shown);
    control.value = filter[key] ?? "";
  }

  function narrow(key, value) {
    if (key) filter[key] = value;
    replaceRoute(filter);
    search();
    list.element.scrollTop = 0;
  }

  const at = (index) => places[filter.order === "old" ? index : places.length - 1 - index];
  const cursorAt = (index) => log.columns.cursors[at(index)];
  const nameOf = (column, names, index) => {
    const number = log.columns[column][at(index)];
    return number < 0 ? "" : texts[names][number];
  };

  function grown(current) {
    texts = Object.fromEntries(Object.entries(log.numbers).map(([names, numbers]) => [names, [...numbers.keys()]]));
    if (log !== whole) all = app.overview.mobs.find(({ mob_id }) => mob_id === place.mob)?.events ?? app.overview.events;
    else all = place.mob === undefined ? log.size : log.find({ mob: place.mob }).length;
    search(current);
  }

  /** Switch from the events of a run to the whole log. */
  function switchToWhole() {
    const current = list.current < 0 ? undefined : cursorAt(list.current);
    log = whole;
    grown(current);
  }

  function search(current = list.current < 0 ? undefined : cursorAt(list.current)) {
    const { type, member, run, text } = filter;
    places = log.find({ mob: place.mob, type: type || undefined, member: member || undefined, run: run || undefined, text: text || undefined });
    const index = current === undefined ? -1 : places.findIndex((place) => log.columns.cursors[place] === current);
    list.update(places.length, index < 0 || filter.order === "old" ? index : places.length - 1 - index);
    clear.hidden = !(type || member || run || text);
    setText(found, places.length === all ? count(all, "event") : `${count(places.length)} of ${count(all, "event")}`);
  }

  function row(cells, index, row) {
    const event = lines.get(cursorAt(index));
    const type = nameOf("type", "types", index);
    const member = [nameOf("member", "members", index), nameOf("member2", "members", index)].filter(Boolean).join(", ");
    const status = statusOf(type);
    if (row.dataset.status !== status) row.dataset.status = status;
    const run = nameOf("run", "runs", index);
    const content = event ? event.preview.replace(`run_id=${run}`, "").replace(`meerkat_id=${member}`, "").trim() : "";
    setTexts(cells, [String(cursorAt(index)), event ? formatTime(event.timestamp_at) : "", words(type), member, short(run), content]);
  }

  async function settled(first, end) {
    if (fetching) return;
    const missing = [];
    for (let index = Math.max(0, first - 20); index < Math.min(places.length, end + 20); index++) {
      if (!lines.has(cursorAt(index))) missing.push(cursorAt(index));
    }
    if (missing.length === 0) return;
    fetching = true;
    try {
      const { events } = await app.call("events", { cursors: missing });
      if (lines.size > KEPT) lines = new Map();
      for (const cursor of missing) lines.set(cursor, null); // until it is found
      for (const event of events) lines.set(event.cursor, event);
    } catch (error) {
      return showError(error);
    } finally {
      fetching = false;
    }
    list.refill();
  }

  async function details(index) {
    const cursor = cursorAt(index);
    const [type, run, mob] = [nameOf("type", "types", index), nameOf("run", "runs", index), nameOf("mob", "mobs", index)];
    const { events: [event] } = await app.call("events", { cursors: [cursor] });
    return [words(type), pairs([
      ["Cursor", String(cursor)], ["Time", event && formatTime(event.timestamp_at)], ["Mob", h("a", { href: link({ mob }) }, name(mob))],
      ["Run", run && h("a", { href: link({ run }) }, run)],
    ]), event ? await documentOf(app, event.event) : h("p", {}, "This event no longer exists.")];
  }

  return {
    element,
    async refresh() {
      fillIfChanged(head, place.mob === undefined ? allHeading(app) : mobHeading(app, place.mob));
      body.hidden = app.overview.events === 0;
      fill(nothing, body.hidden && nothingYet(app));
      await log.update(() => grown());
      selects.forEach(options);
      if (log === whole) return;
      await whole.update(() => {});
      switchToWhole();
      selects.forEach(options);
    },
  };
}

function statusOf(type) {
  if (/failed|violation|escalation/.test(type)) return "failed";
  if (/completed/.test(type)) return "completed";
  if (/canceled|skipped|retired|unwired/.test(type)) return "canceled";
  return /started|dispatched|spawned/.test(type) ? "running" : "pending";
}
