/** A list of any length with details of its current row, beside the list or over it on a narrow screen. */
import { button, fill, h } from "./dom.js";
import { showError } from "./notices.js";
import { VirtualList } from "./virtual-list.js";

export class Explorer {
  #title = h("h2", {});
  #body = h("div", { class: "body" });
  #turn = 0;

  /**
   * @param {Object} options  those of VirtualList, and
   * @param {*} [options.above]  content above the list
   * @param {(index: number) => Promise<*[]>} options.details  resolves to title and content of the details of a row
   */
  constructor({ above = [], details, ...options }) {
    this.list = new VirtualList({ ...options, choose: (index) => this.#show(() => details(index)) });
    this.panel = h("aside", { class: "panel", "aria-label": "Details", hidden: true },
      h("div", { class: "line" }, this.#title, button("Close", () => this.#close())), this.#body);
    this.element = h("div", { class: "split", onkeydown: (event) => this.#onKey(event) },
      h("div", { class: "listing" }, above, this.list.element), this.panel);
  }

  async #show(read) {
    const turn = ++this.#turn;
    try {
      const [title, ...content] = await read();
      if (turn !== this.#turn) return; // another row has become current, or the details were closed
      fill(this.#title, title);
      fill(this.#body, content);
      this.#body.scrollTop = 0;
      this.panel.hidden = false;
    } catch (error) {
      showError(error);
    }
  }

  #onKey(event) {
    if (event.key !== "Escape" || this.panel.hidden) return;
    event.preventDefault(); // a notice stays
    this.#close();
  }

  #close() {
    this.#turn++;
    this.panel.hidden = true;
    this.list.element.focus();
  }
}
