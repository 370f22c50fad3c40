// What the tests outside speak to: calls into the Python of this page (?where=page) or its worker.
import { boot } from "./boot.js";

const heard = [];
const say = (said) => heard.push(said);
const failure = (error) => JSON.stringify({ error: String(error) });

function inWorker() {
  const worker = new Worker(`worker.js${location.search}`, { type: "module" });
  const waiting = new Map();
  worker.addEventListener("error", ({ message }) => {
    for (const settle of waiting.values()) settle(failure(message || "the worker did not load"));
  });
  worker.addEventListener("message", ({ data: { said, id, answer } }) => {
    if (said !== undefined) say(said);
    else waiting.get(id)(answer);
  });
  return (program, values) =>
    new Promise((settle) => {
      const id = waiting.size;
      waiting.set(id, settle);
      worker.postMessage({ id, program, values });
    });
}

const where = new URLSearchParams(location.search).get("where");
const booting = where === "page" ? boot(say) : Promise.resolve(inWorker());
let begun;

globalThis.harness = {
  /** Begin a call; `finish` gives its answer, also when it failed or took too long. */
  start(program, values, seconds) {
    const late = new Promise((resolve) => {
      setTimeout(() => resolve(failure(`no answer in ${seconds} s`)), seconds * 1000);
    });
    const answer = booting.then((call) => call(program, values)).catch(failure);
    begun = Promise.race([answer, late]);
  },
  finish: () => begun,
  /** What Python has said since the last question. */
  heard: () => JSON.stringify(heard.splice(0)),
};
