/** The view "Python": an editor for a cell, and the cells that were run on the store that the page shows. */
import { heading, labelled } from "./components.js";
import { HistoryWalk, addToHistory, forgetHistory, history } from "./console-history.js";
import { button, fill, h, setText } from "./dom.js";
import { showError } from "./notices.js";

const LONGEST = 100_000; // characters of a cell
const ROWS = [4, 18]; // of the editor
const INDENT = "    ";
const INSERTED = 200; // lines; Chromium takes quadratic time to insert more, 16 seconds for 1,600

const lines = (text) => text.split("\n").length;

export function consoleView(app) {
  const { console: session } = app;
  const walk = new HistoryWalk();
  const editor = h("textarea", {
    "aria-label": "Python code", placeholder: "await stores.overview()", maxlength: LONGEST, spellcheck: "false", autocapitalize: "off",
    autocomplete: "off", autocorrect: "off", oninput: resize, onkeydown,
  });
  const examples = h("select", { onchange: useExample });
  const runButton = button("Run", run, { class: "primary", title: "Shift+Enter" });
  const stopButton = button("Stop", stop);
  const clearButton = button("Clear", () => session.clear());
  const forgetButton = button("Forget the history", forget);
  const status = h("p", { class: "quiet", role: "status" });
  const list = h("ol", { class: "console", "aria-label": "Cells, newest first" });
  const element = h("section", { class: "view" },
    heading({ title: "Python" }),
    h("p", { class: "lead" }, "Cells run in this browser, with ", h("code", {}, "stores"), " as the open store and ", h("code", {}, "mobstore"),
      " imported. They can await. Other views and other tabs show at once what a cell commits.",
      !app.durable && " The store of this page is in memory only, and cells cannot see it: they have an empty one of their own."),
    h("div", { class: "editing" }, editor,
      h("div", { class: "line" }, h("div", { class: "actions" }, runButton, stopButton, clearButton, forgetButton), labelled("Examples", examples)), status),
    list);

  function onkeydown(event) {
    const { key, shiftKey, ctrlKey, metaKey } = event;
    const plain = !(shiftKey || ctrlKey || metaKey || event.altKey || event.isComposing);
    const { value, selectionStart: start, selectionEnd: end } = editor;
    if (key === "Enter" && !event.isComposing && (shiftKey || ctrlKey || metaKey)) run();
    else if (key === "Enter" && plain) indent(value.slice(0, start));
    else if (key === "ArrowUp" && plain && start === end && !value.slice(0, start).includes("\n")) recall(walk.back(value));
    else if (key === "ArrowDown" && plain && start === end && !value.slice(end).includes("\n")) recall(walk.forward());
    else return;
    event.preventDefault();
  }

  /** Break the line, with the indentation of the current one. */
  function indent(before) {
    const line = before.slice(before.lastIndexOf("\n") + 1);
    const more = /:\s*(#.*)?$/.test(line) ? INDENT : "";
    insert(`\n${/^[ \t]*/.exec(line)[0]}${more}`);
  }

  /** Replace the selected text; unlike with setRangeText, the user can undo it. */
  function insert(text) {
    document.execCommand("insertText", false, text);
  }

  function recall(source) {
    if (source !== undefined) edit(source);
  }

  /** Replace the text; the user can undo it, unless the new one has many lines. */
  function edit(source) {
    editor.focus();
    if (lines(source) <= INSERTED) {
      editor.select();
      insert(source);
    } else {
      editor.value = source;
      resize();
      editor.scrollTop = editor.scrollHeight; // where the caret is
    }
  }

  function resize() {
    editor.rows = Math.max(ROWS[0], Math.min(ROWS[1], lines(editor.value)));
  }

  function useExample() {
    const source = session.examples[examples.value];
    examples.value = "";
    if (source) edit(source);
  }

  function run() {
    const source = editor.value;
    if (session.running || !source.trim()) return;
    addToHistory(source);
    walk.restart();
    editor.value = "";
    resize();
    session.run(source);
    editor.focus();
  }

  function stop() {
    session.stop();
    editor.focus(); // the button is disabled now
  }

  function forget() {
    forgetHistory();
    walk.restart();
    show();
  }

  function show() {
    const { running, state, cells } = session;
    runButton.disabled = Boolean(running);
    stopButton.disabled = !running;
    clearButton.disabled = cells.length === 0 || (cells.length === 1 && Boolean(running));
    forgetButton.disabled = history().length === 0;
    const titles = Object.keys(session.examples);
    examples.disabled = titles.length === 0;
    if (examples.options.length !== titles.length + 1) {
      fill(examples, h("option", { value: "" }, "Choose one"), titles.map((title) => h("option", { value: title }, title)));
    }
    const elements = cells.map(({ element }) => element);
    for (const old of [...list.children]) if (!elements.includes(old)) old.remove();
    for (const cell of cells) {
      if (cell.element.parentNode === list) continue;
      fill(cell.actions, button("Edit again", () => edit(cell.source)));
      list.prepend(cell.element);
    }
    setText(status, statusText());
  }

  function statusText() {
    const { running, state, cells } = session;
    const last = cells.at(-1);
    if (running) return `Cell ${running.number} ${state === "ready" ? "runs" : "waits for Python"}`;
    if (state === "starting") return last?.status === "canceled" ? `Cell ${last.number} was stopped. Python starts anew: names are gone, stored data is kept.` : "Python starts";
    if (last) return `Cell ${last.number} ${last.outcome}`;
    return state === "ready" ? "Python is ready. Shift+Enter runs a cell; the arrow keys recall earlier ones." : "";
  }

  const onFailure = ({ detail }) => showError(detail);
  session.addEventListener("change", show);
  session.addEventListener("failure", onFailure);
  session.start();
  editor.value = session.draft;
  resize();
  show();
  return {
    element,
    refresh: async () => {},
    close() {
      session.draft = editor.value;
      session.removeEventListener("change", show);
      session.removeEventListener("failure", onFailure);
    },
  };
}
