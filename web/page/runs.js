/** The runs of a mob, newest first, fetched as they scroll into view. */
import { choice, claimText, empty, labelled, linkTo } from "./components.js";
import { fill, fillIfChanged, h, setStatus, setText, setTexts } from "./dom.js";
import { count, formatTime, name, short, formatDuration, visible } from "./format.js";
import { mobHeading } from "./mobs.js";
import { showError } from "./notices.js";
import { go, link, replaceRoute } from "./route.js";
import { VirtualList } from "./virtual-list.js";

const MOST = 500; // runs in one call
const STATUSES = ["pending", "running", "completed", "failed", "canceled"];

export function runsView(app, place) {
  const filter = { flow: place.flow ?? "", status: place.status ?? "", unclaimed: place.unclaimed ?? "" };
  let runs = [];
  let next = null;
  let total = 0;
  let turn = Promise.resolve();

  const head = h("div", {});
  const nothing = h("div", {});
  const [flows, statuses] = ["flow", "status"].map(select);
  const unclaimed = h("input", { type: "checkbox", checked: filter.unclaimed !== "", onchange: () => narrow("unclaimed", unclaimed.checked ? "yes" : "") });
  const found = h("p", { class: "found", role: "status" });
  const list = new VirtualList({
    label: "Runs", kind: "runs", columns: ["Run", "Flow", "Status", "Created", "Took", "Steps", "Failures", "Claim"],
    fill: row, settled: more, choose: (index, opened) => opened && runs[index] && go({ run: runs[index].run_id }),
  });
  const filters = h("form", { class: "filters", "aria-label": "Filter runs" }, labelled("Flow", flows), labelled("Status", statuses), choice("Unclaimed", unclaimed));
  const body = h("div", { class: "listing" }, filters, found, list.element);
  const element = h("section", { class: "view" }, head, nothing, body);

  function narrow(key, value) {
    filter[key] = value;
    replaceRoute({ ...place, ...filter });
    refresh().catch(showError);
  }

  function select(key) {
    const control = h("select", { onchange: () => narrow(key, control.value) });
    return control;
  }

  function options(control, key, values, counts = {}) {
    const all = new Set([...values, ...(filter[key] ? [filter[key]] : [])]);
    const title = (value) => name(value) + (Object.hasOwn(counts, value) ? ` (${count(counts[value])})` : "");
    fillIfChanged(control, h("option", { value: "" }, "All"), [...all].map((value) => h("option", { value }, title(value))));
    control.value = filter[key];
  }

  function row(cells, index, row) {
    const run = runs[index];
    if (!run) return cells.forEach((cell) => setText(cell, "")); // it has not come yet
    fill(cells[0], h("a", { href: link({ run: run.run_id }), tabindex: -1 }, short(run.run_id)));
    setStatus(cells[2], run.status);
    const claim = claimText(run.claim);
    row.toggleAttribute("data-claimed", claim !== "");
    cells[7].title = visible(claim); // it may be cut
    setTexts(cells, [undefined, name(run.flow_id), undefined, formatTime(run.created_at), formatDuration(run.duration_ms), count(run.steps), count(run.failures), claim]);
  }

  const page = (after, limit) => app.call("runs", {
    mob_id: place.mob, flow_id: filter.flow || null, status: filter.status || null, unclaimed: filter.unclaimed !== "", after, limit,
  });

  /** Run calls one after another, since each page starts where the last one ended. */
  const inTurn = (work) => (turn = turn.catch(() => {}).then(work));

  function more(_first, end) {
    inTurn(async () => {
      while (runs.length < end && next !== null) {
        const found = await page(next, MOST);
        runs.push(...found.runs);
        next = found.next_after;
        list.refill();
      }
    }).catch(showError);
  }

  async function refresh() {
    const mob = app.overview.mobs.find((mob) => mob.mob_id === place.mob);
    fillIfChanged(head, mobHeading(app, place.mob));
    body.hidden = !mob?.runs;
    fill(nothing, body.hidden && empty("No runs yet", "A run is one execution of a flow. Play the demo flow to watch one.",
      linkTo("Play a flow", { page: "demo" })));
    options(flows, "flow", mob?.flows ?? []);
    await inTurn(async () => {
      let counts;
      ({ runs, total, statuses: counts, next_after: next } = await page(null, Math.max(50, Math.min(runs.length, MOST))));
      options(statuses, "status", STATUSES, counts);
      setText(found, count(total, "run"));
      list.update(total);
    });
  }

  return { element, refresh };
}
