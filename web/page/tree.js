/** The frames and loop iterations of a run as a tree, with the statuses of their nodes. */
import { leftOut, openable, pairs } from "./components.js";
import { fill, h, pill, setStatus, setText } from "./dom.js";
import { Explorer } from "./explorer.js";
import { name } from "./format.js";
import { showError } from "./notices.js";

const CHIPS = 50; // nodes shown in a row

export function treeView(app, runId) {
  let tree = [];
  let shown = []; // positions of the branches that no collapsed branch hides
  const closed = new Set();
  let nodes = new Map(); // by frame id

  const more = h("div", {});
  const { list, element } = new Explorer({
    label: "Frames and loops", kind: "tree", columns: ["Frame or loop", "Phase", "Nodes"], above: more, fill: row, settled, expand, details,
  });

  const holds = (place) => tree[place + 1]?.depth > tree[place].depth;

  function arrange() {
    shown = [];
    for (let place = 0, hidden = Infinity; place < tree.length; place++) {
      if (tree[place].depth > hidden) continue;
      hidden = closed.has(tree[place].id) ? tree[place].depth : Infinity;
      shown.push(place);
    }
    list.update(shown.length);
  }

  function expand(index, open) {
    const branch = tree[shown[index]];
    if (!open && (closed.has(branch.id) || !holds(shown[index]))) {
      const parent = shown.findLastIndex((place, other) => other < index && tree[place].depth < branch.depth);
      if (parent >= 0) list.go(parent);
      return;
    }
    if (open) closed.delete(branch.id);
    else closed.add(branch.id);
    arrange();
  }

  function row(cells, index, row) {
    const place = shown[index];
    const branch = tree[place];
    row.setAttribute("aria-level", branch.depth + 1);
    if (holds(place)) row.setAttribute("aria-expanded", !closed.has(branch.id));
    else row.removeAttribute("aria-expanded");
    cells[0].style.paddingInlineStart = `${Math.min(branch.depth, 8) * 1.25}rem`;
    fill(cells[0], h("span", { class: "twist", "aria-hidden": "true" }), title(branch));
    setStatus(cells[1], branch.phase.toLowerCase());
    const states = nodes.get(branch.id);
    if (branch.of === "loop") setText(cells[2], "loop");
    else fill(cells[2], states?.slice(0, CHIPS).map(chip), states?.length > CHIPS && "…");
  }

  const chip = ({ node_id, status }) => h("span", { class: "node", "data-status": status.toLowerCase(), title: `${name(node_id)}: ${status}` }, name(node_id));

  const title = (branch) => (branch.iteration === null ? name(branch.label) : `${name(branch.label)} (iteration ${branch.iteration})`);

  async function settled(first, end) {
    const frames = shown.slice(first, end).map((place) => tree[place]).filter((branch) => branch.of === "frame" && !nodes.has(branch.id));
    if (frames.length === 0) return;
    try {
      await fetchNodes(frames.map((frame) => frame.id));
      list.refill();
    } catch (error) {
      showError(error);
    }
  }

  async function fetchNodes(ids) {
    const into = nodes;
    for (const id of ids) into.set(id, into.get(id)); // requested
    for (const frame of (await app.call("nodes", { run_id: runId, frame_ids: ids })).frames) into.set(frame.frame_id, frame.nodes);
  }

  async function details(index) {
    const branch = tree[shown[index]];
    if (branch.of === "frame" && !nodes.get(branch.id)) await fetchNodes([branch.id]);
    const states = nodes.get(branch.id) ?? [];
    return [title(branch), pairs([["Kind", branch.of], ["Id", branch.id], ["Phase", branch.phase], ["Iteration", branch.iteration]]),
      states.length > 0 && h("table", {}, h("caption", {}, "Nodes"),
        h("thead", {}, h("tr", {}, ["Node", "Kind", "Status", "After"].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, states.map(({ node_id, kind, status, depends_on }) => h("tr", {}, h("th", { scope: "row" }, node_id),
          [kind, pill(status.toLowerCase()), depends_on.join(", ")].map((cell) => h("td", {}, cell)))))),
      openable(app, "Kernel state", branch.state)];
  }

  return {
    element,
    async update(run) {
      tree = run.tree;
      fill(more, leftOut(run.tree_left_out, "frames and loops are", "the exported store has all of them"));
      nodes = new Map();
      arrange();
    },
  };
}
