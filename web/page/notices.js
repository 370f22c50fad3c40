/** Messages to the user: errors with a way out, notices, progress of long tasks, dialogs. */
import { button, h, setText } from "./dom.js";

const banners = document.getElementById("banners");
const jobs = document.getElementById("jobs");

const OFFERED = 5; // seconds without an answer from Python before a Stop button is offered
export const LIMIT = 60; // seconds before an import or export is stopped
const working = new Map(); // titles of tasks that can be stopped, by the elements that show them
let waiting = null; // the notice that other work takes long

const dismissals = []; // functions that dismiss a message and return true unless it was gone, oldest first

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  while (dismissals.length > 0 && !dismissals.pop()());
});

/** Return the function that dismisses a message; Escape dismisses the newest one. */
function dismissal(element) {
  const dismiss = () => {
    const shown = element.isConnected;
    const focused = element.contains(document.activeElement);
    element.remove();
    if (focused) document.getElementById("main").focus({ preventScroll: true });
    return shown;
  };
  dismissals.push(dismiss);
  return dismiss;
}

const RELOAD = new Set(["bug", "busy", "load", "not_open", "storage", "worker"]); // kinds of failures that a reload may end

/** Show an error until it is dismissed. `actions` are additional buttons. */
export function showError(error, ...actions) {
  if (error.kind === "stopped") return; // `stop` shows a notice of its own
  const title = error.message || String(error);
  for (const shown of banners.children) if (shown.dataset.title === title) shown.remove();
  const element = h("div", { class: "problem", role: "alert", "data-title": title },
    h("div", {}, h("p", {}, h("strong", {}, title)), h("p", {}, error.wayOut ?? "Reload the page. Stored data is not affected.")),
    h("div", { class: "actions", onclick: () => dismiss() }, actions,
      RELOAD.has(error.kind) && button("Reload", () => location.reload()), button("Dismiss")));
  const dismiss = dismissal(element);
  banners.append(element);
  if (error.wayOut === undefined) console.error(error);
}

/** Show a notice; it disappears after 12 seconds unless it has more content. */
export function notify(text, ...more) {
  const element = h("div", { class: "job" }, h("p", {}, text),
    h("div", { class: "actions" }, more, button("Dismiss", () => dismiss())));
  const dismiss = dismissal(element);
  jobs.append(element);
  if (more.length === 0) setTimeout(() => element.remove(), 12_000);
}

/**
 * Run a long task with a progress bar, unless one with its title runs that can be stopped, as after a double click.
 * @param {string} title
 * @param {(progress: Function) => Promise<string>} work  resolves to the notice to show
 * @param {Function} [stop]  stops the task
 * @returns {Promise<boolean>} false if it did not run, or failed; the error is shown
 */
export async function runTask(title, work, stop) {
  if ([...working.values()].includes(title)) return false;
  const bar = h("progress", { "aria-label": title });
  const text = h("p", {}, title);
  const element = h("div", { class: "job" }, text, bar, stop && h("div", { class: "actions" }, button("Stop", () => stop())));
  jobs.append(element);
  if (stop) working.set(text, title);
  try {
    const done = await work(({ done, total }) => {
      bar.max = total || 1;
      bar.value = done;
    });
    if (done) notify(done);
    return true;
  } catch (error) {
    showError(error);
    return false;
  } finally {
    working.delete(text);
    element.remove();
  }
}

/** Return true while a task runs that can be stopped. */
export const isWorking = () => working.size > 0;

/** Show that Python has not answered for so many seconds (0: it has), with a button to stop it. */
export function showSilence(seconds, stop) {
  const long = seconds >= OFFERED;
  for (const [text, title] of working) setText(text, long ? `${title}: no progress. It is stopped after ${LIMIT} seconds without progress.` : title);
  if (long && !waiting && !isWorking()) {
    waiting = h("div", { class: "job" }, h("p", {}, "This takes long. Python is still busy."),
      h("div", { class: "actions" }, button("Stop", () => stop())));
    jobs.append(waiting);
  } else if (!long || isWorking()) {
    waiting?.remove();
    waiting = null;
  }
}

/**
 * Show a dialog and wait for its answer.
 * @param {Object} dialog
 * @param {string} dialog.title
 * @param {*} dialog.content  below the title
 * @param {string} dialog.yes  the text of the button that confirms
 * @param {boolean} [dialog.danger]
 * @returns {Promise<FormData|null>} the fields of the dialog, or null if it was cancelled
 */
export function confirmInDialog({ title, content, yes, danger = false }) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" }, h("h2", { id: "ask-title" }, title), content,
      h("div", { class: "actions" },
        h("button", { value: "no", formnovalidate: true }, "Cancel"),
        h("button", { value: "yes", class: danger ? "danger" : "primary" }, yes)));
    const dialog = h("dialog", {
      "aria-labelledby": "ask-title",
      onclose() {
        dialog.remove();
        resolve(dialog.returnValue === "yes" ? new FormData(form) : null);
      },
    }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
