// The harness's Pyodide in a worker: {id, program, values} in, {message} and {id, answer} out.
import { boot } from "./boot.js";

const booting = boot((message) => postMessage({ message }));

addEventListener("message", async ({ data: { id, program, values } }) => {
  try {
    const call = await booting;
    postMessage({ id, answer: await call(program, values) });
  } catch (error) {
    postMessage({ id, answer: JSON.stringify({ error: String(error) }) });
  }
});
