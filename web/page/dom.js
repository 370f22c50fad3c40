/** DOM helpers. Stored text becomes text nodes only, so it never runs; invisible characters in it are escaped. */
import { visible } from "./format.js";

const READ = new Set(["aria-label", "placeholder", "title"]); // attributes that users read

/**
 * @param {string} tag
 * @param {Object<string, *>} attributes  names such as `onclick` add listeners; false and null are skipped
 * @param {...*} children  elements, texts, numbers, arrays of these; null, true and false are skipped
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

/** Replace the children of `element`; an equal new child keeps the focus. */
export function fill(element, ...children) {
  return change(element, () => element.replaceChildren(...content(children)));
}

/**
 * Replace those parts of `element` that differ from these children. Equal ones stay: a click on an element that is
 * replaced before the button is released would be lost. They keep their listeners, which must not depend on data.
 */
export function fillIfChanged(element, ...children) {
  const wanted = element.cloneNode(false);
  wanted.append(...content(children));
  if (!element.isEqualNode(wanted)) change(element, () => match(element, wanted));
}

function match(element, wanted) {
  const [present, following] = [[...element.childNodes], [...wanted.childNodes]];
  following.forEach((child, place) => {
    const old = present[place];
    if (!old) element.append(child);
    else if (old.isEqualNode(child)) return;
    else if (old instanceof Element && old.cloneNode(false).isEqualNode(child.cloneNode(false))) match(old, child);
    else old.replaceWith(child);
  });
  for (const old of present.slice(following.length)) old.remove();
}

/** Change the children of `element`, and keep the focus inside. */
function change(element, work) {
  const focus = document.activeElement;
  const inside = focus !== element && element.contains(focus);
  work();
  if (inside && document.activeElement !== focus) {
    const alike = (found) => found.href === focus.href && found.textContent === focus.textContent;
    const same = [...element.querySelectorAll(focus.tagName)].find(alike);
    // Without an equal child, the keyboard continues from the main content.
    const next = element.contains(focus) ? focus : (same ?? document.getElementById("main"));
    next.focus({ preventScroll: true });
  }
  return element;
}

/** Set the text of an element unless it is equal. */
export function setText(element, text) {
  const seen = visible(String(text));
  if (element.textContent !== seen) element.textContent = seen;
}

export const button = (text, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, text);

/** Set the texts of cells; undefined leaves a cell unchanged. */
export const setTexts = (cells, texts) => texts.forEach((text, column) => text !== undefined && setText(cells[column], text));

/** Show a status in a cell unless it is equal. */
export function setStatus(cell, status) {
  if (cell.firstChild?.dataset?.status !== status) cell.replaceChildren(pill(status));
}

/** A status with its mark and colour. */
export const pill = (status) => h("span", { class: "pill", "data-status": status }, status);

/** Flatten children to nodes and escaped texts; `lines` keeps line breaks. */
function content(children, lines = false) {
  const escaped = (text) => (lines ? text.split("\n").map(visible).join("\n") : visible(text));
  return children.flat(Infinity).filter((child) => child != null && typeof child !== "boolean")
    .map((child) => (child instanceof Node ? child : escaped(String(child))));
}
