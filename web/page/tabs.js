/** Other tabs on the same store: their names, and invitations to a race. */

/** The name of this tab. */
export const tabName = `tab ${Math.random().toString(36).slice(2, 5)}`;

export class Tabs extends EventTarget {
  others = new Set();
  #left = new AbortController();

  /** Dispatches `others` when tabs come or go, and `race` (detail: its run_id). */
  constructor(store) {
    super();
    this.channel = new BroadcastChannel(`mobstore-page:${store}`);
    this.channel.onmessage = ({ data }) => this.#receive(data);
    const { signal } = this.#left;
    addEventListener("pagehide", () => this.#send("gone"), { signal });
    addEventListener("pageshow", () => this.#send("hello"), { signal });
    this.#send("hello");
  }

  close() {
    this.#send("gone");
    this.#left.abort();
    this.channel.close();
  }

  invite(runId) {
    this.#send("race", { run_id: runId });
  }

  #send(kind, more) {
    this.channel.postMessage({ kind, tab: tabName, ...more });
  }

  #receive({ kind, tab, ...detail }) {
    if (kind === "hello") this.#send("here");
    if (kind === "hello" || kind === "here") this.others.add(tab);
    if (kind === "gone") this.others.delete(tab);
    this.dispatchEvent(new CustomEvent(kind === "race" ? kind : "others", { detail }));
  }
}
