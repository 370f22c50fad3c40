/** Components that several views share: headings with tabs, empty states, documents. */
import { fill, fillIfChanged, h } from "./dom.js";
import { count, formatTime, name, visible, visibleJson } from "./format.js";
import { link, route } from "./route.js";

const SUGGESTIONS = 200;
let suggested = 0; // lists of suggestions

/**
 * The heading of a view.
 * @param {Object} head
 * @param {*} head.title
 * @param {*} [head.above]  a link to the parent
 * @param {*[]} [head.facts]
 * @param {[string, Object][]} [head.tabs]  titles and routes; the address marks the current one
 * @param {*[]} [head.actions]
 */
export function heading({ title, above, facts = [], tabs = [], actions = [] }) {
  const here = link(current());
  return h("header", { class: "heading" },
    above && h("p", { class: "above" }, above),
    h("div", { class: "line" }, h("h1", {}, title), h("div", { class: "actions" }, actions)),
    facts.length > 0 && h("ul", { class: "facts" }, facts.map((fact) => h("li", {}, fact))),
    tabs.length > 0 && h("nav", { class: "tabs", "aria-label": "Views" },
      tabs.map(([text, place]) => h("a", { href: link(place), "aria-current": link(place) === here && "page" }, text))));
}

/** The current route without its filters. */
function current() {
  const place = route();
  return Object.fromEntries(["mob", "run", "page", "tab"].filter((key) => key in place).map((key) => [key, place[key]]));
}

export const empty = (title, text, ...actions) =>
  h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "actions" }, actions));

/** A link styled as a button. */
export const linkTo = (text, place, attributes = {}) => h("a", { class: "button", href: link(place), ...attributes }, text);

/** A link to the same route in another tab. */
export const secondTab = () => linkTo("Open a second tab", route(), { target: "_blank", rel: "noopener" });

export const labelled = (text, control) => h("label", {}, h("span", {}, text), control);
export const choice = (text, control) => h("label", { class: "check" }, control, h("span", {}, text));

/** A text field with suggestions, which are collected from the content of the view. */
export function suggestions(changed) {
  const known = new Set();
  const list = h("datalist", { id: `suggestions-${++suggested}` });
  const control = h("input", { type: "search", list: list.id, autocomplete: "off", oninput: () => changed(control.value) });
  return {
    control, list,
    suggest(values) {
      for (const value of values) if (value && known.size < SUGGESTIONS && visible(value) === value) known.add(value);
      fillIfChanged(list, [...known].map((value) => h("option", { value })));
    },
  };
}

/** The words for a claim: who holds it, in which epoch, until when. */
export function claimText(claim) {
  if (!claim) return "";
  const time = timeOfDay(claim.due_at);
  if (claim.state === "put_off") return `put off until ${time}`;
  const held = `held by ${name(claim.holder)}, epoch ${claim.epoch}`;
  return claim.state === "held" ? `${held}, until ${time}` : `${held}, expired ${time}`;
}

/** A time of today as "12:03:04", any other one with its date. */
function timeOfDay(timestamp) {
  const text = formatTime(timestamp).replace(/\.\d*$/, "");
  return text.startsWith(new Date().toISOString().slice(0, 10)) ? text.slice(11) : text;
}

/** A list of names and values, without the pairs that have no value. */
export function pairs(entries) {
  const known = entries.filter(([, value]) => value != null && value !== "");
  return h("dl", { class: "pairs" }, known.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
}

/** A remark about items that are not shown; nothing if there are none. */
export const leftOut = (number, what, where) =>
  number > 0 && h("p", { class: "quiet" }, `${count(number)} more ${what} not shown here: ${where}.`);

/** Read the document of a reference and show it. */
export async function documentOf(app, ref) {
  const { text, stored, note } = await app.call("document", { ref });
  return h("div", { class: "document" }, note && h("p", { class: "quiet" }, note), h("pre", { tabindex: 0, "aria-label": "Content" }, visibleJson(text)),
    h("details", {}, h("summary", {}, "As stored"), h("pre", { class: "stored", tabindex: 0, "aria-label": "As stored" }, visibleJson(stored))));
}

/** A title that opens a document; it is read and decoded only then. */
export function openable(app, title, ref, open = false) {
  const body = h("div", {}, h("p", { class: "quiet" }, "Reading…"));
  let requested = false;
  return h("details", {
    open,
    async ontoggle({ target }) {
      if (!target.open || requested) return;
      requested = true;
      try {
        fill(body, await documentOf(app, ref));
      } catch (error) {
        requested = false;
        fill(body, h("p", { class: "problem" }, `${error.message} ${error.wayOut ?? ""}`));
      }
    },
  }, h("summary", {}, title), body);
}
