/** What a person is told and asked: failures with their way out, news, how far long work has come, questions. */
import { button, h, say } from "./dom.js";

const banners = document.getElementById("banners");
const jobs = document.getElementById("jobs");

const OFFERED = 5; // seconds without a sign of Python after which a person is told, and can stop it
export const LIMIT = 60; // after which an import or export is stopped
const working = new Map(); // titles by the elements that show them, of what takes long
let waiting = null; // says that something else takes long

const RELOAD = new Set(["bug", "busy", "load", "not_open", "storage", "worker"]); // kinds of failures that it may end

/** Show a failure until it is dismissed. `actions` are buttons that lead out of it. */
export function problem(error, ...actions) {
  if (error.kind === "stopped") return; // whoever stopped it says so
  const title = error.message || String(error);
  for (const shown of banners.children) if (shown.dataset.title === title) shown.remove();
  const element = h("div", { class: "problem", role: "alert", "data-title": title },
    h("div", {}, h("p", {}, h("strong", {}, title)), h("p", {}, error.wayOut ?? "Reload the page. What was stored is still there.")),
    h("div", { class: "actions", onclick: () => element.remove() }, actions,
      RELOAD.has(error.kind) && button("Reload", () => location.reload()), button("Dismiss")));
  banners.append(element);
  if (error.wayOut === undefined) console.error(error);
}

/** Say that something is done; what has more to it stays until it is dismissed. */
export function news(text, ...more) {
  const element = h("div", { class: "job" }, h("p", {}, text),
    h("div", { class: "actions" }, more, button("Dismiss", () => element.remove())));
  jobs.append(element);
  if (more.length === 0) setTimeout(() => element.remove(), 12_000);
}

/**
 * Do something that takes long, with a progress bar.
 * @param {string} title
 * @param {(progress: Function) => Promise<string>} work  gives what to say when it is done
 * @param {Function} [stop]  ends it
 * @returns {Promise<boolean>} whether it was done; a failure has been shown
 */
export async function job(title, work, stop) {
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
    if (done) news(done);
    return true;
  } catch (error) {
    problem(error);
    return false;
  } finally {
    working.delete(text);
    element.remove();
  }
}

/** Whether work is under way that can be stopped. */
export const atWork = () => working.size > 0;

/** Say that Python has not answered for so many seconds, 0 if it does, and let a person stop it. */
export function busy(seconds, stop) {
  const long = seconds >= OFFERED;
  for (const [text, title] of working) say(text, long ? `${title}: no progress at the moment. It is stopped after ${LIMIT} seconds without any.` : title);
  if (long && !waiting && !atWork()) {
    waiting = h("div", { class: "job" }, h("p", {}, "This takes long. The page waits for Python, which is busy."),
      h("div", { class: "actions" }, button("Stop", () => stop())));
    jobs.append(waiting);
  } else if (!long || atWork()) {
    waiting?.remove();
    waiting = null;
  }
}

/**
 * Ask in a dialog.
 * @param {Object} question
 * @param {string} question.title
 * @param {*} question.content  below the title
 * @param {string} question.yes  what the button that agrees says
 * @param {boolean} [question.danger]
 * @returns {Promise<FormData|null>} the fields in the dialog, or null for no
 */
export function ask({ title, content, yes, danger = false }) {
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
