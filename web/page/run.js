/** One run in depth: its head, and below it one of its parts. */
import { fill, h, pill, renew, say } from "./dom.js";
import { Explorer } from "./explorer.js";
import { count, moment, name, short, span } from "./format.js";
import { ledgerView } from "./ledger.js";
import { documentOf, empty, heading, openable, pairs } from "./parts.js";
import { link } from "./route.js";
import { timelineView } from "./timeline.js";
import { treeView } from "./tree.js";

export function runView(app, { run: id, tab = "" }) {
  const head = h("div", {});
  const nothing = h("div", {});
  const element = h("section", { class: "view" }, head, nothing);
  const part = {
    "": timelineView, tree: treeView, outputs: outputsView, state: stateView,
    ledger: (app, id) => ledgerView(app, id, "step", "Step ledger"),
    failures: (app, id) => ledgerView(app, id, "failure", "Failure ledger"),
    iterations: (app, id) => ledgerView(app, id, "iteration", "Loop iteration ledger"),
  }[tab]?.(app, id) ?? timelineView(app, id);
  element.append(part.element);

  return {
    element,
    async refresh() {
      const run = await app.call("run", { run_id: id });
      const { header } = run;
      renew(head, heading({
        title: [name(header.flow_id), pill(header.status)],
        above: [h("a", { href: link({ mob: header.mob_id, tab: "runs" }) }, `Runs of ${name(header.mob_id)}`)],
        facts: [h("span", { class: "id" }, header.run_id), `created ${moment(header.created_at)}`, header.completed_at && `completed ${moment(header.completed_at)}`,
          header.duration_ms !== null && `took ${span(header.duration_ms)}`, `flow ${run.flow_phase}`].filter(Boolean),
        tabs: [["Timeline", { run: id }], ["Frames and loops", { run: id, tab: "tree" }], [`Step ledger ${count(header.steps)}`, { run: id, tab: "ledger" }],
          [`Failures ${count(header.failures)}`, { run: id, tab: "failures" }], [`Iterations ${count(run.iterations)}`, { run: id, tab: "iterations" }],
          [`Outputs ${count(run.outputs)}`, { run: id, tab: "outputs" }], ["State", { run: id, tab: "state" }]],
        actions: [h("a", { class: "button", href: link({ mob: header.mob_id, tab: "events", run: id }) }, "Its events"), h("a", { class: "button", href: link({ page: "race" }) }, "Race another tab")],
      }));
      const bare = { "": header.steps === 0, tree: run.tree.length === 0, ledger: header.steps === 0, failures: header.failures === 0, iterations: run.iterations === 0, outputs: run.outputs === 0 }[tab];
      part.element.hidden = !!bare;
      fill(nothing, bare && empty(...NOTHING[tab]));
      await part.update(run);
    },
    close: () => part.close?.(),
    title: `Run ${short(id)}`,
  };
}

const NOTHING = {
  "": ["No steps yet", "Steps appear here when they are dispatched to members."],
  tree: ["No frames", "This run has no frames or loops: its steps run by themselves."],
  ledger: ["No entries", "The ledger grows when steps are dispatched and end."],
  failures: ["No failures", "Nothing has failed in this run."],
  iterations: ["No iterations", "No loop of this run has begun an iteration."],
  outputs: ["No outputs", "No step of this run has put anything out."],
};

function outputsView(app, id) {
  let outputs = [];
  const { list, element } = new Explorer({ label: "Outputs", kind: "outputs", columns: ["Step", "Loop", "Iteration", "Output"], fill: row, details });

  function row(cells, index) {
    const { step_id, loop_id, iteration, preview } = outputs[index];
    [name(step_id), loop_id === null ? "" : name(loop_id), iteration === null ? "" : String(iteration), preview].forEach((text, column) => say(cells[column], text));
  }

  async function details(index) {
    const { step_id, loop_id, iteration, output } = outputs[index];
    return [name(step_id), pairs([["Loop", loop_id], ["Iteration", iteration === null ? "" : String(iteration)]]), await documentOf(app, output)];
  }

  return {
    element,
    async update() {
      ({ outputs } = await app.call("outputs", { run_id: id }));
      list.update(outputs.length);
    },
  };
}

function stateView(app) {
  const element = h("div", { class: "openables" });
  let shown = "";
  return {
    element,
    async update(run) {
      const now = JSON.stringify([run.flow_state, run.flow_phase, run.params_preview]);
      if (now === shown) return;
      shown = now;
      fill(element, openable(app, `Flow state: ${run.flow_phase}`, run.flow_state), openable(app, ["Parameters", h("span", { class: "preview" }, run.params_preview)], run.params));
    },
  };
}
