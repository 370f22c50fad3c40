/** The ledgers of a run: steps, failures, and loop iterations. */
import { documentOf, pairs } from "./components.js";
import { h, pill, setStatus, setText, setTexts } from "./dom.js";
import { Explorer } from "./explorer.js";
import { count, formatTime, name } from "./format.js";
import { showError } from "./notices.js";

const PAGE = 100;
const COLUMNS = {
  step: ["#", "Time", "Step", "Member", "Status", "Output"],
  failure: ["#", "Time", "Step", "Reason"],
  iteration: ["#", "Loop", "Iteration", "Frame"],
};

export function ledgerView(app, runId, which, label) {
  const pages = []; // entries as last fetched
  let requests = new Map(); // promises of entries by page, since the last change of the store

  const found = h("p", { class: "found", role: "status" });
  const { list, element } = new Explorer({ label, kind: which, columns: COLUMNS[which], above: found, fill: row, settled, details });

  function page(number) {
    const current = requests;
    if (!requests.has(number)) {
      requests.set(number, app.call("ledger", { run_id: runId, which, offset: number * PAGE, limit: PAGE }).then(({ entries }) => {
        if (current === requests) pages[number] = entries;
        list.refill();
        return entries;
      }));
    }
    return requests.get(number);
  }

  function row(cells, index) {
    const found = pages[Math.floor(index / PAGE)]?.[index % PAGE];
    setText(cells[0], String(index));
    if (!found) return setTexts(cells.slice(1), cells.slice(1).fill(""));
    const { step_id, member_id, status, timestamp_at, reason, preview, loop_instance_id, iteration, frame_id } = found;
    if (which === "iteration") return setTexts(cells.slice(1), [loop_instance_id, iteration, frame_id]);
    setTexts(cells.slice(1), [formatTime(timestamp_at), name(step_id), which === "failure" ? reason : name(member_id)]);
    if (which === "failure") return;
    setStatus(cells[4], status);
    setText(cells[5], preview === "null" ? "" : preview);
  }

  function settled(first, end) {
    for (let number = Math.floor(first / PAGE); number * PAGE < end; number++) page(number).catch(showError);
  }

  async function details(index) {
    const found = (await page(Math.floor(index / PAGE)))[index % PAGE];
    const { step_id, member_id, status, timestamp_at, reason, loop_instance_id, iteration, frame_id, entry } = found;
    if (which === "iteration") return [`Iteration ${iteration}`, pairs([["Loop", loop_instance_id], ["Frame", frame_id]])];
    const facts = pairs([["Member", member_id], ["Status", status && pill(status)], ["Time", formatTime(timestamp_at)]]);
    return [name(step_id), facts, which === "step" ? await documentOf(app, entry) : h("pre", { class: "reason" }, reason)];
  }

  return {
    element,
    async update(run) {
      const total = { step: run.header.steps, failure: run.header.failures, iteration: run.iterations }[which];
      requests = new Map();
      setText(found, count(total, "entry", "entries"));
      list.update(total);
    },
  };
}
