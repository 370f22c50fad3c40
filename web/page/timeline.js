/**
 * The timeline of a run, one lane for each member. The canvas has the size of the visible part and stays in place while its
 * container scrolls. A list below it holds the same steps for keyboards and screen readers.
 */
import { leftOut, openable, pairs } from "./components.js";
import { button, fill, h, pill, setStatus, setTexts } from "./dom.js";
import { Drawing } from "./drawing.js";
import { Explorer } from "./explorer.js";
import { count, formatTime, name, formatDuration, visible } from "./format.js";

const STATUSES = ["dispatched", "completed", "failed", "skipped", "canceled"];

export function timelineView(app, runId) {
  let line = { members: [], bars: [], start_ms: null, end_ms: null };
  let zoom = 1;
  let frame = 0;

  const canvas = h("canvas", { role: "img" });
  const drawing = new Drawing(canvas);
  const spacer = h("div", {}, canvas);
  const scroller = h("div", { class: "timeline", tabindex: 0, role: "group", "aria-label": "Timeline; arrow keys scroll", onscroll: scheduleDraw }, spacer);
  const legend = h("ul", { class: "legend", "aria-label": "Colours" }, STATUSES.map((status) => h("li", {}, pill(status))));
  const more = h("div", {});
  const tools = h("div", { class: "line" }, legend, h("div", { class: "actions" },
    button("Zoom out", () => magnify(0.5)), button("Zoom in", () => magnify(2)), button("Whole run", () => magnify(0))));
  const { list, element } = new Explorer({
    label: "Steps", kind: "bars", columns: ["Start", "Step", "Member", "Status", "Took"], above: [tools, scroller, more], fill: row, details,
  });

  function magnify(by) {
    const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / (spacer.offsetWidth || 1);
    zoom = by === 0 ? 1 : Math.min(5000, Math.max(1, zoom * by));
    size();
    scroller.scrollLeft = middle * spacer.offsetWidth - scroller.clientWidth / 2;
  }

  function setViewport() {
    const { scrollLeft: left, scrollTop: top, clientWidth: width, clientHeight: tall } = scroller;
    return drawing.setViewport({ left, top, width, tall, zoom });
  }

  function size() {
    if (line.start_ms === null) return;
    spacer.style.width = `${setViewport()}px`;
    spacer.style.height = `${drawing.height}px`;
    scheduleDraw();
  }

  function scheduleDraw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (!scroller.clientWidth || line.start_ms === null) return;
      setViewport();
      const { color, backgroundColor, fontFamily } = getComputedStyle(scroller);
      const status = new Map();
      for (const { firstChild: mark } of legend.children) status.set(mark.dataset.status, getComputedStyle(mark).color);
      drawing.draw({ ground: backgroundColor, text: color, font: fontFamily, current: list.current, status });
    });
  }

  const hit = (event) => drawing.hit(event.offsetX, event.offsetY);
  canvas.onclick = (event) => hit(event) >= 0 && list.go(hit(event), true);
  canvas.onpointermove = (event) => {
    const bar = line.bars[hit(event)];
    canvas.title = bar ? visible(`${name(bar.step_id)} by ${name(line.members[bar.lane])}: ${bar.status}, ${took(bar)}`) : "";
  };

  const took = (bar) => (bar.start_ms === null || bar.end_ms === null ? "not ended" : formatDuration(bar.end_ms - bar.start_ms));

  function row(cells, index) {
    const bar = line.bars[index];
    const start = bar.start_ms === null ? "–" : `+${formatDuration(bar.start_ms - line.start_ms)}`;
    setTexts(cells, [start, name(bar.step_id), name(line.members[bar.lane]), undefined, took(bar)]);
    setStatus(cells[3], bar.status);
  }

  async function details(index) {
    const bar = line.bars[index];
    const distance = drawing.scrollTo(index);
    scroller.scrollBy(distance.left, distance.top);
    scheduleDraw();
    const positions = bar.first === bar.last ? [bar.first] : [bar.first, bar.last];
    const entries = (await Promise.all(positions.map((offset) => app.call("ledger", { run_id: runId, which: "step", offset, limit: 1 }))))
      .flatMap(({ entries }) => entries);
    return [name(bar.step_id), pairs([["Member", name(line.members[bar.lane])], ["Status", pill(bar.status)], ["Took", took(bar)]]),
      entries.map((entry) => openable(app, `${entry.status}, ${formatTime(entry.timestamp_at)}`, entry.entry, entry === entries.at(-1)))];
  }

  new ResizeObserver(size).observe(scroller);
  addEventListener("theme", scheduleDraw);
  return {
    element,
    async update(run) {
      line = run.timeline;
      drawing.setTimeline(line);
      const label = `${count(line.bars.length, "step")} by ${count(line.members.length, "member")}; the list below holds the same`;
      canvas.setAttribute("aria-label", label);
      scroller.hidden = tools.hidden = line.start_ms === null || line.bars.length === 0;
      scroller.style.setProperty("--tall", `${drawing.height}px`);
      fill(more, leftOut(line.left_out, "entries are", "the step ledger has all of them"));
      size();
      list.update(line.bars.length);
    },
    close: () => removeEventListener("theme", scheduleDraw),
  };
}
