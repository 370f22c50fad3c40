/** The event index in columns, so that 100,000 events are filtered at once; their content stays in the store. */

import { words } from "./format.js";

const COLUMNS = { cursors: Float64Array, type: Int32Array, mob: Int32Array, member: Int32Array, member2: Int32Array, run: Int32Array };
const NAMES = { type: "types", mob: "mobs", member: "members", member2: "members", run: "runs" };

export class EventLog {
  size = 0;
  #origin = "";
  #turn = Promise.resolve();

  /** @param {string} [run]  only the events of this run */
  constructor(call, run) {
    this.call = call;
    this.run = run;
    this.#reset();
  }

  #reset() {
    this.size = 0;
    this.columns = Object.fromEntries(Object.entries(COLUMNS).map(([name, Kind]) => [name, new Kind(1024)]));
    /** The numbers of the names in the columns. @type {Object<string, Map<string, number>>} */
    this.numbers = { types: new Map(), mobs: new Map(), members: new Map(), runs: new Map() };
  }

  /** Fetch new events; calls `grown` after each page. */
  update(grown) {
    return (this.#turn = this.#turn.catch(() => {}).then(() => this.#fetch(grown)));
  }

  async #fetch(grown) {
    for (let more = true; more; ) {
      const page = await this.call("event_index", {
        after_cursor: this.size ? this.columns.cursors[this.size - 1] : 0, run_id: this.run ?? null,
      });
      const gone = this.size > 0 && page.origin !== this.#origin;
      this.#origin = page.origin;
      if (gone) this.#reset();
      else this.#add(page);
      more = gone || page.more;
      grown();
    }
  }

  #add(page) {
    const size = this.size + page.cursors.length;
    for (const [name, column] of Object.entries(this.columns)) {
      if (size <= column.length) continue;
      this.columns[name] = new COLUMNS[name](Math.max(size, column.length * 2));
      this.columns[name].set(column);
    }
    this.columns.cursors.set(page.cursors, this.size);
    for (const [name, names] of Object.entries(NAMES)) {
      const numbers = page[names].map((text) => this.#number(names, text));
      const column = this.columns[name];
      page[name].forEach((place, index) => (column[this.size + index] = place < 0 ? -1 : numbers[place]));
    }
    this.size = size;
  }

  #number(names, text) {
    const numbers = this.numbers[names];
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return numbers.get(text);
  }

  /**
   * Return the positions of the matching events, ascending.
   * @param {{type?: string, mob?: string, member?: string, run?: string, text?: string}} filter  `text` matches parts of any name
   */
  find(filter) {
    const { type, mob, member, member2, run } = this.columns;
    const wanted = (column) => (filter[column] === undefined ? undefined : this.numbers[NAMES[column]].get(filter[column]) ?? -2);
    const [aType, aMob, aMember, aRun] = ["type", "mob", "member", "run"].map(wanted);
    const text = filter.text?.toLowerCase();
    const holds = (name) => name.toLowerCase().includes(text) || words(name).toLowerCase().includes(text);
    const holding = text && Object.fromEntries(
      Object.entries(this.numbers).map(([names, numbers]) => [names, Uint8Array.from(numbers.keys(), holds)]));
    const found = new Uint32Array(this.size);
    let count = 0;
    for (let i = 0; i < this.size; i++) {
      if (aType !== undefined && type[i] !== aType) continue;
      if (aMob !== undefined && mob[i] !== aMob) continue;
      if (aMember !== undefined && member[i] !== aMember && member2[i] !== aMember) continue;
      if (aRun !== undefined && run[i] !== aRun) continue;
      if (holding && !holding.types[type[i]] && !holding.mobs[mob[i]] && !holding.members[member[i]]
        && !holding.members[member2[i]] && !holding.runs[run[i]]) continue;
      found[count++] = i;
    }
    return found.subarray(0, count);
  }

  /** Return the names in one column with their counts, most frequent first; of one mob, if given. */
  tally(column, mob) {
    const names = [...this.numbers[NAMES[column]].keys()];
    const counts = new Uint32Array(names.length);
    const only = mob === undefined ? undefined : this.numbers.mobs.get(mob) ?? -2;
    for (let i = 0; i < this.size; i++) {
      if (only !== undefined && this.columns.mob[i] !== only) continue;
      for (const name of column === "member" ? ["member", "member2"] : [column]) {
        if (this.columns[name][i] >= 0) counts[this.columns[name][i]]++;
      }
    }
    return names.map((name, number) => [name, counts[number]]).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  }
}
