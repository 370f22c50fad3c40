/** Who executes what, and how far each named reader of the log is: claims and consumers. */
import { claimText, empty, leftOut } from "./components.js";
import { fillIfChanged, h } from "./dom.js";
import { count, formatTime, name } from "./format.js";
import { allHeading } from "./mobs.js";
import { link } from "./route.js";

export function workersView(app) {
  const element = h("section", { class: "view" });
  return {
    element,
    async refresh() {
      const { claims, claims_left_out, consumers, consumers_left_out } = await app.call("workers");
      fillIfChanged(element, allHeading(app), claims.length + consumers.length === 0
        ? empty("No workers", "Workers that hold claims, and consumers that follow the events, are listed here.")
        : [
          table("Claims", ["Name", "Claim"], claims.map(({ name: of, run_id, claim }) => [
            run_id ? h("a", { href: link({ run: run_id }) }, name(of)) : name(of), claimText(claim)])),
          leftOut(claims_left_out, "claims are", "the command line lists them"),
          table("Consumers", ["Name", "Position", "Behind", "Updated"], consumers.map(({ name: of, cursor, behind, updated_at }) => [
            name(of), count(cursor), count(behind, "event"), formatTime(updated_at)])),
          leftOut(consumers_left_out, "consumers are", "the command line lists them"),
        ]);
    },
  };
}

const table = (caption, titles, rows) => rows.length > 0 && h("section", { class: "card" }, h("table", {}, h("caption", {}, caption),
  h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)))),
  h("tbody", {}, rows.map(([first, ...others]) => h("tr", {}, h("th", { scope: "row" }, first), others.map((cell) => h("td", {}, cell)))))));
