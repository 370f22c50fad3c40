/** All mobs of the store, the profiles they share, and the definition of one. */
import { button, fill, h } from "./dom.js";
import { count, moment, name } from "./format.js";
import { chooseFile, openSample } from "./files.js";
import { empty, heading, linkTo, openable } from "./parts.js";
import { link } from "./route.js";

export const nothingYet = (app) => empty("This store is empty",
  "Open the sample to look around, drop a mob.db of meerkat-mob 0.5 here, or watch a flow being played. "
    + "Whatever you open stays on this machine.",
  button("Open the sample", () => openSample(app), { class: "primary" }),
  button("Choose a file", chooseFile),
  linkTo("Play a flow", { page: "demo" }));

const tabs = [["Mobs", {}], ["Events", { tab: "events" }], ["Profiles", { tab: "profiles" }]];

/** The head of what concerns all mobs. */
export const allHeading = ({ overview }) => heading({
  title: "All mobs", tabs: overview.mobs.length || overview.profiles.length ? tabs : [],
  facts: [count(overview.mobs.length, "mob"), count(overview.events, "event"), count(overview.runs, "run")],
});

/** The head of one mob. */
export function mobHeading({ overview }, id) {
  const mob = overview?.mobs.find((mob) => mob.mob_id === id);
  return heading({
    title: name(id),
    facts: mob
      ? [count(mob.events, "event"), count(mob.runs, "run"), mob.spec_revision ? `definition at revision ${mob.spec_revision}` : "no definition"]
      : [],
    tabs: [["Roster", ""], ["Events", "events"], ["Runs", "runs"], ["Definition", "definition"]].map(([text, tab]) => [text, { mob: id, tab }]),
  });
}

export function mobsView(app) {
  const element = h("section", { class: "view" });
  return {
    element,
    async refresh() {
      const { mobs } = app.overview;
      fill(element, allHeading(app), mobs.length === 0 ? nothingYet(app) : h("ul", { class: "cards" }, mobs.map((mob) =>
        h("li", { class: "card" },
          h("h2", {}, h("a", { href: link({ mob: mob.mob_id }) }, name(mob.mob_id))),
          h("p", {}, mob.roles.length ? `Roles: ${mob.roles.join(", ")}` : "No definition stored"),
          mob.flows.length > 0 && h("p", {}, `Flows: ${mob.flows.join(", ")}`),
          h("p", { class: "links" },
            h("a", { href: link({ mob: mob.mob_id, tab: "events" }) }, count(mob.events, "event")),
            h("a", { href: link({ mob: mob.mob_id, tab: "runs" }) }, count(mob.runs, "run")))))));
    },
  };
}

export function profilesView(app) {
  const element = h("section", { class: "view" });
  return {
    element,
    async refresh() {
      const { profiles } = app.overview;
      fill(element, allHeading(app), profiles.length === 0
        ? empty("No shared profiles", "Profiles that all mobs of a realm share would be listed here.")
        : h("ul", { class: "cards" }, profiles.map((profile) =>
          h("li", { class: "card" }, h("h2", {}, name(profile.name)), profile.description && h("p", {}, profile.description),
            h("p", { class: "quiet" }, `${profile.model}, revision ${profile.revision}, ${moment(profile.updated_at)}`),
            openable(app, "Profile", profile.profile)))));
    },
  };
}

export function definitionView(app, { mob: id }) {
  const element = h("section", { class: "view" });
  let shown;
  return {
    element,
    async refresh() {
      const mob = app.overview.mobs.find((mob) => mob.mob_id === id);
      if (shown && shown === mob?.spec_revision) return fill(element.firstChild, ...mobHeading(app, id).childNodes);
      shown = mob?.spec_revision;
      fill(element, mobHeading(app, id), mob?.spec
        ? [h("p", {}, `Roles: ${mob.roles.join(", ") || "none"}. Flows: ${mob.flows.join(", ") || "none"}.`),
          openable(app, "Definition", mob.spec, true)]
        : empty("No definition", "Nobody has stored a definition for this mob; it is known by its events or runs only."));
    },
  };
}
