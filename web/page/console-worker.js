/** The worker of the Python console. It runs cells in the order of their arrival; the page terminates it to stop one. */
import { failure, startPython, unexpected } from "./python.js";

let pyodide;
let session; // a promise
let turn = Promise.resolve(); // the end of the cell before

self.onmessage = ({ data: { open, number, source } }) => {
  if (open) session = start(open).catch((error) => postMessage({ failure: unexpected(error, pyodide).failure }));
  else turn = turn.then(() => run(number, source));
};

async function start(url) {
  pyodide = await startPython("console.zip", (loading) => postMessage({ loading }));
  const python = pyodide.pyimport("console").start((number, printed) => postMessage({ number, printed }));
  postMessage({ ready: JSON.parse(await python.open(url)) });
  return python;
}

async function run(number, source) {
  const python = await session;
  if (!python) return;
  const described = await python.run(number, source);
  let result;
  try {
    result = JSON.parse(described);
  } catch { // with more than 2 GiB of memory, Pyodide passes texts on as NULs
    result = { error: "The result cannot be shown: Python uses too much memory. Stop it, and run the cell again." };
  }
  postMessage({ number, result });
}

self.onunhandledrejection = ({ reason }) => {
  try {
    pyodide?.runPython; // throws once Python has failed for good, as after a stack overflow
  } catch {
    const cause = String(reason?.message ?? reason).slice(0, 200);
    postMessage({ failure: failure("console", `Python itself has failed: ${cause}.`,
      "Run a cell to start it again, without the names of earlier cells. Stored data is not affected.").failure });
  }
};
