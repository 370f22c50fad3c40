/**
 * Two tabs: one writes, the other follows and answers over a channel of the benchmark's own as soon as it has an event.
 *
 * Once the event takes mobstore's way: the writer appends it, the other has a subscription. Once it is itself sent over the
 * channel. The clock is the writer's; the way back is the same for both.
 */
import { loadPyodide } from "/pyodide/pyodide.mjs";

const SENT = "sent";
const HAD = "had";
const booting = boot();
booting.catch((error) => postMessage({ error: String(error) }));
const channel = new BroadcastChannel("bench");
let answered = () => {};

channel.onmessage = ({ data: [what, text] }) => {
  if (what === HAD) return answered(performance.now());
  JSON.parse(text);
  had();
};

function had() {
  channel.postMessage([HAD]);
}

async function boot() {
  if (!crossOriginIsolated) throw new Error("without isolation the clock is too coarse");
  const [pyodide, code] = await Promise.all([loadPyodide({ packages: ["mobstore"] }), fetch("inside.zip")]);
  pyodide.unpackArchive(await code.arrayBuffer(), "zip", { extractDir: "/bench" });
  pyodide.pyimport("sys").path.append("/bench");
  return pyodide.pyimport("bench.browser.inside_tabs");
}

/** Milliseconds from the moment that `begin` gives until the other tab has answered. */
async function roundTrip(begin) {
  const answer = new Promise((resolve) => (answered = resolve));
  const begun = await begin();
  return (await answer) - begun;
}

const answers = {
  /** Follow a store from now on. */
  async follow({ name }) {
    await (await booting).follow(name, had);
  },
  /** So many round trips each way, in turns: {mobstore, channel}, milliseconds. */
  async write({ name, durability, count }) {
    const writer = await (await booting).writer(name, durability);
    const text = writer.text();
    const times = { mobstore: [], channel: [] };
    for (let n = 0; n < count; n++) {
      times.mobstore.push(await roundTrip(() => writer.append()));
      times.channel.push(
        await roundTrip(() => {
          const begun = performance.now();
          channel.postMessage([SENT, text]);
          return begun;
        }),
      );
    }
    await writer.close();
    return times;
  },
};

onmessage = async ({ data: { method, params } }) => {
  try {
    postMessage({ result: await answers[method](params) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
