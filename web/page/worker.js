/** The worker that runs Python: loads Pyodide, mobstore and the package `inspector`, then forwards calls to it. */

const FILES = 12; // approximate number of loaded files, for the progress bar only
let pyodide;
let files = 0;

const inspector = start();
inspector.catch(() => {}); // every call reports it

async function start() {
  let loaded = 0;
  const report = (text) => postMessage({ loading: { done: Math.min(loaded, FILES), total: FILES + 2, text } });
  const missing = Promise.withResolvers(); // Pyodide waits forever for some missing files
  const watch = new PerformanceObserver((list) => {
    loaded += list.getEntries().length;
    report("Loading Python into this browser");
    const file = list.getEntries().find(({ responseStatus }) => responseStatus === 0 || responseStatus >= 400);
    if (file) missing.reject(notFetched(new URL(file.name).pathname, file.responseStatus || "no answer"));
  });
  watch.observe({ type: "resource", buffered: true });
  const [blob, python] = await Promise.race([Promise.all([fetched("inspector.zip"), load()]), missing.promise]);
  watch.disconnect();
  loaded = FILES;
  report("Starting the inspector");
  pyodide = python;
  pyodide.unpackArchive(await blob.arrayBuffer(), "zip");
  return pyodide.pyimport("inspector").Inspector(() => postMessage({ changed: true }));
}

async function load() {
  const { loadPyodide } = await import("./pyodide/pyodide.mjs");
  return loadPyodide({ packages: ["mobstore"] });
}

async function fetched(path) {
  const response = await fetch(new URL(path, import.meta.url)).catch((error) => ({ status: error.message }));
  if (!response.ok) throw notFetched(path, response.status);
  return response.blob();
}

const notFetched = (path, why) => failure("load", `The site's file ${path} could not be fetched (${why}).`,
  "Check that the whole site is served, then reload the page.");

self.onmessage = async ({ data: { alive, id, method, params } }) => {
  if (alive) return postMessage({ alive });
  try {
    postMessage({ id, result: await answer(id, method, params) });
  } catch (error) {
    postMessage({ id, error: (error.failure ? error : unexpected(error)).failure });
  }
};

function unexpected(error) {
  const cause = error.message.trim().split("\n").at(-1).slice(0, 200); // of a traceback
  if (pyodide) return failure("worker", `Python failed: ${cause}`, "Reload the page. Stored data is not affected.");
  return failure("load", `Python could not be started: ${cause}`,
    "Reload the page. If it happens again, the site is incomplete or this browser is too old.");
}

const failure = (kind, message, way_out) => Object.assign(new Error(message), { failure: { kind, message, way_out } });

async function answer(id, method, params) {
  const python = await inspector;
  if (method === "import_sample") return answer(id, "import_file", { path: await fetched("samples/tide-desk.db") });
  if (method === "export_file") return exported(id);
  const paths = [];
  for (const [key, value] of Object.entries(params)) {
    if (value instanceof Blob) paths.push((params[key] = await upload(value)));
  }
  try {
    return await call(python, id, method, params);
  } finally {
    for (const path of paths) {
      pyodide.FS.unlink(path);
      pyodide.FS.rmdir(path.slice(0, path.lastIndexOf("/")));
    }
  }
}

async function call(python, id, method, params) {
  let last = 0;
  const progress = (done, total) => {
    if (done < total && performance.now() - last < 50) return;
    last = performance.now();
    postMessage({ id, progress: { done, total } });
  };
  const { result, error } = JSON.parse(await python.call(method, JSON.stringify(params), progress));
  if (error) throw failure(error.kind, error.message, error.way_out);
  return result;
}

/** Copy a file into Python's file system, in memory; its own folder lets it keep its name. */
async function upload(blob) {
  const folder = `/tmp/upload-${++files}`;
  const path = `${folder}/${(blob.name ?? "sample").replace(/^\.*$|[/\0]/g, "_").slice(-80)}`;
  const content = await blob.arrayBuffer().catch(({ name }) => {
    throw failure("wrong_file", `${blob.name ?? "The sample"} cannot be read (${name}). Nothing was imported.`,
      "It may have been changed, moved or deleted, or may be too large for the memory of this page. Choose it again.");
  });
  pyodide.FS.mkdir(folder);
  pyodide.FS.writeFile(path, new Uint8Array(content), { canOwn: true });
  return path;
}

async function exported(id) {
  const path = `/tmp/export-${++files}`;
  try {
    await call(await inspector, id, "export_file", { path });
    return new Blob([pyodide.FS.readFile(path)]);
  } finally {
    if (pyodide.FS.analyzePath(path).exists) pyodide.FS.unlink(path);
  }
}
