// Starts Pyodide with mobstore and the test code; used by the page and by the worker alike.
import { loadPyodide } from "/pyodide/pyodide.mjs";

/** Install mobstore as a page would, or by micropip what `?install=` names. */
async function install(pyodide) {
  const wanted = new URLSearchParams(location.search).get("install");
  const quietly = { messageCallback() {} };
  await pyodide.loadPackage(wanted === null ? "mobstore" : "micropip", quietly);
  if (wanted !== null) await pyodide.pyimport("micropip").install(wanted);
}

/** Give a function that calls `program` of the test code with `values`, both text; see calls.py. */
export async function boot(say) {
  const pyodide = await loadPyodide();
  await install(pyodide);
  const code = await fetch("/tests/code.zip");
  pyodide.unpackArchive(await code.arrayBuffer(), "zip", { extractDir: "/tests" });
  pyodide.pyimport("sys").path.append("/tests");
  const calls = pyodide.pyimport("browser.inside.calls");
  calls.listen(say);
  // On a stack that can be suspended, so that code which is not async can wait.
  return (program, values) => calls.call.callPromising(program, values);
}
