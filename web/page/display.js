/**
 * Displays of mobstore as elements. They come as nested lists from Python, where a user's code may have changed them.
 * So only known elements, attributes and properties are created; no text is parsed as HTML or CSS.
 * Their own style sheet applies in a shadow root, to them alone.
 */
import { h } from "./dom.js";

const ELEMENTS = new Set(["b", "code", "details", "div", "span", "summary", "table", "tbody", "td", "th", "thead", "tr"]);
const ATTRIBUTES = new Set(["class", "colspan", "data-status", "scope", "title"]);
const PROPERTIES = new Set(["--ms-depth", "--ms-step", "height", "left", "right", "top", "width"]);
const LENGTH = /^\d{1,6}(\.\d{1,3})?(px|%)?$/;
const MOST = 20_000; // elements and texts; a display of mobstore has a few thousand
const DEEPEST = 50;

const ADAPTATION = new CSSStyleSheet();
ADAPTATION.replaceSync(`
  .mobstore-display { color-scheme: inherit; max-width: none; padding: 0; background: none; font-size: 0.9rem;
    --ms-text: var(--text); --ms-quiet: var(--quiet); --ms-edge: var(--edge); --ms-ground: var(--surface); --ms-raised: var(--raised);
    --ms-good: var(--good); --ms-busy: var(--busy); --ms-bad: var(--bad); }
  .mobstore-display .ms-scroll { overflow: visible; }
  summary { min-height: 24px; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }`);

/**
 * @param {CSSStyleSheet} sheet  the style sheet of displays
 * @param {Array} tree  [element, attributes, style, children], each child a text or such a list
 * @returns {HTMLElement}
 * @throws {TypeError} the tree is none of mobstore's, or is too large
 */
export function displayOf(sheet, tree) {
  let left = MOST;
  const build = (node, depth) => {
    if (--left < 0 || depth > DEEPEST) throw new TypeError("the display is too large");
    if (typeof node === "string") return node;
    const [kind, attributes, style, children] = node;
    if (!ELEMENTS.has(kind)) throw new TypeError("the display has an unknown element");
    const allowed = Object.entries(attributes).filter(([name, value]) => ATTRIBUTES.has(name) && typeof value === "string");
    const element = h(kind, Object.fromEntries(allowed), children.map((child) => build(child, depth + 1)));
    for (const [name, value] of Object.entries(style)) {
      if (PROPERTIES.has(name) && LENGTH.test(value)) element.style.setProperty(name, value);
    }
    return element;
  };
  const host = h("div", { class: "display", tabindex: 0, role: "group", "aria-label": "Display" });
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet, ADAPTATION];
  root.append(build(tree, 0));
  return host;
}
