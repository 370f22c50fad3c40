/** Making elements. Stored text goes in as text nodes only, so it is shown and never run; what it would hide is escaped. */
import { visible } from "./format.js";

const READ = new Set(["aria-label", "placeholder", "title"]); // attributes that people read

/**
 * @param {string} tag
 * @param {Object<string, *>} attributes  `onclick` and the like add listeners; false and null are left out
 * @param {...*} children  elements, text, numbers, arrays of these; null, true and false are left out
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : READ.has(name) ? visible(String(value)) : value);
  }
  element.append(...content(children, tag === "pre"));
  return element;
}

/** Replace what is in `element`; the focus stays on what looks the same. */
export function fill(element, ...children) {
  const focus = document.activeElement;
  const inside = focus !== element && element.contains(focus);
  element.replaceChildren(...content(children));
  if (inside) {
    const alike = (found) => found.href === focus.href && found.textContent === focus.textContent;
    const same = [...element.querySelectorAll(focus.tagName)].find(alike);
    // Where nothing of it is left, the keyboard goes on from the content.
    const next = element.contains(focus) ? focus : (same ?? document.getElementById("main"));
    next.focus({ preventScroll: true });
  }
  return element;
}

/** As `fill`, but what looks the same is left alone; for content without listeners. */
export function renew(element, ...children) {
  const wanted = element.cloneNode(false);
  wanted.append(...content(children));
  if (!element.isEqualNode(wanted)) fill(element, ...wanted.childNodes);
}

/** Set text, but leave the node alone if it says so already. */
export function say(element, text) {
  const seen = visible(String(text));
  if (element.textContent !== seen) element.textContent = seen;
}

export const button = (text, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, text);

/** Set the texts of cells; undefined leaves one alone. */
export const sayAll = (cells, texts) => texts.forEach((text, column) => text !== undefined && say(cells[column], text));

/** Show a status in a cell that may show it already. */
export function sayStatus(cell, status) {
  if (cell.firstChild?.dataset?.status !== status) cell.replaceChildren(pill(status));
}

/** A status in words, with a mark and a colour of its own. */
export const pill = (status) => h("span", { class: "pill", "data-status": status }, status);

/** Children as nodes and as text that hides nothing; `lines`: line breaks stay. */
function content(children, lines = false) {
  const shown = (text) => (lines ? text.split("\n").map(visible).join("\n") : visible(text));
  return children.flat(Infinity).filter((child) => child != null && typeof child !== "boolean")
    .map((child) => (child instanceof Node ? child : shown(String(child))));
}
