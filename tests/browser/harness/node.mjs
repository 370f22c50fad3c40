// Pyodide under Node, which has no IndexedDB: node node.mjs FOLDER-OF-PYODIDE
// Prints, as JSON, what mobstore says when it is asked for a store there.
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: folder });
await pyodide.loadPackage("mobstore", { messageCallback() {} });
const said = await pyodide.runPythonAsync(`
import mobstore
try:
    await mobstore.open_stores("indexeddb:mobs")
except mobstore.UsageError as error:
    said = str(error)
said
`);
console.log(JSON.stringify(said));
