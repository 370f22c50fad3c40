/** Calls to Python in the worker, and messages from the worker. */

/** A failure: `kind` for programs, `message` and `wayOut` for users. */
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
  #started = false; // Python has answered a call
  #pinged = false; // a ping has no answer yet
  #silent = 0; // seconds since the ping

  /** Called after every commit to the open store, by any tab or program; calls may be spurious. */
  changed = () => {};

  /**
   * Called every second while the worker does not answer, and with 0 when it answers again.
   * Seconds in which the page itself was suspended do not count.
   */
  silent = (_seconds) => {};

  /** @param {(loading: {done: number, total: number, text: string}) => void} loading  receives the progress of the start */
  constructor(loading) {
    this.#loading = loading;
    this.#start();
    setInterval(() => this.#ping(), 1000);
  }

  #start() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: "mobstore" });
    this.worker.onmessage = ({ data }) => {
      this.#onAnswer();
      if (data.alive) return;
      if (data.loading) return this.#loading(data.loading);
      if (data.changed) return this.changed();
      const call = this.#calls.get(data.id);
      if (data.progress) return call?.progress(data.progress);
      this.#started = true;
      this.#calls.delete(data.id);
      if (data.error) call?.reject(new Failure(data.error));
      else call?.resolve(data.result);
    };
    this.worker.onerror = (event) => {
      this.#broken = new Failure({
        kind: "worker", message: `The worker that runs Python has stopped or did not start${event.message ? `: ${event.message}` : "."}`,
        way_out: "Reload the page. Stored data is not affected.",
      });
      this.#rejectAll(this.#broken);
    };
  }

  #rejectAll(failure) {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(failure);
  }

  #onAnswer() {
    this.#pinged = false;
    if (this.#silent) this.silent((this.#silent = 0));
  }

  #ping() {
    if (!this.#started || !this.#calls.size) return this.#onAnswer();
    if (this.#pinged) return this.silent(++this.#silent);
    this.#pinged = true;
    this.worker.postMessage({ alive: true });
  }

  /** Terminate the worker. All calls are rejected until `open` starts Python again. */
  stop() {
    this.worker.terminate();
    this.#started = false;
    this.#broken = new Failure({ kind: "stopped", message: "This was stopped.", way_out: "Try again." });
    this.#onAnswer();
    this.#rejectAll(this.#broken);
  }

  /**
   * @param {string} method
   * @param {Object} [params]  a File or Blob in it becomes a path in Python
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
