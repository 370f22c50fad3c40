/** The Python of the console: one worker, restarted to stop a cell, and the cells that it has run. */
import { Cell } from "./console-cell.js";
import { Failure } from "./rpc.js";

const MOST = 50; // cells that are shown

/** A session on a store; dispatches `change`, and `loading` (detail: the progress of the start). */
export class ConsoleSession extends EventTarget {
  cells = [];
  /** off, starting or ready */
  state = "off";
  /** The text in the editor when the view was left. */
  draft = "";
  /** Titles and sources, once Python has started. */
  examples = {};
  #worker;
  #sheet;
  #numbers = 0;

  /** @param {string} url  of the store */
  constructor(url) {
    super();
    this.url = url;
  }

  /** The cell that runs, if any. */
  get running() {
    const cell = this.cells.at(-1);
    return cell?.status === "running" ? cell : undefined;
  }

  /** Start Python unless it runs. */
  start() {
    if (this.state !== "off") return;
    const worker = new Worker(new URL("console-worker.js", import.meta.url), { type: "module", name: "console" });
    worker.onmessage = ({ data }) => worker === this.#worker && this.#receive(data);
    worker.onerror = ({ message }) => worker === this.#worker && this.#fail({
      kind: "console", message: `The worker that runs Python has stopped or did not start${message ? `: ${message}` : "."}`,
      way_out: "Run a cell to start it again. Stored data is not affected.",
    });
    this.#worker = worker;
    worker.postMessage({ open: this.url });
    this.#become("starting");
  }

  /** Run a cell; it waits until Python has started. */
  run(source) {
    this.start();
    this.cells.push(new Cell(++this.#numbers, source));
    if (this.cells.length > MOST) this.cells.shift();
    this.#worker.postMessage({ number: this.#numbers, source });
    this.#change();
  }

  /** End Python at once, and start it anew without its names. */
  stop() {
    this.#end("stopped");
    this.start();
  }

  /** Remove the cells that have ended. */
  clear() {
    this.cells = this.cells.filter((cell) => cell === this.running);
    this.#change();
  }

  /** End Python. */
  close() {
    this.#end("stopped");
  }

  #end(status, reason) {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.running?.end(status, reason);
    this.#become("off");
  }

  #receive({ loading, ready, failure, number, printed, result }) {
    if (loading) return this.dispatchEvent(new CustomEvent("loading", { detail: loading }));
    if (failure) return this.#fail(failure);
    if (ready) {
      if (this.state !== "starting") return; // only from before the first cell: its style sheet is used as it is
      this.#sheet = new CSSStyleSheet();
      this.#sheet.replaceSync(ready.style);
      this.examples = ready.examples;
      return this.#become("ready");
    }
    const cell = this.cells.find((cell) => cell.number === number);
    if (printed !== undefined) return cell?.print(printed);
    if (cell && cell === this.running) cell.show(result, this.#sheet);
    this.#change();
  }

  #fail(failure) {
    this.#end("failed", failure.message);
    this.dispatchEvent(new CustomEvent("failure", { detail: new Failure(failure) }));
  }

  #become(state) {
    this.state = state;
    this.#change();
  }

  #change() {
    this.dispatchEvent(new Event("change"));
  }
}
