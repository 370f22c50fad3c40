/** Calls to the Python in the worker, and what the worker says unasked. */

/** A failure in words for a person: `kind` for programs, `message` what happened, `wayOut` what can be done. */
export class Failure extends Error {
  constructor({ kind, message, way_out }) {
    super(message);
    this.kind = kind;
    this.wayOut = way_out;
  }
}

export class Rpc {
  #calls = new Map();
  #next = 1;
  #broken = null;
  #loading;
  #begun = false; // whether Python has answered a call
  #pinged = false; // whether the worker has not yet answered that it is there
  #silent = 0; // seconds without a sign of it

  /** Called after every commit to the open store, of whichever tab or program, and now and then for nothing. */
  changed = () => {};

  /**
   * Called every second while the worker is so busy that it does not answer, and with 0 when it does again.
   * Seconds in which the page itself was at rest, as in a machine that sleeps, do not count.
   */
  silent = (_seconds) => {};

  /** @param {(loading: {done: number, total: number, text: string}) => void} loading  how far the worker has come */
  constructor(loading) {
    this.#loading = loading;
    this.#start();
    setInterval(() => this.#look(), 1000);
  }

  #start() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: "mobstore" });
    this.worker.onmessage = ({ data }) => {
      this.#heard();
      if (data.alive) return;
      if (data.loading) return this.#loading(data.loading);
      if (data.changed) return this.changed();
      const call = this.#calls.get(data.id);
      if (data.progress) return call?.progress(data.progress);
      this.#begun = true;
      this.#calls.delete(data.id);
      if (data.error) call?.reject(new Failure(data.error));
      else call?.resolve(data.result);
    };
    this.worker.onerror = (event) => {
      this.#broken = new Failure({
        kind: "worker", message: `The part of the page that runs Python has stopped or did not start${event.message ? `: ${event.message}` : "."}`,
        way_out: "Reload the page. What was stored is still there.",
      });
      this.#rejectAll(this.#broken);
    };
  }

  #rejectAll(failure) {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(failure);
  }

  #heard() {
    this.#pinged = false;
    if (this.#silent) this.silent((this.#silent = 0));
  }

  #look() {
    if (!this.#begun || !this.#calls.size) return this.#heard();
    if (this.#pinged) return this.silent(++this.#silent);
    this.#pinged = true;
    this.worker.postMessage({ alive: true });
  }

  /** End what is under way, whatever it is. All calls are rejected until a store is opened, which starts Python anew. */
  stop() {
    this.worker.terminate();
    this.#begun = false;
    this.#broken = new Failure({ kind: "stopped", message: "This was stopped.", way_out: "Try again." });
    this.#heard();
    this.#rejectAll(this.#broken);
  }

  /**
   * @param {string} method
   * @param {Object} [params]  a File or Blob in it reaches Python as a path
   * @param {(progress: {done: number, total: number}) => void} [progress]
   * @returns {Promise<*>} rejected with a Failure
   */
  call(method, params = {}, progress = () => {}) {
    if (this.#broken?.kind === "stopped" && method === "open") {
      this.#broken = null;
      this.#start();
    }
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#calls.set(id, { resolve, reject, progress });
      this.worker.postMessage({ id, method, params });
    });
  }
}
