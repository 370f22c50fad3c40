/** The start of Python in a worker, and failures to report to the page. */

const FILES = 12; // approximate number of loaded files, for the progress bar only

/**
 * Load Pyodide, mobstore and a package of the site.
 * @param {string} archive  the zip file of the package
 * @param {(loading: {done: number, total: number, text: string}) => void} loading  receives the progress
 * @returns {Promise<Object>} Pyodide; rejected with an error that has a `failure`
 */
export async function startPython(archive, loading) {
  let loaded = 0;
  const report = (text) => loading({ done: Math.min(loaded, FILES), total: FILES + 2, text });
  const missing = Promise.withResolvers(); // Pyodide waits forever for some missing files
  const watch = new PerformanceObserver((list) => {
    loaded += list.getEntries().length;
    report("Loading Python into this browser");
    const file = list.getEntries().find(({ responseStatus }) => responseStatus === 0 || responseStatus >= 400);
    if (file) missing.reject(notFetched(new URL(file.name).pathname, file.responseStatus || "no answer"));
  });
  watch.observe({ type: "resource", buffered: true });
  try {
    const [blob, pyodide] = await Promise.race([Promise.all([fetched(archive), load()]), missing.promise]);
    loaded = FILES;
    report("Starting the inspector");
    pyodide.unpackArchive(await blob.arrayBuffer(), "zip");
    return pyodide;
  } catch (error) {
    throw unexpected(error);
  } finally {
    watch.disconnect();
  }
}

async function load() {
  const { loadPyodide } = await import("./pyodide/pyodide.mjs");
  return loadPyodide({ packages: ["mobstore"] });
}

/** Fetch a file of the site. */
export async function fetched(path) {
  const response = await fetch(new URL(path, import.meta.url)).catch((error) => ({ status: error.message }));
  if (!response.ok) throw notFetched(path, response.status);
  return response.blob();
}

const notFetched = (path, why) => failure("load", `The site's file ${path} could not be fetched (${why}).`,
  "Check that the whole site is served, then reload the page.");

/** Turn any error into one with a `failure`; `pyodide` is undefined if it has not started. */
export function unexpected(error, pyodide) {
  if (error.failure) return error;
  const cause = error.message.trim().split("\n").at(-1).slice(0, 200); // of a traceback
  if (pyodide) return failure("worker", `Python failed: ${cause}`, "Reload the page. Stored data is not affected.");
  return failure("load", `Python could not be started: ${cause}`,
    "Reload the page. If it happens again, the site is incomplete or this browser is too old.");
}

/** Create an error with a `failure` for the page. */
export const failure = (kind, message, way_out) => Object.assign(new Error(message), { failure: { kind, message, way_out } });
