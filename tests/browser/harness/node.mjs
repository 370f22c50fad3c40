// Pyodide under Node, which has no IndexedDB: node node.mjs FOLDER-OF-PYODIDE
// Prints, as JSON, the error with which mobstore rejects opening a store there.
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: folder });
await pyodide.loadPackage("mobstore", { messageCallback() {} });
const error_text = await pyodide.runPythonAsync(`
import mobstore
try:
    await mobstore.open_stores("indexeddb:mobs")
except mobstore.UsageError as error:
    error_text = str(error)
error_text
`);
console.log(JSON.stringify(error_text));
