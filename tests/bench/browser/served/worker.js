// Both contestants, in one worker, as the site has Python: a request in, {result} or {error} out.
import { loadPyodide } from "/pyodide/pyodide.mjs";
import * as raw from "./raw.js";
import { compete } from "./turns.js";

const booting = boot();
booting.catch((error) => postMessage({ error: String(error) }));

async function boot() {
  if (!crossOriginIsolated) throw new Error("without isolation the clock is too coarse");
  const [pyodide, code] = await Promise.all([loadPyodide({ packages: ["mobstore"] }), fetch("inside.zip")]);
  pyodide.unpackArchive(await code.arrayBuffer(), "zip", { extractDir: "/bench" });
  pyodide.pyimport("sys").path.append("/bench");
  globalThis.python = pyodide;
  return pyodide.pyimport("bench.browser.inside");
}

async function bridge() {
  await booting;
  return python.pyimport("bench.browser.inside_bridge");
}

const answers = {
  /** Hold a contest; of each seat, for each round, the seconds for one operation. */
  async contest({ seats, rules }) {
    const inside = await booting;
    const samples = (...which) => JSON.parse(inside.samples(...which));
    const players = [];
    for (const { language, job, options } of seats) {
      players.push(await (language === "python" ? inside.seat(job, JSON.stringify(options)) : raw[job](options, samples)));
    }
    return compete(players, rules);
  },
  /** How often an operation crosses the bridge between Python and JavaScript. */
  async crossings({ job, options }) {
    return (await bridge()).crossings(job, JSON.stringify(options));
  },
  /** Seconds of operations in a row, and of each after a transaction. */
  async costs() {
    const [inside, measured] = [await booting, await bridge()];
    const { play } = await raw.swap({ durability: "relaxed", tasks: 1, at_once: false }, (...which) => JSON.parse(inside.samples(...which)));
    return JSON.parse(await measured.costs(play));
  },
  /** Fill a store for the page; the id of its run. */
  async fill({ name, events, entries }) {
    return (await booting).fill(name, events, entries);
  },
};

onmessage = async ({ data: { method, params } }) => {
  try {
    postMessage({ result: await answers[method](params) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
