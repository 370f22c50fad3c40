/** Plays a flow through the real stores: each move is one commit that compares and swaps. It goes on while one looks elsewhere. */
import { button, fill, h, pill } from "./dom.js";
import { count, short } from "./format.js";
import { problem } from "./notices.js";
import { heading, secondTab } from "./parts.js";
import { link } from "./route.js";

const PAUSE = 900; // milliseconds between moves, so that one can follow
const SHOWN = 60; // moves

/** What is being played; dispatches `change`. Whether it plays is remembered by the tab, so that a reload goes on. */
export class Player extends EventTarget {
  demo = null;
  moves = [];
  #busy = false;
  #timer;

  constructor(app) {
    super();
    this.app = app;
    this.#timer = setTimeout(() => this.#go(), PAUSE);
  }

  get playing() {
    return sessionStorage.playing === this.app.store;
  }

  async look() {
    const { demo, ended, app } = this;
    const now = await app.call("demo_state"); // of runs that have not ended
    if (now.run_id !== null || !demo || app.overview?.empty) this.demo = now;
    else if (!ended) {
      const run = await app.call("run", { run_id: demo.run_id }).catch(() => null); // another tab made the last move
      this.demo = run ? { ...demo, done: demo.of, status: run.header.status, next: "" } : now;
    }
    this.dispatchEvent(new Event("change"));
  }

  async start() {
    this.moves = [];
    this.demo = await this.app.call("demo_start");
    this.dispatchEvent(new Event("change"));
  }

  async step() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const move = await this.app.call("demo_move", { run_id: this.demo.run_id });
      this.demo = move.demo;
      this.moves.unshift(move);
      if (this.ended) this.pause();
    } catch (error) {
      this.pause();
      throw error;
    } finally {
      this.#busy = false;
      this.dispatchEvent(new Event("change"));
    }
  }

  async play() {
    sessionStorage.playing = this.app.store;
    await this.#go(true);
  }

  /** Move after move, while it plays and until the run ends, whichever tab ends it. */
  async #go(anew = false) {
    if (!this.playing || this.app.player !== this) return;
    try {
      if (!this.demo) await this.look();
      if (this.ended && anew) await this.start();
      if (this.ended) return this.pause();
      await this.step();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#go(), PAUSE);
    } catch (error) {
      this.pause();
      problem(error);
    }
  }

  pause() {
    delete sessionStorage.playing;
    this.dispatchEvent(new Event("change"));
  }

  get ended() {
    return !this.demo?.run_id || this.demo.done >= this.demo.of;
  }
}

const told = ({ won, what, compared, swapped }) => h("li", { class: won ? "" : "lost" },
  h("h2", {}, won ? what : `Too late${what && `: ${what}`}`),
  won || h("p", {}, "Another tab had moved first. Nothing was changed."),
  h("ul", {}, compared.map((state, place) => h("li", {}, h("span", { class: "was" }, state), ` → ${won ? swapped[place] : "not swapped"}`))));

export function demoView(app) {
  const { player } = app;
  const at = (action) => () => action().catch(problem);
  const start = button("Start a flow", at(() => player.start()));
  const step = button("Step", at(() => player.step()));
  const play = button("Play", () => (player.playing ? player.pause() : player.play()), { class: "primary" });
  const made = h("p", { role: "status" });
  const next = h("div", {});
  const log = h("ol", { class: "moves", "aria-label": "Moves made in this tab, newest first" });
  const element = h("section", { class: "view" },
    heading({ title: "Play a flow" }),
    h("p", { class: "lead" }, "Three members write a story, by the real stores: each move is one commit that compares a state with what "
      + "was read, and swaps it. If another tab was faster, nothing is changed and the move is tried again. Reload in the middle, or open a "
      + "second tab: both stay in step."),
    h("div", { class: "actions" }, start, play, step, secondTab()),
    h("div", { class: "stand" }, made, next), log);

  function show() {
    const { demo, moves, playing, ended } = player;
    play.textContent = playing ? "Pause" : "Play";
    step.disabled = playing || ended;
    start.disabled = playing;
    if (demo?.run_id) fill(made, `${count(demo.done)} of ${count(demo.of, "move")} made`, pill(demo.status));
    else fill(made, "No flow is under way. Start one, or press Play.");
    fill(next, demo?.run_id && [
      h("progress", { max: demo.of, value: demo.done, "aria-label": "Moves made" }),
      h("p", {}, ended ? "The flow has ended. " : `Next: ${demo.next}. `,
        h("a", { href: link({ run: demo.run_id }) }, `Look at run ${short(demo.run_id)}`))]);
    fill(log, moves.slice(0, SHOWN).map(told));
  }

  player.addEventListener("change", show);
  return {
    element,
    refresh: () => player.look(),
    close: () => player.removeEventListener("change", show),
  };
}
