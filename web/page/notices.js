/** What a person is told and asked: failures with their way out, news, how far long work has come, questions. */
import { button, h } from "./dom.js";

const banners = document.getElementById("banners");
const jobs = document.getElementById("jobs");

const RELOAD = new Set(["bug", "busy", "load", "not_open", "storage", "worker"]); // kinds of failures that it may end

/** Show a failure until it is dismissed. `actions` are buttons that lead out of it. */
export function problem(error, ...actions) {
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
 * @returns {Promise<boolean>} whether it was done; a failure has been shown
 */
export async function job(title, work) {
  const bar = h("progress", { "aria-label": title });
  const text = h("p", {}, title);
  const element = h("div", { class: "job" }, text, bar);
  jobs.append(element);
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
    element.remove();
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
