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

  /** Called after every commit to the open store, of whichever tab or program, and now and then for nothing. */
  changed = () => {};

  /** @param {(loading: {done: number, total: number, text: string}) => void} loading  how far the worker has come */
  constructor(loading) {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: "mobstore" });
    this.worker.onmessage = ({ data }) => {
      if (data.loading) return loading(data.loading);
      if (data.changed) return this.changed();
      const call = this.#calls.get(data.id);
      if (data.progress) return call?.progress(data.progress);
      this.#calls.delete(data.id);
      if (data.error) call?.reject(new Failure(data.error));
      else call?.resolve(data.result);
    };
    this.worker.onerror = (event) => {
      this.#broken = new Failure({
        kind: "worker", message: `The part of the page that runs Python has stopped or did not start${event.message ? `: ${event.message}` : "."}`,
        way_out: "Reload the page. What was stored is still there.",
      });
      for (const call of this.#calls.values()) call.reject(this.#broken);
    };
  }

  /**
   * @param {string} method
   * @param {Object} [params]  a File or Blob in it reaches Python as a path
   * @param {(progress: {done: number, total: number}) => void} [progress]
   * @returns {Promise<*>} rejected with a Failure
   */
  call(method, params = {}, progress = () => {}) {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#calls.set(id, { resolve, reject, progress });
      this.worker.postMessage({ id, method, params });
    });
  }
}
