/** Several tabs compare-and-swap one run as fast as they can; who won each round is read from the run itself. */
import { button, fill, h, say } from "./dom.js";
import { count, name, short } from "./format.js";
import { news, problem } from "./notices.js";
import { empty, heading, secondTab } from "./parts.js";
import { link, note } from "./route.js";
import { me } from "./tabs.js";

const ROUNDS = 50;
const MARKS = "ABCDEF"; // the style sheet has colours for as many

export function raceView(app, place) {
  let runId = place.run;
  let known = "";
  const others = h("p", { role: "status" });
  const begin = button("Race another tab", () => start().catch(problem), { class: "primary" });
  const result = h("div", { class: "race" });
  const element = h("section", { class: "view" }, heading({ title: "Race another tab" }),
    h("p", { class: "lead" }, `All tabs on this store compare-and-swap the state of one run, ${ROUNDS} rounds long, as fast as they can. `
      + "Each round has one winner; whoever comes too late reads again. No update is lost and none is made twice."),
    h("div", { class: "actions" }, begin, secondTab()), others, result);

  async function start() {
    begin.disabled = true;
    try {
      const race = await app.call("race_open", { rounds: ROUNDS });
      runId = race.run_id;
      note({ page: "race", run: runId });
      app.tabs.invite(runId);
      await takePart(app, runId, refresh);
    } finally {
      begin.disabled = !app.durable;
      await refresh();
    }
  }

  async function refresh() {
    const there = [...app.tabs.others];
    say(others, !app.durable ? "This store is in memory only, so that no other tab can see it."
      : there.length === 0 ? `This is ${me}. No other tab is open on this store: open a second one first.`
      : `This is ${me}. ${count(there.length, "other tab")} on this store: ${there.join(", ")}.`);
    if (!runId) return fill(result, empty("No race yet", "Open this page in a second tab, then start the race in either of them."));
    const race = await app.call("race_state", { run_id: runId });
    if (JSON.stringify(race) === known) return;
    known = JSON.stringify(race);
    fill(result, score(race), h("p", {}, h("a", { href: link({ run: runId, tab: "state" }) }, `Look at run ${name(short(runId))}`)));
  }

  begin.disabled = !app.durable;
  const told = () => refresh().catch(problem);
  app.tabs.addEventListener("others", told);
  return { element, refresh, close: () => app.tabs.removeEventListener("others", told) };
}

/** Who won, by letters and colours. */
function score({ rounds, winners, over }) {
  const names = [...new Set([me, ...winners])];
  const label = (name) => (name === me ? `${name} (this one)` : name);
  const mark = (name) => names.indexOf(name) % MARKS.length;
  const wins = (name) => winners.filter((winner) => winner === name).length;
  return [
    h("h2", {}, over ? `${count(rounds, "round")}, each with one winner` : `${count(winners.length)} of ${count(rounds, "round")}`),
    h("ul", { class: "score" }, names.map((name) => h("li", {},
      h("span", { class: "mark", "data-mark": mark(name), "aria-hidden": "true" }, MARKS[mark(name)]), `${label(name)} won ${count(wins(name))}`))),
    h("ol", { class: "rounds", "aria-label": "Winner of each round" }, winners.map((name, round) => {
      const words = `Round ${round + 1}: ${label(name)}`;
      return h("li", { class: "mark", "data-mark": mark(name), title: words }, MARKS[mark(name)], h("span", { class: "hidden" }, ` ${words}`));
    })),
  ];
}

/** Take part in a race. While it runs, `progress` is called now and then, one call at a time. */
export async function takePart(app, runId, progress) {
  let shown = Promise.resolve();
  let busy = false;
  const { won, lost } = await app.call("race", { run_id: runId, who: me }, () => {
    if (busy) return;
    busy = true;
    shown = progress().catch(() => {}).then(() => (busy = false));
  });
  await shown;
  return { won, lost };
}

/** Another tab asks for a race. */
export async function invited(app, runId) {
  const { won, lost } = await takePart(app, runId, async () => {});
  news(`Another tab raced this one: ${count(won, "round")} won here, ${count(lost, "attempt")} came too late.`,
    h("a", { class: "button", href: link({ page: "race", run: runId }) }, "See who won each round"));
}
