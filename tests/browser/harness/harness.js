// The harness for the tests: calls into the Python of this page (?where=page) or of its worker.
import { boot } from "./boot.js";

const messages = [];
const send = (message) => messages.push(message);
const failure = (error) => JSON.stringify({ error: String(error) });

function inWorker() {
  const worker = new Worker(`worker.js${location.search}`, { type: "module" });
  const waiting = new Map();
  worker.addEventListener("error", (event) => {
    for (const settle of waiting.values()) settle(failure(event.message || "the worker did not load"));
  });
  worker.addEventListener("message", ({ data: { message, id, answer } }) => {
    if (message !== undefined) send(message);
    else waiting.get(id)(answer);
  });
  return (program, values) =>
    new Promise((settle) => {
      const id = waiting.size;
      waiting.set(id, settle);
      worker.postMessage({ id, program, values });
    });
}

const query = new URLSearchParams(location.search);
const where = query.get("where");
const booting = where === "page" ? boot(send) : Promise.resolve(inWorker());
let running;

globalThis.harness = {
  /** Start a call; `finish` returns its answer, which may be a failure or a timeout. */
  start(program, values, seconds) {
    const late = new Promise((resolve) => {
      setTimeout(() => resolve(failure(`no answer in ${seconds} s`)), seconds * 1000);
    });
    const answer = booting.then((call) => call(program, values)).catch(failure);
    running = Promise.race([answer, late]);
  },
  finish: () => running,
  /** Return the messages from Python since the last call. */
  messages: () => JSON.stringify(messages.splice(0)),
};

/** Send the answer of `?report=` to the server, for a test that cannot call this page. */
if (query.has("report")) {
  const { program, values } = JSON.parse(query.get("report"));
  harness.start(program, JSON.stringify(values), 200);
  harness.finish().then((answer) => fetch(`/reports/${encodeURIComponent(answer)}`));
}
