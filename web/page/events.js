/** The event log: filters, a list that grows as it scrolls, and details of one event. The store finds the events, page by page. */
import { choice, documentOf, labelled, pairs, suggestions } from "./components.js";
import { button, fill, fillIfChanged, h, setText, setTexts } from "./dom.js";
import { Explorer } from "./explorer.js";
import { count, formatTime, name, short, words } from "./format.js";
import { allHeading, mobHeading, nothingYet } from "./mobs.js";
import { showError } from "./notices.js";
import { link, replaceRoute } from "./route.js";

const PAGE = 200; // events
const AHEAD = 50; // events that are fetched before they are in view
const SPANS = new Map([["15m", ["Last 15 minutes", 900_000]], ["1h", ["Last hour", 3_600_000]], ["1d", ["Last day", 86_400_000]]]);
const MOST_KINDS = 200; // offered by the filter
const FILTERS = ["type", "member", "run", "since"];

export function eventsView(app, place) {
  const filter = { ...place };
  let events = []; // those found so far, in the order of the list
  let next = null; // the cursor where the page after them starts; null at the end
  let last = 0; // all events up to this cursor were considered
  let origin; // identifies the log
  let since = null; // the time of the filter, fixed for all pages
  let search = 0; // number of the current search
  let current = 0; // the cursor of the current row
  let turn = Promise.resolve();

  if (!SPANS.has(filter.since)) filter.since = timeOf(filter.since);

  const head = h("div", {});
  const found = h("p", { role: "status" });
  const clear = button("Clear the filters", () => {
    for (const key of FILTERS) delete filter[key];
    show();
    narrow();
    member.control.focus();
  });
  const kinds = kindsFilter((types) => narrow("type", types.join()));
  kinds.offer(app.eventTypes);
  const [member, run] = ["member", "run"].map((key) => suggestions((value) => narrow(key, value)));
  const from = h("input", { type: "datetime-local", onchange: () => narrow("since", timeOf(`${from.value}Z`)) });
  const fromTime = labelled("From (UTC)", from);
  const span = h("select", {
    onchange() {
      fromTime.hidden = span.value !== "from";
      narrow("since", span.value === "from" ? timeOf(`${from.value}Z`) : span.value);
    },
  }, [["", ["Any time"]], ...SPANS, ["from", ["From a time"]]].map(([value, [title]]) => h("option", { value }, title)));
  const newest = h("input", {
    type: "checkbox", checked: place.order !== "old", onchange: () => narrow("order", newest.checked ? "" : "old"),
  });
  const filters = h("form", { class: "filters", role: "search", "aria-label": "Filter events", onsubmit: (event) => event.preventDefault() },
    kinds.element, labelled("Member", member.control), labelled("Run", run.control), labelled("Time", span), fromTime,
    choice("Newest first", newest), member.list, run.list);
  const { list, element: body } = new Explorer({
    label: "Events", kind: "events", columns: ["Cursor", "Time", "Kind", "Member", "Run", "Content"],
    above: [filters, h("div", { class: "found" }, found, clear)], fill: row, settled, details,
  });
  const nothing = h("div", {});
  const element = h("section", { class: "view" }, head, nothing, body);
  show();

  /** Show the filter in its controls. */
  function show() {
    kinds.choose(filter.type ? filter.type.split(",") : []);
    member.control.value = filter.member ?? "";
    run.control.value = filter.run ?? "";
    span.value = filter.since && !SPANS.has(filter.since) ? "from" : filter.since ?? "";
    from.value = span.value === "from" ? filter.since.slice(0, 16) : "";
    fromTime.hidden = span.value !== "from";
  }

  function narrow(key, value) {
    if (key) filter[key] = value;
    replaceRoute(filter);
    list.element.scrollTop = 0;
    restart();
  }

  const restart = () => start().catch(showError);
  const isOld = () => filter.order === "old";
  const query = (range) => app.call("events", {
    mob_id: place.mob ?? null, run_id: filter.run || null, types: filter.type ? filter.type.split(",") : null, member: filter.member || null,
    since, limit: PAGE, ...range,
  });

  /** Run searches one after another, and skip those that a newer one has replaced. */
  function inTurn(work) {
    const mine = search;
    return (turn = turn.catch(() => {}).then(() => mine === search && work(() => mine !== search)));
  }

  /** Search from the beginning. */
  function start() {
    search++;
    return inTurn(async (replaced) => {
      since = SPANS.has(filter.since) ? new Date(Date.now() - SPANS.get(filter.since)[1]).toISOString() : filter.since || null;
      const page = await query({ newest_first: !isOld() });
      if (replaced()) return;
      ({ events, next, last, origin } = page);
      current = 0;
      grown(events);
    });
  }

  /** Add the page after the last row. */
  const more = () => inTurn(async (replaced) => {
    if (next === null) return;
    const page = await query(isOld() ? { after_cursor: next } : { before_cursor: next, newest_first: true });
    if (replaced()) return;
    if (page.origin !== origin) return void restart(); // in its turn
    events.push(...page.events);
    next = page.next;
    if (isOld()) last = page.last;
    grown(page.events);
  });

  /** Add the events that came since: on top with the newest first, else at the end. */
  const news = () => inTurn(async (replaced) => {
    if (isOld() && next !== null) return grown([]); // they come with the pages after the last row
    for (let after = last; after !== null; ) {
      const page = await query({ after_cursor: after });
      if (replaced()) return;
      if (page.origin !== origin) return void restart();
      if (isOld()) events.push(...page.events);
      else events.unshift(...page.events.toReversed());
      after = page.next;
      last = after ?? page.last;
      grown(page.events);
    }
  });

  /** Show the events found, of which some are new; the current row stays current. */
  function grown(some) {
    list.update(events.length, events.findIndex(({ cursor }) => cursor === current), next === null);
    kinds.offer(some.map(({ type }) => type));
    member.suggest(some.flatMap(({ members }) => members));
    run.suggest(some.map(({ run_id }) => run_id));
    const all = place.mob === undefined ? app.overview.events : app.overview.mobs.find(({ mob_id }) => mob_id === place.mob)?.events ?? 0;
    const filtered = FILTERS.some((key) => filter[key]);
    clear.hidden = !filtered;
    setText(found, !filtered ? count(all, "event") : `${count(events.length)}${next === null ? "" : " or more"} of ${count(all, "event")}`);
  }

  function row(cells, index, row) {
    const { cursor, timestamp_at, type, members, run_id, preview } = events[index];
    const status = statusOf(type);
    if (row.dataset.status !== status) row.dataset.status = status;
    const content = preview.replace(`run_id=${run_id}`, "").replace(`meerkat_id=${members[0]}`, "").trim();
    setTexts(cells, [String(cursor), formatTime(timestamp_at), words(type), members.join(", "), short(run_id ?? ""), content]);
  }

  function settled(_first, end) {
    if (next !== null && end + AHEAD > events.length) more().catch(showError);
  }

  async function details(index) {
    const { cursor, timestamp_at, type, run_id, mob_id, event } = events[index];
    current = cursor;
    const content = await documentOf(app, event).catch((error) => {
      if (error.kind !== "gone") throw error;
      return h("p", {}, "This event no longer exists.");
    });
    return [words(type), pairs([
      ["Cursor", String(cursor)], ["Time", formatTime(timestamp_at)], ["Mob", h("a", { href: link({ mob: mob_id }) }, name(mob_id))],
      ["Run", run_id && h("a", { href: link({ run: run_id }) }, run_id)],
    ]), content];
  }

  return {
    element,
    close() {
      search++; // what is under way ends with its page
    },
    async refresh() {
      fillIfChanged(head, place.mob === undefined ? allHeading(app) : mobHeading(app, place.mob));
      body.hidden = app.overview.events === 0;
      fill(nothing, body.hidden && nothingYet(app));
      await (search ? news() : start());
    },
  };
}

