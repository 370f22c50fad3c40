/** Display forms of values: times, durations, sizes, names. */

const UNITS = [["d", 86_400_000, "h", 3_600_000], ["h", 3_600_000, "min", 60_000], ["min", 60_000, "s", 1000]];
const number = new Intl.NumberFormat("en");

export const count = (value, noun, plural = noun + "s") =>
  `${number.format(value)}${noun ? ` ${value === 1 ? noun : plural}` : ""}`;

/** A timestamp as "2026-03-02 08:00:13.974", in UTC as stored. */
export const formatTime = (timestamp) => timestamp?.replace("T", " ").replace(/(\.\d{1,3})\d*Z$|Z$/, "$1") ?? "–";

/** Milliseconds as "412 ms", "3.2 s", "4 min 5 s", "2 h 10 min", "8 d 3 h". */
export function formatDuration(ms) {
  if (ms == null) return "–";
  if (ms < 0) return `−${formatDuration(-ms)}`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  for (const [unit, size, lower, lowerSize] of UNITS) {
    if (ms < size) continue;
    const rest = Math.floor((ms % size) / lowerSize);
    return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${lower}` : ""}`;
  }
}

export function formatBytes(size) {
  const power = size < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(size) / 3));
  return `${(size / 1000 ** power).toFixed(power ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

const HIDDEN = /[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[ \u{fe0e}\u{fe0f}]]/gv; // these two only select a variant of a character
const SHORT = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

/** Escape invisible and bidirectional characters as Python does. */
export const visible = (text) => text.replace(HIDDEN, (char) => {
  const code = char.codePointAt(0).toString(16);
  return SHORT.get(char) ?? (code.length < 3 ? `\\x${code.padStart(2, "0")}` : code.length < 5 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`);
});

/** Escape the same characters except line breaks and tabs. */
export const visibleLines = (text) => text.split(/([\n\t])/).map((part, place) => (place % 2 ? part : visible(part))).join("");

/** Escape the same characters as JSON does, so that a copy is still JSON. */
export const visibleJson = (text) => text.replace(HIDDEN, (char) =>
  char === "\n" ? char : char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""));

/** Cut a text to at most `most` characters. */
export const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1).toWellFormed()}…` : text);

/** Display form of an identifier, which may be empty or very long. */
export const name = (id) => (id === "" ? "(empty name)" : cut(id, 200));

/** Turn a text into a file name that every system accepts. */
export const fileName = (text) => cut(text.replace(HIDDEN, "_").replace(/[^\p{L}\p{N} _.-]/gu, "_").replace(/^[ .]+|[ .]+$/g, ""), 60) || "store";

/** The first part of a run's id, enough to compare by eye. */
export const short = (runId) => runId.slice(0, 8);

/** "step_target_failed" → "step target failed" */
export const words = (text) => text.replaceAll("_", " ");
