// Runs compile_archive.py inside Pyodide: node compile.mjs SOURCE TARGET [SOURCE TARGET]...
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { loadPyodide } from "../node_modules/pyodide/pyodide.mjs";

const HOST = "/host"; // mount point of the host's file system

try {
  const python = await loadPyodide({ env: { PYTHONDONTWRITEBYTECODE: "1" } });
  python.mountNodeFS(HOST, "/");
  python.pyimport("sys").path.append(HOST + dirname(fileURLToPath(import.meta.url)));
  const { compile_archive } = python.pyimport("compile_archive");
  for (let i = 2; i < process.argv.length; i += 2) {
    compile_archive(HOST + process.argv[i], HOST + process.argv[i + 1]);
  }
} catch (error) {
  console.error(error.message); // Node itself would print a megabyte of Pyodide
  process.exitCode = 1;
}
