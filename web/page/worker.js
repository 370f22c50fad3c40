/** The worker that runs Python: loads Pyodide, mobstore and the package `inspector`, then forwards calls to it. */
import { failure, fetched, startPython, unexpected } from "./python.js";

let pyodide;
let files = 0;

const inspector = start();
inspector.catch(() => {}); // every call reports it

async function start() {
  pyodide = await startPython("inspector.zip", (loading) => postMessage({ loading }));
  return pyodide.pyimport("inspector").Inspector(() => postMessage({ changed: true }));
}

self.onmessage = async ({ data: { alive, id, method, params } }) => {
  if (alive) return postMessage({ alive });
  try {
    postMessage({ id, result: await answer(id, method, params) });
  } catch (error) {
    postMessage({ id, error: unexpected(error, pyodide).failure });
  }
};

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
