/**
 * A list of any length that keeps only its visible rows in the document.
 *
 * It is a grid or a tree grid with rows of one height, the `--row` of the style sheet. One row may be current: a click, the
 * arrow keys, Page Up, Page Down, Home and End move it, and Enter opens it. Row elements are reused while the list scrolls.
 */
import { fill, h } from "./dom.js";

const TALLEST = 15_000_000; // pixels; browsers clip taller elements, so longer lists scroll in larger strides
const SPARE = 4; // rows above and below the visible ones
let lists = 0;

export class VirtualList {
  current = -1;
  #id = `list-${++lists}`;
  #count = 0;
  #slots = [];
  #height = 36; // of a row
  #head = 0; // height of the column titles
  #stride = 1; // distance in the list for a pixel of scrolling
  #frame = 0;
  #settling = 0;
  #rested = -1; // position at the last check

  /**
   * @param {Object} options
   * @param {string} options.label  the list's accessible name
   * @param {string} options.kind   a class that selects the columns in the style sheet
   * @param {string[]} options.columns  titles
   * @param {(cells: HTMLElement[], index: number, row: HTMLElement) => void} options.fill  fills the cells of a row
   * @param {(index: number, opened: boolean) => void} [options.choose]  the current row changed; opened: by click or Enter
   * @param {(first: number, end: number) => void} [options.settled]  rows that are in view after scrolling
   * @param {(index: number, open: boolean) => void} [options.expand]  makes it a tree: expand or collapse a row
   */
  constructor(options) {
    this.options = { choose() {}, settled() {}, ...options };
    this.rows = h("div", { class: "rows", role: "rowgroup" });
    const titles = options.columns.map((title) => h("div", { role: "columnheader" }, title));
    this.element = h("div", {
      class: `grid ${options.kind}`, role: options.expand ? "treegrid" : "grid", tabindex: 0, "aria-label": options.label,
      onscroll: () => this.#scheduleRender(), onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event),
    }, h("div", { class: "head", role: "rowgroup" }, h("div", { class: "row", role: "row", "aria-rowindex": 1 }, titles)), this.rows);
    new ResizeObserver(() => this.#measure()).observe(this.element);
  }

  /** Show `count` rows and refill them; the current row stays unless `current` is given. More may follow unless it is complete. */
  update(count, current = this.current, complete = true) {
    this.#count = count;
    this.current = current < count ? current : -1;
    this.element.setAttribute("aria-rowcount", complete ? count + 1 : -1);
    this.#measure();
  }

  /** Refill the visible rows, after their data has arrived. */
  refill() {
    for (const slot of this.#slots) slot.index = -1;
    this.#render();
  }

  /** Make a row current and bring it into view. */
  go(index, opened = false) {
    for (const slot of this.#slots) slot.row.setAttribute("aria-selected", slot.index === index);
    this.current = index;
    const view = this.element.clientHeight - this.#head;
    const top = this.#top();
    const wanted = Math.min(Math.max(top, (index + 1) * this.#height - view), index * this.#height);
    if (wanted !== top) this.element.scrollTop = wanted / this.#stride;
    this.#render();
    this.options.choose(index, opened);
  }

  #top() {
    return this.element.scrollTop * this.#stride;
  }

  #measure() {
    const first = this.#top() / this.#height;
    this.#height = parseFloat(getComputedStyle(this.element).getPropertyValue("--row"));
    this.#head = this.rows.offsetTop;
    const view = this.element.clientHeight - this.#head;
    const all = this.#count * this.#height;
    const tall = Math.min(all, TALLEST);
    this.#stride = all > tall ? (all - view) / (tall - view) : 1;
    this.rows.style.height = `${tall}px`;
    this.element.scrollTop = (first * this.#height) / this.#stride;
    const slots = Math.min(this.#count, Math.ceil(Math.max(view, 0) / this.#height) + 1 + 2 * SPARE);
    if (slots !== this.#slots.length) {
      this.#slots = Array.from({ length: slots }, (_, number) => {
        const cells = this.options.columns.map(() => h("div", { role: "gridcell" }));
        return { index: -1, y: -1, cells, row: h("div", { class: "row", role: "row", id: `${this.#id}-${number}` }, cells) };
      });
      fill(this.rows, this.#slots.map((slot) => slot.row));
    }
    this.refill();
  }

  #scheduleRender() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    const top = this.#top();
    const first = Math.max(0, Math.floor(top / this.#height) - SPARE);
    const end = Math.min(this.#count, first + this.#slots.length);
    const shift = top - this.element.scrollTop;
    let current = null;
    for (let index = end - this.#slots.length; index < end; index++) {
      const slot = this.#slots[index % this.#slots.length];
      if (slot.index !== index) {
        slot.index = index;
        slot.row.setAttribute("aria-rowindex", index + 2);
        slot.row.setAttribute("aria-selected", index === this.current);
        this.options.fill(slot.cells, index, slot.row);
      }
      const y = index * this.#height - shift;
      if (slot.y !== y) slot.row.style.transform = `translateY(${(slot.y = y)}px)`;
      if (index === this.current) current = slot.row;
    }
    if (current) this.element.setAttribute("aria-activedescendant", current.id);
    else this.element.removeAttribute("aria-activedescendant");
    this.#settling ||= setTimeout(() => this.#settle(), 80);
  }

  /** Runs repeatedly while the list scrolls, and once after it. */
  #settle() {
    const top = this.#top();
    this.#settling = top === this.#rested ? 0 : setTimeout(() => this.#settle(), 80);
    if (!this.#settling) {
      const ordered = [...this.#slots].sort((a, b) => a.index - b.index); // the order for screen readers and for copies
      if (ordered.some((slot, place) => this.rows.children[place] !== slot.row)) this.rows.append(...ordered.map((slot) => slot.row));
    }
    const fast = Math.abs(top - this.#rested) > this.element.clientHeight; // too fast to read
    this.#rested = top;
    const end = Math.ceil((top + this.element.clientHeight) / this.#height);
    if (!fast) this.options.settled(Math.floor(top / this.#height), Math.min(this.#count, end));
  }

  #click(event) {
    const slot = this.#slots.find((slot) => slot.row.contains(event.target));
    if (!slot || event.defaultPrevented || event.target.closest("a")) return;
    if (this.options.expand && event.target.closest(".twist")) {
      this.options.expand(slot.index, slot.row.getAttribute("aria-expanded") !== "true");
    } else this.go(slot.index, true);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.#count) return;
    const page = Math.max(1, Math.floor((this.element.clientHeight - this.#head) / this.#height) - 1);
    const at = this.current < 0 ? Math.floor(this.#top() / this.#height) - 1 : this.current;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.#count - 1 }[event.key];
    if (to !== undefined) this.go(Math.min(Math.max(to, 0), this.#count - 1));
    else if (event.key === "Enter" && this.current >= 0) this.go(this.current, true);
    else if (this.options.expand && this.current >= 0 && ["ArrowRight", "ArrowLeft"].includes(event.key)) {
      this.options.expand(this.current, event.key === "ArrowRight");
    } else return;
    event.preventDefault();
  }
}
