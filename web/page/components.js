/** Components that several views share: headings with tabs, empty states, documents. */
import { fill, h } from "./dom.js";
import { count, visibleJson } from "./format.js";
import { link, route } from "./route.js";

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
