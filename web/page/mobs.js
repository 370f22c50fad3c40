/** Views of all mobs, of the shared profiles, and of the definition of one mob. */
import { empty, heading, leftOut, linkTo, openable } from "./components.js";
import { button, fill, fillIfChanged, h } from "./dom.js";
import { chooseFile, openSample } from "./files.js";
import { count, cut, formatTime, name } from "./format.js";
import { link } from "./route.js";

export const nothingYet = (app) => empty("This store is empty",
  "Open the sample, drop a mob.db of meerkat-mob 0.5 on this page, or play a flow. "
    + "Everything you open stays on this machine.",
  button("Open the sample", () => openSample(app), { class: "primary" }),
  button("Choose a file", chooseFile),
  linkTo("Play a flow", { page: "demo" }));

export const LISTED = 500; // mobs and profiles; many more elements would take minutes

const tabs = [["Mobs", {}], ["Events", { tab: "events" }], ["Profiles", { tab: "profiles" }], ["Workers", { tab: "workers" }]];

/** Join names; of many, only the first are sent by Python. */
const some = (names) => names.slice(0, 49).map((each) => cut(name(each), 60)).join(", ") + (names.length > 49 ? " and more" : "");

/** The heading of the views of all mobs. */
export const allHeading = ({ overview }) => heading({
  title: "All mobs", tabs: overview.mobs.length || overview.profiles.length ? tabs : [],
  facts: [count(overview.mobs.length, "mob"), count(overview.events, "event"), count(overview.runs, "run"),
    overview.imported_from && `imported from ${overview.imported_from}, for reading`].filter(Boolean),
});

/** The heading of the views of one mob. */
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
      fillIfChanged(element, allHeading(app), mobs.length === 0 ? nothingYet(app) : [h("ul", { class: "cards" }, mobs.slice(0, LISTED).map((mob) =>
        h("li", { class: "card" },
          h("h2", {}, h("a", { href: link({ mob: mob.mob_id }) }, name(mob.mob_id))),
          h("p", {}, mob.roles.length ? `Roles: ${some(mob.roles)}` : "No definition stored"),
          mob.flows.length > 0 && h("p", {}, `Flows: ${some(mob.flows)}`),
          h("p", { class: "links" },
            h("a", { href: link({ mob: mob.mob_id, tab: "events" }) }, count(mob.events, "event")),
            h("a", { href: link({ mob: mob.mob_id, tab: "runs" }) }, count(mob.runs, "run")))))),
        leftOut(mobs.length - LISTED, "mobs are", "an address that ends in #mob=NAME opens any of them")]);
    },
  };
}

export function profilesView(app) {
  const element = h("section", { class: "view" });
  let shown;
  return {
    element,
    async refresh() {
      const { profiles } = app.overview;
      const now = JSON.stringify(profiles);
      if (now === shown) return fillIfChanged(element.firstChild, ...allHeading(app).childNodes);
      shown = now; // opened profiles stay open until one changes
      fill(element, allHeading(app), profiles.length === 0
        ? empty("No shared profiles", "Profiles that all mobs of a realm share are listed here.")
        : [h("ul", { class: "cards" }, profiles.slice(0, LISTED).map((profile) =>
          h("li", { class: "card" }, h("h2", {}, name(profile.name)), profile.description && h("p", {}, profile.description),
            h("p", { class: "quiet" }, `${profile.model}, revision ${profile.revision}, ${formatTime(profile.updated_at)}`),
            openable(app, "Profile", profile.profile)))),
        leftOut(profiles.length - LISTED, "profiles are", "the exported store has all of them")]);
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
      if (shown && shown === mob?.spec_revision) return fillIfChanged(element.firstChild, ...mobHeading(app, id).childNodes);
      shown = mob?.spec_revision;
      fill(element, mobHeading(app, id), mob?.spec
        ? [h("p", {}, `Roles: ${some(mob.roles) || "none"}. Flows: ${some(mob.flows) || "none"}.`),
          openable(app, "Definition", mob.spec, true)]
        : empty("No definition", "No definition is stored for this mob; only its events or runs are."));
    },
  };
}
