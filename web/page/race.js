/** The race: several tabs claim one run as fast as they can. The run itself records the winner of each round. */
import { claimText, empty, heading, secondTab } from "./components.js";
import { button, fill, h, setText } from "./dom.js";
import { count, name, short } from "./format.js";
import { notify, showError } from "./notices.js";
import { link, replaceRoute } from "./route.js";
import { tabName } from "./tabs.js";

const ROUNDS = 50;
const MARKS = "ABCDEF"; // one for each colour in the style sheet

export function raceView(app, place) {
  let runId = place.run;
  let known = "";
  const others = h("p", { role: "status" });
  const begin = button("Race another tab", () => start().catch(showError), { class: "primary" });
  const result = h("div", { class: "race" });
  const element = h("section", { class: "view" }, heading({ title: "Race another tab" }),
    h("p", { class: "lead" }, `All tabs on this store claim one run, ${ROUNDS} times, as fast as they can. The tab that has the claim wins the round: `
      + "it writes its name, fenced by the claim, and releases the run. Now and then a tab freezes for longer than its claim lasts. Another one "
      + "then claims the run, in a later epoch, and the fence rejects what the frozen tab writes. No round is lost, and none is won twice."),
    h("div", { class: "actions" }, begin, secondTab()), others, result);

  async function start() {
    begin.disabled = true;
    try {
      const race = await app.call("race_open", { rounds: ROUNDS });
      runId = race.run_id;
      replaceRoute({ page: "race", run: runId });
      app.tabs.invite(runId);
      await takePart(app, runId, refresh);
    } finally {
      begin.disabled = !app.durable;
      await refresh();
    }
  }

  async function refresh() {
    const there = [...app.tabs.others];
    setText(others, !app.durable ? "This store is in memory only: no other tab can see it."
      : there.length === 0 ? `This is ${tabName}. No other tab is open on this store: open a second one first.`
      : `This is ${tabName}. ${count(there.length, "other tab")} on this store: ${there.join(", ")}.`);
    if (!runId) return fill(result, empty("No race yet", "Open this page in a second tab, then start the race in either tab."));
    const race = await app.call("race_state", { run_id: runId });
    race.fenced = app.races.get(runId) ?? 0;
    if (JSON.stringify(race) === known) return;
    known = JSON.stringify(race);
    fill(result, score(race), h("p", {}, h("a", { href: link({ run: runId, tab: "state" }) }, `Open run ${name(short(runId))}`)));
  }

  begin.disabled = !app.durable;
  const onOthers = () => refresh().catch(showError);
  app.tabs.addEventListener("others", onOthers);
  return { element, refresh, close: () => app.tabs.removeEventListener("others", onOthers) };
}

/** The winners, by letters and colours. */
function score({ rounds, winners, epochs, claim, fenced, over }) {
  const names = [...new Set([tabName, ...winners])];
  const label = (name) => (name === tabName ? `${name} (this tab)` : name);
  const mark = (name) => names.indexOf(name) % MARKS.length;
  const wins = (name) => winners.filter((winner) => winner === name).length;
  return [
    h("h2", {}, over ? `${count(rounds, "round")}, each with one winner` : `${count(winners.length)} of ${count(rounds, "round")}`),
    h("ul", { class: "score" }, names.map((name) => h("li", {},
      h("span", { class: "mark", "data-mark": mark(name), "aria-hidden": "true" }, MARKS[mark(name)]), `${label(name)} won ${count(wins(name))}`))),
    claim && h("p", { class: "quiet" }, `Now ${claimText(claim)}`),
    fenced > 0 && h("p", {}, `This tab froze and lost its claim ${count(fenced, "time")}. The fence rejected what it then wrote, and other tabs won these rounds.`),
    h("ol", { class: "rounds", "aria-label": "Winner of each round" }, winners.map((name, round) => {
      const words = `Round ${round + 1}: ${label(name)}, epoch ${epochs[round]}`;
      return h("li", { class: "mark", "data-mark": mark(name), title: words }, MARKS[mark(name)], h("span", { class: "hidden" }, ` ${words}`));
    })),
  ];
}

/** Take part in a race. `progress` is called repeatedly while it runs, one call at a time. */
export async function takePart(app, runId, progress) {
  let shown = Promise.resolve();
  let busy = false;
  const { won, fenced } = await app.call("race", { run_id: runId, who: tabName }, () => {
    if (busy) return;
    busy = true;
    shown = progress().catch(() => {}).then(() => (busy = false));
  });
  await shown;
  app.races.set(runId, fenced);
  return { won, fenced };
}

/** Take part in a race that another tab started. */
export async function invited(app, runId) {
  const { won, fenced } = await takePart(app, runId, async () => {});
  notify(`Another tab raced this one: ${count(won, "round")} won here, ${count(fenced, "write")} rejected by the fence.`,
    h("a", { class: "button", href: link({ page: "race", run: runId }) }, "Show the winners"));
}
