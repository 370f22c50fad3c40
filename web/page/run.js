/** The details of one run: its heading, and one tab below it. */
import { claimText, documentOf, empty, heading, leftOut, linkTo, openable, pairs } from "./components.js";
import { fill, fillIfChanged, h, pill, setTexts } from "./dom.js";
import { Explorer } from "./explorer.js";
import { count, formatTime, name, short, formatDuration } from "./format.js";
import { ledgerView } from "./ledger.js";
import { link } from "./route.js";
import { timelineView } from "./timeline.js";
import { treeView } from "./tree.js";

/** By tab: title, number of items, empty state, and view. */
const PARTS = new Map(Object.entries({
  "": {
    title: "Timeline", of: (run) => run.header.steps, view: timelineView,
    nothing: ["No steps yet", "Steps appear here when they are dispatched to members."],
  },
  tree: {
    title: "Frames and loops", of: (run) => run.tree.length, view: treeView,
    nothing: ["No frames", "This run has no frames or loops, only steps."],
  },
  ledger: {
    title: "Step ledger", counted: true, of: (run) => run.header.steps, view: (app, id) => ledgerView(app, id, "step", "Step ledger"),
    nothing: ["No entries", "Entries appear here when steps are dispatched and when they end."],
  },
  failures: {
    title: "Failures", counted: true, of: (run) => run.header.failures, view: (app, id) => ledgerView(app, id, "failure", "Failure ledger"),
    nothing: ["No failures", "Nothing has failed in this run."],
  },
  iterations: {
    title: "Iterations", counted: true, of: (run) => run.iterations, view: (app, id) => ledgerView(app, id, "iteration", "Loop iteration ledger"),
    nothing: ["No iterations", "No loop of this run has started an iteration."],
  },
  outputs: {
    title: "Outputs", counted: true, of: (run) => run.outputs, view: outputsView,
    nothing: ["No outputs", "No step of this run has an output."],
  },
  state: { title: "State", of: () => 1, view: stateView },
}));

export function runView(app, { run: id, tab = "" }) {
  const part = PARTS.get(tab) ?? PARTS.get("");
  const shown = part.view(app, id);
  const head = h("div", {});
  const nothing = h("div", {});
  return {
    element: h("section", { class: "view" }, head, nothing, shown.element),
    async refresh() {
      const run = await app.call("run", { run_id: id });
      fillIfChanged(head, headOf(run));
      shown.element.hidden = part.of(run) === 0;
      fill(nothing, shown.element.hidden && empty(...part.nothing));
      await shown.update(run);
    },
    close: () => shown.close?.(),
    title: `Run ${name(short(id))}`,
  };
}

function headOf(run) {
  const { run_id, mob_id, flow_id, status, created_at, completed_at, duration_ms, claim } = run.header;
  return heading({
    title: [name(flow_id), pill(status)],
    above: h("a", { href: link({ mob: mob_id, tab: "runs" }) }, `Runs of ${name(mob_id)}`),
    facts: [h("span", { class: "id" }, run_id), `created ${formatTime(created_at)}`, completed_at && `completed ${formatTime(completed_at)}`,
      duration_ms !== null && `took ${formatDuration(duration_ms)}`, `flow ${run.flow_phase}`, claimText(claim)].filter(Boolean),
    tabs: [...PARTS].map(([tab, { title, counted, of }]) => [counted ? `${title} ${count(of(run))}` : title, { run: run_id, tab }]),
    actions: [linkTo("Events of this run", { mob: mob_id, tab: "events", run: run_id }), linkTo("Race another tab", { page: "race" })],
  });
}

function outputsView(app, id) {
  let outputs = [];
  const more = h("div", {});
  const { list, element } = new Explorer({
    label: "Outputs", kind: "outputs", columns: ["Step", "Loop", "Iteration", "Output"], above: more, fill: row, details,
  });

  function row(cells, index) {
    const { step_id, loop_id, iteration, preview } = outputs[index];
    setTexts(cells, [name(step_id), loop_id ?? "", String(iteration ?? ""), preview]);
  }

  async function details(index) {
    const { step_id, loop_id, iteration, output } = outputs[index];
    return [name(step_id), pairs([["Loop", loop_id], ["Iteration", String(iteration ?? "")]]), await documentOf(app, output)];
  }

  return {
    element,
    async update() {
      const found = await app.call("outputs", { run_id: id });
      ({ outputs } = found);
      fill(more, leftOut(found.left_out, "outputs are", "the exported store has all of them"));
      list.update(outputs.length);
    },
  };
}

function stateView(app) {
  const element = h("div", { class: "openables" });
  let shown = "";
  return {
    element,
    async update({ flow_state, flow_phase, params, params_preview, extra }) {
      const now = JSON.stringify([flow_state, flow_phase, params_preview]);
      if (now === shown) return;
      shown = now;
      fill(element, openable(app, `Flow state: ${flow_phase}`, flow_state),
        openable(app, ["Parameters", h("span", { class: "preview" }, params_preview)], params),
        extra && openable(app, "Further keys", extra));
    },
  };
}
