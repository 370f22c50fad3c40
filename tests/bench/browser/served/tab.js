// What the benchmark outside calls, one call at a time; the worker has Python, as on the site.
const worker = new Worker("tabs.js", { type: "module" });

/** Ask the worker; see tabs.js. */
globalThis.ask = (request) =>
  new Promise((resolve, reject) => {
    worker.onmessage = ({ data: { result, error } }) => (error ? reject(new Error(error)) : resolve(result));
    worker.onerror = ({ message }) => reject(new Error(message || "the worker could not be loaded"));
    worker.postMessage(request);
  });
