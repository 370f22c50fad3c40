/** The demo: a flow played through the real stores by the tab that has the claim, one commit for each move. It continues while other views are shown. */
import { claimText, heading, secondTab } from "./components.js";
import { button, fill, h, pill } from "./dom.js";
import { count, short } from "./format.js";
import { showError } from "./notices.js";
import { link } from "./route.js";
import { tabName } from "./tabs.js";

const PAUSE = 900; // milliseconds between moves, so that a user can follow
const SHOWN = 60; // moves in the list

/** Player of the demo; dispatches `change`. The session storage records that it plays, so a reload continues. */
export class Player extends EventTarget {
  demo = null;
  moves = [];
  #busy = false;
  #timer;

  constructor(app) {
    super();
    this.app = app;
    this.#timer = setTimeout(() => this.#advance(), PAUSE);
  }

  get playing() {
    return sessionStorage.playing === this.app.store;
  }

  async refresh() {
    const { demo, ended, app } = this;
    const now = await app.call("demo_state"); // of runs that are not complete
    if (now.run_id !== null || !demo || app.overview?.empty) this.demo = now;
    else if (!ended) {
      const run = await app.call("run", { run_id: demo.run_id }).catch(() => null); // another tab made the last move
      this.demo = run ? { ...demo, done: demo.of, status: run.header.status, claim: run.header.claim, next: "" } : now;
    }
    this.dispatchEvent(new Event("change"));
  }

  async start() {
    if (this.#busy) return; // a double click
    this.#busy = true;
    try {
      this.moves = [];
      this.demo = await this.app.call("demo_start");
    } finally {
      this.#busy = false;
      this.dispatchEvent(new Event("change"));
    }
  }

  /** Make a move; `keep` the claim for the next one, and wait for it without a message if another tab holds it. */
  async step(keep = false) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const move = await this.app.call("demo_move", { run_id: this.demo.run_id, who: tabName, keep });
      this.demo = move.demo;
      if (move.outcome !== "held" || !keep) this.moves.unshift(move);
      if (this.ended || move.outcome === "lost") this.pause();
    } catch (error) {
      this.pause();
      throw error;
    } finally {
      this.#busy = false;
      this.dispatchEvent(new Event("change"));
    }
  }

  /** Take the claim from the tab that has it, and play on. */
  async takeOver() {
    await this.app.call("demo_take_over", { run_id: this.demo.run_id });
    await this.play();
  }

  async play() {
    sessionStorage.playing = this.app.store;
    await this.#advance(true);
  }

  /** Make the next move and schedule the one after it, until the run is complete or the player is paused. */
  async #advance(restart = false) {
    if (!this.playing || this.app.player !== this) return;
    try {
      if (!this.demo) await this.refresh();
      if (this.ended && restart) await this.start();
      if (this.ended) return this.pause();
      await this.step(true);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#advance(), PAUSE);
    } catch (error) {
      this.pause();
      showError(error);
    }
  }

  pause() {
    delete sessionStorage.playing;
    this.app.call("demo_release").catch(showError);
    this.dispatchEvent(new Event("change"));
  }

  get ended() {
    return !this.demo?.run_id || this.demo.done >= this.demo.of;
  }
}

const OUTCOMES = {
  made: ({ summary, epoch }) => [summary, `Claim of this tab, epoch ${epoch}`],
  held: ({ demo }) => ["Not this tab's turn", `The run is ${claimText(demo.claim) || "claimed by another tab"}. Nothing was tried.`],
  lost: ({ summary, epoch, reason }) => [`Claim lost${summary && `: ${summary}`}`,
    `This tab no longer has its claim, epoch ${epoch}: ${reason}. The fence rejected the move, and nothing of it was written.`],
  late: ({ summary }) => [`Too late: ${summary}`, "The run had changed. Nothing was written."],
  ended: () => ["No move left", "Another tab has ended the run."],
};

function moveItem(move) {
  const [title, text] = OUTCOMES[move.outcome](move);
  const made = move.outcome === "made";
  return h("li", { class: made ? "" : "lost" }, h("h2", {}, title), h("p", { class: made && "quiet" }, text),
    h("ul", {}, move.expected.map((state, place) => h("li", {}, h("span", { class: "was" }, state), ` → ${made ? move.next[place] : "not swapped"}`))));
}

export function demoView(app) {
  const { player } = app;
  const guarded = (action) => () => action().catch(showError);
  const start = button("Start a flow", guarded(() => player.start()));
  const step = button("Step", guarded(() => player.step()));
  const play = button("Play", () => (player.playing ? player.pause() : player.play()), { class: "primary" });
  const takeOver = button("Take over", guarded(() => player.takeOver()));
  const made = h("p", { role: "status" });
  const next = h("div", {});
  const log = h("ol", { class: "moves", "aria-label": "Moves made in this tab, newest first" });
  const element = h("section", { class: "view" },
    heading({ title: "Play a flow" }),
    h("p", { class: "lead" }, "Three members write a story. This tab claims the run, then makes its moves. Each move is one commit in the real "
      + "store: it compares the stored state with the state that was read, swaps it, and is fenced by the claim. Reload in the middle, or open a "
      + "second tab: it waits until the claim is released or expires, or it takes the run over. Then the fence rejects the moves of the first tab."),
    h("div", { class: "actions" }, start, play, step, takeOver, secondTab()),
    h("div", { class: "stand" }, made, next), log);

  function show() {
    const { demo, moves, playing, ended } = player;
    play.textContent = playing ? "Pause" : "Play";
    step.disabled = playing || ended;
    start.disabled = playing;
    const { claim } = demo ?? {};
    const own = claim?.holder === tabName;
    takeOver.hidden = claim?.state !== "held" || own;
    if (demo?.run_id) {
      fill(made, `${count(demo.done)} of ${count(demo.of, "move")} made`, pill(demo.status),
        h("span", {}, claimText(own ? { ...claim, holder: "this tab" } : claim)), playing && !own && !ended && "This tab waits for the claim.");
    }
    else fill(made, "No flow is running. Start one, or press Play.");
    fill(next, demo?.run_id && [
      h("progress", { max: demo.of, value: demo.done, "aria-label": "Moves made" }),
      h("p", {}, ended ? "The flow is complete. " : `Next: ${demo.next}. `,
        h("a", { href: link({ run: demo.run_id }) }, `Open run ${short(demo.run_id)}`))]);
    fill(log, moves.slice(0, SHOWN).map(moveItem));
  }

  player.addEventListener("change", show);
  return {
    element,
    refresh: () => player.refresh(),
    close: () => player.removeEventListener("change", show),
  };
}
