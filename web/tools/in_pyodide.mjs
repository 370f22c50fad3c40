// Runs Python functions inside Pyodide, whose Python differs from the host's: node in_pyodide.mjs REQUEST
// REQUEST is JSON: `wheels` to put on sys.path, and `calls`, lists of "module.function" and its
// texts. Paths begin with /host, where the host's file system is mounted.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { loadPyodide } from "../node_modules/pyodide/pyodide.mjs";

const HOST = "/host";

try {
  const { wheels, calls } = JSON.parse(process.argv[2]);
  const python = await loadPyodide({ env: { PYTHONDONTWRITEBYTECODE: "1" } });
  python.mountNodeFS(HOST, "/");
  const path = python.pyimport("sys").path;
  for (const place of [HOST + dirname(fileURLToPath(import.meta.url)), ...wheels]) path.append(place);
  for (const [name, ...texts] of calls) python.pyimport(name)(...texts);
} catch (error) {
  console.error(error.message); // Node itself would print a megabyte of Pyodide
  process.exitCode = 1;
}
