/** The members and tasks of a mob, folded from its events. */
import { empty, leftOut, linkTo, pairs } from "./components.js";
import { fill, h, pill } from "./dom.js";
import { count, formatTime, name, words } from "./format.js";
import { mobHeading } from "./mobs.js";
import { link } from "./route.js";

export function rosterView(app, { mob }) {
  const bar = h("progress", { "aria-label": "Reading the events of this mob" });
  const element = h("section", { class: "view" }, mobHeading(app, mob), h("p", { class: "quiet" }, "Reading the events of this mob"), bar);
  return {
    element,
    async refresh() {
      const progress = ({ done, total }) => Object.assign(bar, { max: total || 1, value: done });
      const { members, members_left_out, tasks, tasks_left_out } = await app.call("roster", { mob_id: mob }, progress);
      fill(element, mobHeading(app, mob),
        members.length === 0 && tasks.length === 0 && empty("No members yet", "Members appear here once they are spawned.",
          linkTo("Show the events", { mob, tab: "events" })),
        members.length > 0 && h("ul", { class: "cards" }, members.map((member) => card(mob, member))),
        leftOut(members_left_out, "members are", "the events list all of them"),
        tasks.length > 0 && [h("h2", {}, count(tasks.length + tasks_left_out, "task")), h("ul", { class: "cards" }, tasks.map(task))],
        leftOut(tasks_left_out, "tasks are", "the events list all of them"));
    },
  };
}

const card = (mob, member) => h("li", { class: "card" },
  h("h2", {}, name(member.member_id), pill(member.state)),
  h("p", {}, `${name(member.role)}, ${words(member.runtime_mode)}`),
  pairs([
    ["Runs in", member.address ?? (member.session_id ? `session ${member.session_id}` : words(member.backend))],
    ["Spawned", member.spawned_at && formatTime(member.spawned_at)],
    ["Left", member.left_at && formatTime(member.left_at)],
    ["First turn", member.kickoff && words(member.kickoff)],
    ["Failed with", member.kickoff_error],
    ["Wired to", [...member.wired_to, ...member.external_peers.map((peer) => `${peer} (outside)`)].join(", ")],
    ["Tasks", member.tasks.join(", ")],
    ["Labels", Object.entries(member.labels).map(([key, value]) => `${key}: ${value}`).join(", ")],
  ]),
  h("a", { href: link({ mob, tab: "events", member: member.member_id }) }, "Events", h("span", { class: "hidden" }, ` of ${member.member_id}`)));

const task = (task) => h("li", { class: "card" },
  h("h3", {}, task.subject || name(task.task_id), pill(task.status)),
  task.description && h("p", {}, task.description),
  pairs([["Task", task.task_id], ["Owner", task.owner], ["Waits for", task.blocked_by.join(", ")], ["Changed", formatTime(task.changed_at)]]));
