/** Files coming in, chosen or dropped, and the store going out as one. */
import { h } from "./dom.js";
import { bytes, count, cut, fileName } from "./format.js";
import { ask, job, news, problem } from "./notices.js";
import { choice } from "./parts.js";

const MOST = 500_000_000; // bytes of a file: it is held in memory, and so is what is read from it
const input = document.getElementById("file");
const dropping = document.getElementById("dropping");

export const chooseFile = () => input.click();

export function setUpFiles(app) {
  document.getElementById("open-file").onclick = chooseFile;
  input.onchange = () => {
    if (input.files.length) importFile(app, input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  };
  let inside = 0; // nested elements that are being dragged over
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  const drag = (step) => (event) => {
    if (carries(event)) inside += step;
    dropping.hidden = inside === 0;
  };
  addEventListener("dragenter", drag(1));
  addEventListener("dragleave", drag(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    dropping.hidden = true;
    if (event.dataTransfer.files.length) importFile(app, event.dataTransfer.files[0]);
  });
}

export function importFile(app, file) {
  if (file.size > MOST) {
    return problem({
      message: `${cut(file.name, 100)} cannot be imported here: it has ${bytes(file.size)}, and this page takes at most ${bytes(MOST)}. Nothing was changed.`,
      wayOut: "Import it on this machine with the command line: mobstore import.",
    });
  }
  return job(`Reading ${cut(file.name, 100)}`, async (progress) => {
    const { format } = await app.call("check_file", { path: file });
    if (!(await makeRoom(app, file.name, format === "meerkat" ? "a database of meerkat-mob" : "an exported store"))) return "";
    return imported(file.name, await app.call("import_file", { path: file }, progress));
  }, app.stop);
}

export function openSample(app) {
  return job("Opening the sample", async (progress) => {
    if (!(await makeRoom(app, "tide-desk", "the sample"))) return "";
    return imported("The sample", await app.call("import_sample", {}, progress));
  }, app.stop);
}

export const exportStore = (app) => job("Exporting the store", async (progress) => {
  const content = await app.call("export_file", {}, progress);
  const address = URL.createObjectURL(content);
  const file = `${fileName(app.store)}.zip`;
  h("a", { href: address, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return `Exported ${bytes(content.size)} to ${file}. It is in your downloads.`;
}, app.stop);

export async function erase(app) {
  const sure = await ask({
    title: `Erase the store "${app.store}"?`, yes: "Erase everything", danger: true,
    content: h("p", {}, `${contents(app)} will be gone from this browser. Export the store first if you may want it back.`),
  });
  if (sure) await job("Erasing the store", async () => (await app.call("erase"), `The store "${app.store}" is empty now.`));
}

/** An import needs an empty store: erase this one or take another. Gives whether it can begin. */
async function makeRoom(app, title, what) {
  if (app.overview.empty) return true;
  const other = h("input", { name: "store", value: unused(title), required: true, maxlength: 60, "aria-label": "Name of the other store" });
  const answer = await ask({
    title: `Import ${what}`, yes: "Import",
    content: [
      h("p", {}, `An import needs an empty store, and "${app.store}" holds ${contents(app)}.`),
      choice("Keep it, and import into another store, named ", h("input", { type: "radio", name: "where", value: "other", checked: true })), other,
      choice(`Erase "${app.store}" first; what it holds is gone even if the import fails`, h("input", { type: "radio", name: "where", value: "here" })),
    ],
  });
  if (!answer) return false;
  if (answer.get("where") === "here") await app.call("erase");
  else await app.open(answer.get("store"));
  return true;
}

export const contents = ({ overview: { mobs, events, runs } }) => `${count(mobs.length, "mob")}, ${count(events, "event")} and ${count(runs, "run")}`;

const unused = (title) => `${title.replace(/\.\w+$/, "")}-${new Date().toISOString().slice(0, 16).replace("T", "-").replace(":", "")}`;

function imported(title, { events, runs, specs, realm_profiles, left_out, more_left_out }) {
  if (left_out.length) {
    const which = h("details", {}, h("summary", {}, "Which"), h("ul", {}, left_out.map((row) => h("li", {}, row)),
      more_left_out > 0 && h("li", {}, `and ${count(more_left_out)} more`)));
    news(`${count(left_out.length + more_left_out, "row")} could not be read and were left out.`, which);
  }
  const counts = [count(events, "event"), count(runs, "run"), count(specs, "definition"), count(realm_profiles, "profile")];
  return `${title} is imported: ${counts.join(", ")}.`;
}
