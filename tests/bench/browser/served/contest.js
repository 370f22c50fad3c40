// What the benchmark outside calls, one call at a time.
const worker = new Worker("worker.js", { type: "module" });

/** Ask the worker; see worker.js. */
globalThis.ask = (request) =>
  new Promise((resolve, reject) => {
    worker.onmessage = ({ data: { result, error } }) => (error ? reject(new Error(error)) : resolve(result));
    worker.onerror = ({ message }) => reject(new Error(message || "the worker could not be loaded"));
    worker.postMessage(request);
  });
