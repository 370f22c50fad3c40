// From the opening of the page until a package of Python has done its first work: `?package=` mobstore or pydantic.
import { loadPyodide } from "/pyodide/pyodide.mjs";

const FIRST = {
  mobstore: `
from mobstore import MobReset, NewMobEvent, open_stores
async with open_stores("indexeddb:first") as stores:
    stored = await stores.events.append(NewMobEvent(mob_id="tide-desk", kind=MobReset()))
    assert await stores.events.poll(0, 1) == [stored]
`,
  pydantic: "from pydantic import BaseModel",
};

/** What it took: milliseconds, and the paths of Pyodide's files that were fetched. */
globalThis.started = (async () => {
  const name = new URLSearchParams(location.search).get("package");
  const pyodide = await loadPyodide({ packages: [name] });
  await pyodide.runPythonAsync(FIRST[name]);
  const took = performance.now();
  const fetched = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
  return { took, paths: fetched.filter((path) => path.startsWith("/pyodide/")) };
})();
