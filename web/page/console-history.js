/** The cells that were run, kept in the browser for all tabs of the site. */
import { recall, remember } from "./storage.js";

const KEY = "console";
const MOST = 100; // cells
const MOST_CHARACTERS = 200_000; // of all cells, far below the limit of browsers

/** Return the sources, oldest first. */
export function history() {
  try {
    const kept = JSON.parse(recall(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((source) => typeof source === "string") : [];
  } catch {
    return []; // another program of this origin wrote it
  }
}

/** Add a source as the newest one, and drop the oldest ones beyond the bounds. */
export function addToHistory(source) {
  const kept = [...history().filter((other) => other !== source), source].slice(-MOST);
  let size = kept.reduce((sum, { length }) => sum + length, 0);
  while (size > MOST_CHARACTERS) size -= kept.shift().length;
  remember(KEY, JSON.stringify(kept));
}

export const forgetHistory = () => remember(KEY);

/** A walk through the history from the newest source back, and forward again to a draft. */
export class HistoryWalk {
  #sources = [];
  #place = 0;
  #draft = "";

  /** Return the source before the current one, or undefined. */
  back(text) {
    if (this.#place === this.#sources.length) { // at the draft
      this.#draft = text;
      this.#sources = history(); // another tab may have added some
      this.#place = this.#sources.length;
    }
    return this.#place > 0 ? this.#sources[--this.#place] : undefined;
  }

  /** Return the source after the current one, at last the draft, or undefined. */
  forward() {
    if (this.#place >= this.#sources.length) return undefined;
    return this.#sources[++this.#place] ?? this.#draft;
  }

  /** Start again at the newest source. */
  restart() {
    this.#sources = [];
    this.#place = 0;
  }
}
