/** Parts that several areas share: headings with tabs, empty places, documents that open. */
import { fill, h } from "./dom.js";
import { count, visibleJson } from "./format.js";
import { link, route } from "./route.js";

/**
 * The head of an area.
 * @param {Object} head
 * @param {*} head.title
 * @param {*} [head.above]  where it belongs
 * @param {*[]} [head.facts]
 * @param {[string, Object][]} [head.tabs]  titles and places; the current one is told by the address
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

/** The place without what only filters it. */
function current() {
  const place = route();
  return Object.fromEntries(["mob", "run", "page", "tab"].filter((key) => key in place).map((key) => [key, place[key]]));
}

export const empty = (title, text, ...actions) =>
  h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "actions" }, actions));

/** A link that looks like a button. */
export const linkTo = (text, place, attributes = {}) => h("a", { class: "button", href: link(place), ...attributes }, text);

/** The same place once more. */
export const secondTab = () => linkTo("Open a second tab", route(), { target: "_blank", rel: "noopener" });

export const labelled = (text, control) => h("label", {}, h("span", {}, text), control);
export const choice = (text, control) => h("label", { class: "check" }, control, h("span", {}, text));

/** A list of names and values; those without a value are left out. */
export function pairs(entries) {
  const known = entries.filter(([, value]) => value != null && value !== "");
  return h("dl", { class: "pairs" }, known.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
}

/** That more is there than is shown; nothing if there is not. */
export const leftOut = (number, what, where) =>
  number > 0 && h("p", { class: "quiet" }, `${count(number)} more ${what} not shown here: ${where}.`);

/** What a reference leads to, decoded now. */
export async function documentOf(app, ref) {
  const { text, stored, note } = await app.call("document", { ref });
  return h("div", { class: "document" }, note && h("p", { class: "quiet" }, note), h("pre", { tabindex: 0, "aria-label": "Content" }, visibleJson(text)),
    h("details", {}, h("summary", {}, "As stored"), h("pre", { class: "stored", tabindex: 0, "aria-label": "As stored" }, visibleJson(stored))));
}

/** A title that opens what a reference leads to, which is read and decoded only then. */
export function openable(app, title, ref, open = false) {
  const body = h("div", {}, h("p", { class: "quiet" }, "Reading…"));
  let asked = false;
  return h("details", {
    open,
    async ontoggle({ target }) {
      if (!target.open || asked) return;
      asked = true;
      try {
        fill(body, await documentOf(app, ref));
      } catch (error) {
        asked = false;
        fill(body, h("p", { class: "problem" }, `${error.message} ${error.wayOut ?? ""}`));
      }
    },
  }, h("summary", {}, title), body);
}