/** A disclosure with a check box for each kind of event; several can be chosen. Kinds that are not known are offered once they are met. */
function kindsFilter(changed) {
  const title = h("summary", {});
  const boxes = [];
  const fieldset = h("fieldset", {}, h("legend", { class: "hidden" }, "Kinds"));
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const close = (toTitle) => {
    element.open = false;
    if (toTitle) title.focus();
  };
  function summarize() {
    const types = chosen();
    setText(title, types.length === 0 ? "All" : types.length === 1 ? words(types[0]) : `${types.length} kinds`);
    title.setAttribute("aria-label", `Kind: ${title.textContent}`);
  }
  const element = h("details", {
    class: "kinds",
    onkeydown(event) {
      if (event.key !== "Escape" || !element.open) return;
      event.stopPropagation(); // it would close the details of an event
      close(true);
    },
    onfocusout: ({ relatedTarget }) => relatedTarget && !element.contains(relatedTarget) && close(false),
  }, title, fieldset);
  return {
    element: h("div", { class: "labelled" }, h("span", { "aria-hidden": "true" }, "Kind"), element),
    offer(types) {
      for (const value of types) {
        // An address lists kinds with commas between them.
        if (boxes.length === MOST_KINDS || value.includes(",") || boxes.some((box) => box.value === value)) continue;
        const box = h("input", { type: "checkbox", value, onchange: () => { summarize(); changed(chosen()); } });
        boxes.push(box);
        fieldset.append(choice(words(value), box));
      }
    },
    choose(types) {
      this.offer(types);
      for (const box of boxes) box.checked = types.includes(box.value);
      summarize();
    },
  };
}

/** The time in an address, as RFC 3339 in UTC; "" without one. */
function timeOf(text) {
  const time = new Date(text ?? NaN);
  return !Number.isNaN(time.getTime()) && time.getUTCFullYear() > 0 && time.getUTCFullYear() < 10_000 ? time.toISOString() : "";
}

function statusOf(type) {
  if (/failed|violation|escalation/.test(type)) return "failed";
  if (/completed/.test(type)) return "completed";
  if (/canceled|skipped|retired|unwired/.test(type)) return "canceled";
  return /started|dispatched|spawned/.test(type) ? "running" : "pending";
}
