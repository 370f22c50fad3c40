/**
 * IndexedDB by hand: what mobstore's operations come to for somebody who needs nothing else, with the same records.
 *
 * Each exported function opens a database of its own and gives a player for turns.js. Transactions cover only the object
 * stores that are needed, are committed explicitly, and answer when they are complete.
 */

const MOB = "tide-desk";
const CURSOR = "next_cursor";
const LAYOUT = {
  counters: {},
  events: { by_mob: ["mob_id", "cursor"], by_run: ["run_id", "cursor"], by_time: "timestamp" },
  run_states: {},
  frames: {},
  loop_outputs: {},
  loop_step_outputs: { by_position: ["run_id", "loop_id", "iteration", "position"] },
};
let databases = 0;

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(`raw-${++databases}`, 1);
    request.onupgradeneeded = () => {
      for (const [name, indexes] of Object.entries(LAYOUT)) {
        const store = request.result.createObjectStore(name);
        for (const [index, path] of Object.entries(indexes)) store.createIndex(index, path);
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const completion = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });

/** Seconds that `work` takes. */
async function timed(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** Do an operation `count` times: one after the other, or as `tasks`, which begin at once again and again or live long. */
function repeatedly(operation, tasks, at_once) {
  return {
    least: tasks,
    play: (count) =>
      timed(async () => {
        if (tasks === 1) {
          for (let n = 0; n < count; n++) await operation(0);
        } else if (at_once) {
          for (let n = 0; n < count; n += tasks) await Promise.all(Array.from({ length: tasks }, (_, task) => operation(task)));
        } else {
          await Promise.all(
            Array.from({ length: tasks }, async (_, task) => {
              for (let n = 0; n < count; n += tasks) await operation(task);
            }),
          );
        }
      }),
  };
}

/** Compare-and-swap of a flow state of 5 KB; each task has a run. */
export async function swap({ durability, tasks, at_once }, samples) {
  const database = await open();
  const states = samples("states", 5000);
  const filling = database.transaction("run_states", "readwrite");
  for (let task = 0; task < tasks; task++) {
    const run_id = `run-${task}`;
    filling.objectStore("run_states").put({ run_id, flow_state: states[0] }, run_id);
  }
  await completion(filling);

  async function swapped(key, expected, following) {
    const transaction = database.transaction("run_states", "readwrite", { durability });
    const store = transaction.objectStore("run_states");
    let done = false;
    store.get(key).onsuccess = ({ target: { result } }) => {
      if (result?.flow_state === expected) {
        result.flow_state = following;
        store.put(result, key);
        done = true;
      }
      transaction.commit();
    };
    await completion(transaction);
    return done;
  }

  const places = Array(tasks).fill(0);
  return repeatedly(async (task) => {
    const before = places[task];
    places[task] = (before + 1) % states.length;
    if (!(await swapped(`run-${task}`, states[before], states[places[task]]))) throw new Error("not swapped");
  }, tasks, at_once);
}

/** Compare-and-swap of a frame of 5 KB with the output of a step in a further iteration of a loop. */
export const complete = ({ durability }, samples) => completing(durability, samples);

/** The same, and its event, in one transaction. */
export const both = ({ durability }, samples) => completing(durability, samples, samples("kinds", 1000));

async function completing(durability, samples, kinds = null) {
  const database = await open();
  const states = samples("states", 5000);
  const [run_id, frame_id, loop_id, step_id] = ["run-0", "frame-0", "loop-0", "step-0"];
  const filling = database.transaction("frames", "readwrite");
  filling.objectStore("frames").put({ run_id, frame_id, kernel_state: states[0] }, [run_id, frame_id]);
  await completion(filling);

  const names = ["frames", "loop_outputs", "loop_step_outputs", ...(kinds ? ["counters", "events"] : [])];

  async function completed(expected, following, iteration, output) {
    const transaction = database.transaction(names, "readwrite", { durability });
    const [frames, lengths, outputs, counters, events] = names.map((name) => transaction.objectStore(name));
    let done = false;
    const counter = counters?.get(CURSOR);
    const frame = frames.get([run_id, frame_id]);
    lengths.get([run_id, loop_id]).onsuccess = ({ target: { result } }) => {
      if (frame.result?.kernel_state === expected && (result?.iterations ?? 0) === iteration) {
        frames.put({ run_id, frame_id, kernel_state: following }, [run_id, frame_id]);
        outputs.put({ run_id, loop_id, iteration, step_id, position: 0, output: JSON.stringify(output) }, [run_id, loop_id, iteration, step_id]);
        lengths.put({ run_id, loop_id, iterations: iteration + 1 }, [run_id, loop_id]);
        if (kinds) putEvents(counters, events, counter.result, [kinds[iteration % kinds.length]]);
        done = true;
      }
      transaction.commit();
    };
    await completion(transaction);
    return done;
  }

  let iteration = 0;
  return repeatedly(async () => {
    const [before, after] = [iteration, iteration + 1].map((place) => states[place % states.length]);
    if (!(await completed(before, after, iteration++, { words: 400, text: "The tide is high at noon." }))) throw new Error("not swapped");
  }, 1);
}

function putEvents(counters, events, counter, kinds) {
  const timestamp = new Date().toISOString();
  let cursor = counter?.value ?? 1;
  for (const kind of kinds) {
    const run_id = kind.run_id ?? "";
    events.put({ cursor, mob_id: MOB, timestamp, type: kind.type, run_id, kind: JSON.stringify(kind) }, cursor);
    cursor++;
  }
  counters.put({ name: CURSOR, value: cursor }, CURSOR);
}

/** Append events with the next cursors; `kinds` are their objects. */
async function appended(database, durability, kinds) {
  const transaction = database.transaction(["counters", "events"], "readwrite", { durability });
  const [counters, events] = ["counters", "events"].map((name) => transaction.objectStore(name));
  counters.get(CURSOR).onsuccess = ({ target: { result } }) => {
    putEvents(counters, events, result, kinds);
    transaction.commit();
  };
  await completion(transaction);
}

/** Append one event at a time. */
export async function append({ durability, tasks, at_once }, samples) {
  const database = await open();
  const kinds = samples("kinds", 1000).map((kind) => [kind]);
  let next = 0;
  return repeatedly(() => appended(database, durability, kinds[next++ % kinds.length]), tasks, at_once);
}

/** Append many events in one transaction. */
export async function batch({ durability, size }, samples) {
  const database = await open();
  const kinds = samples("kinds", size);
  return repeatedly(() => appended(database, durability, kinds), 1);
}

/** Read many events from a log twice as long. */
export async function poll({ size }, samples) {
  const database = await open();
  const kinds = samples("kinds", size);
  await appended(database, "relaxed", kinds);
  await appended(database, "relaxed", kinds);

  const polled = (after, limit) =>
    new Promise((resolve, reject) => {
      const request = database.transaction("events").objectStore("events").getAll(IDBKeyRange.lowerBound(after, true), limit);
      request.onsuccess = () => {
        for (const event of request.result) event.kind = JSON.parse(event.kind);
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    });

  return repeatedly(async () => {
    if ((await polled(size / 2, size)).length !== size) throw new Error("events are missing");
  }, 1);
}
