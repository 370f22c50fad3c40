/** Import of chosen or dropped files, export, and erasure of the store. */
import { choice } from "./components.js";
import { h } from "./dom.js";
import { formatBytes, count, cut, fileName } from "./format.js";
import { confirmInDialog, notify, runTask, showError } from "./notices.js";

const MOST = 500_000_000; // bytes; the file and the rows read from it are held in memory
const input = document.getElementById("file");
const dropping = document.getElementById("dropping");

export const chooseFile = () => input.click();

export function setUpFiles(app) {
  document.getElementById("open-file").onclick = chooseFile;
  input.onchange = () => {
    if (input.files.length) importFile(app, input.files[0]);
    input.value = ""; // allows choosing the same file again
  };
  let inside = 0; // nested elements under the dragged file
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
    const [file, ...others] = event.dataTransfer.files;
    if (others.length) notify(`Only ${cut(file.name, 100)} is imported: a store takes one file.`);
    if (file) importFile(app, file);
  });
}

export function importFile(app, file) {
  if (file.size > MOST) {
    return showError({
      message: `${cut(file.name, 100)} cannot be imported here: it has ${formatBytes(file.size)}, and this page accepts at most ${formatBytes(MOST)}. Nothing was changed.`,
      wayOut: "Import it with the command line instead: mobstore import.",
    });
  }
  return runTask(`Reading ${cut(file.name, 100)}`, async (progress) => {
    const { format } = await app.call("check_file", { path: file });
    if (!(await ensureEmptyStore(app, file.name, format === "meerkat" ? "a database of meerkat-mob" : "an exported store"))) return "";
    return imported(file.name, await app.call("import_file", { path: file }, progress));
  }, app.stop);
}

export function openSample(app) {
  return runTask("Opening the sample", async (progress) => {
    if (!(await ensureEmptyStore(app, "tide-desk", "the sample"))) return "";
    return imported("The sample", await app.call("import_sample", {}, progress));
  }, app.stop);
}

export const exportStore = (app) => runTask("Exporting the store", async (progress) => {
  const content = await app.call("export_file", {}, progress);
  const address = URL.createObjectURL(content);
  const file = `${fileName(app.store)}.zip`;
  h("a", { href: address, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return `Exported ${formatBytes(content.size)} to ${file} in your downloads.`;
}, app.stop);

export async function erase(app) {
  const sure = await confirmInDialog({
    title: `Erase the store "${app.store}"?`, yes: "Erase everything", danger: true,
    content: h("p", {}, `${contents(app.overview)} will be deleted from this browser. Export the store first to keep a copy.`),
  });
  if (sure) await runTask("Erasing the store", async () => (await app.call("erase"), `The store "${app.store}" is now empty.`));
}

/** Provide the empty store that an import needs: erase this one or open another. Return false if the user cancels. */
async function ensureEmptyStore(app, title, what) {
  const overview = await app.call("overview"); // the shown one may be of the store before
  if (overview.empty) return true;
  const other = h("input", { name: "store", value: unused(title), required: true, maxlength: 60, "aria-label": "Name of the other store" });
  const answer = await confirmInDialog({
    title: `Import ${what}`, yes: "Import",
    content: [
      h("p", {}, `An import needs an empty store, and "${app.store}" holds ${contents(overview)}.`),
      choice("Keep it, and import into another store named ", h("input", { type: "radio", name: "where", value: "other", checked: true })), other,
      choice(`Erase "${app.store}" first; its content is lost even if the import fails`, h("input", { type: "radio", name: "where", value: "here" })),
    ],
  });
  if (!answer) return false;
  if (answer.get("where") === "here") await app.call("erase");
  else await app.open(answer.get("store"));
  return true;
}

export const contents = ({ mobs, events, runs }) => `${count(mobs.length, "mob")}, ${count(events, "event")} and ${count(runs, "run")}`;

const unused = (title) => `${title.replace(/\.\w+$/, "")}-${new Date().toISOString().slice(0, 16).replace("T", "-").replace(":", "")}`;

function imported(title, { events, runs, specs, realm_profiles, left_out, more_left_out, other_tables }) {
  if (left_out.length) {
    const which = h("details", {}, h("summary", {}, "Show them"), h("ul", {}, left_out.map((row) => h("li", {}, row)),
      more_left_out > 0 && h("li", {}, `and ${count(more_left_out)} more`)));
    notify(`${count(left_out.length + more_left_out, "row")} could not be read and were skipped.`, which);
  }
  if (other_tables) notify(`${count(other_tables, "row")} of tables that are not of meerkat-mob 0.5.2 were left out.`);
  const counts = [count(events, "event"), count(runs, "run"), count(specs, "definition"), count(realm_profiles, "profile")];
  return `${title} was imported: ${counts.join(", ")}.`;
}
