// Starts Pyodide with mobstore and the test code, in the page or in the worker.
import { loadPyodide } from "/pyodide/pyodide.mjs";

/** Install mobstore as a page would, or the package of `?install=` by micropip. */
async function install(pyodide) {
  const wanted = new URLSearchParams(location.search).get("install");
  const quietly = { messageCallback() {} };
  await pyodide.loadPackage(wanted === null ? "mobstore" : "micropip", quietly);
  if (wanted !== null) await pyodide.pyimport("micropip").install(wanted);
}

/** Return a function that calls `program` of the test code with `values`, both text; see calls.py. */
export async function boot(send) {
  const pyodide = await loadPyodide();
  await install(pyodide);
  const code = await fetch("/tests/code.zip");
  pyodide.unpackArchive(await code.arrayBuffer(), "zip", { extractDir: "/tests" });
  pyodide.pyimport("sys").path.append("/tests");
  const calls = pyodide.pyimport("browser.inside.calls");
  calls.listen(send);
  // On a suspendable stack, so that synchronous code can wait; WebKitGTK has none.
  if (!("Suspending" in WebAssembly)) return (program, values) => calls.call(program, values);
  return (program, values) => calls.call.callPromising(program, values);
}
