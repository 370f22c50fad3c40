/** One cell of the Python console: its source, what it prints, and its value or error. */
import { displayOf } from "./display.js";
import { h } from "./dom.js";
import { formatDuration, visibleLines } from "./format.js";

const MOST = 110_000; // printed characters; Python itself stops before
const STATUSES = { running: "running", completed: "completed", failed: "failed", canceled: "stopped" }; // texts

export class Cell {
  status = "running";
  #started = performance.now();
  #waiting = ""; // printed text that is not yet in the document
  #printed = 0;
  #output = h("pre", { class: "printed", tabindex: 0, "aria-label": "Printed text", hidden: true });
  #pill = h("span", { class: "pill" });
  #result = h("div", { class: "result" });

  constructor(number, source) {
    this.number = number;
    this.source = source;
    this.actions = h("div", { class: "actions" });
    this.element = h("li", { class: "cell", "aria-label": `Cell ${number}` },
      h("div", { class: "line" }, h("h2", {}, `Cell ${number}`, this.#pill), this.actions),
      text("source", "Source", source), this.#output, this.#result);
    this.#become("running");
  }

  /** Add printed text; it is shown once per frame, however often a cell prints. */
  print(printed) {
    if (this.#printed > MOST) return;
    this.#printed += printed.length;
    if (!this.#waiting) requestAnimationFrame(() => this.#flush());
    this.#waiting += printed;
  }

  #flush() {
    if (!this.#waiting) return;
    this.#output.hidden = false;
    const atEnd = this.#output.scrollHeight - this.#output.scrollTop - this.#output.clientHeight < 30;
    this.#output.append(visibleLines(this.#waiting));
    this.#waiting = "";
    if (atEnd) this.#output.scrollTop = this.#output.scrollHeight;
  }

  /** Show the result of the cell, and end it. */
  show({ error, text: value, display }, sheet) {
    if (error !== undefined) this.#result.append(text("problem", "Error", error));
    else if (value !== undefined) this.#result.append(text("value", "Value", value));
    else if (display !== undefined) this.#result.append(safeDisplay(sheet, display));
    this.#become(error === undefined ? "completed" : "failed");
  }

  /** End a cell that has no result, because Python was ended. */
  end(status, reason) {
    if (reason) this.#result.append(text("problem", "Error", reason));
    this.#become(status === "stopped" ? "canceled" : "failed");
  }

  /** The status in words. */
  get outcome() {
    return this.#pill.textContent;
  }

  #become(status) {
    if (status !== "running") this.#flush(); // no cell has ended before all that it printed is shown
    this.status = status;
    this.#pill.dataset.status = status;
    this.#pill.textContent = STATUSES[status] + (status === "running" ? "" : ` after ${formatDuration(performance.now() - this.#started)}`);
  }
}

function safeDisplay(sheet, tree) {
  try {
    return displayOf(sheet, tree);
  } catch (error) {
    return h("p", { class: "problem" }, `This value cannot be shown: ${error.message}.`);
  }
}

function text(kind, label, content) {
  const element = h("pre", { class: kind, tabindex: 0, "aria-label": label });
  element.append(visibleLines(content));
  return element;
}
