"""The Python console: examples, output, Stop, history, and hostile values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser import browsers
from browser.browsers import FirefoxTab
from console.examples import EXAMPLES
from page.page_tabs import PageTabs, go, open_store, ready

pytestmark = pytest.mark.slow

SUBSCRIPTION = "A subscription beside other tabs"
PRINTED = {
    "Append and poll": r"appended event \d+",
    "A compare-and-swap that loses": r"A started the run\nB was too late",
    "An atomic call": r"started with event \d+\nCAS conflict: .*\n.* refused call: 0",
    "Claims": r"worker-2 at once: None\nworker-2 later: .*\nClaim lost: .*\nreleased: True",
    "Dicts for a data frame": r"\d+ events by type: \{.*'task_created': 1",
    "Verify": r"problems: 0",
    "Export": r"Summary\(events=\d+, .*\nbytes: \d+\ndifferences: \[\]",
}
SHOWN = {
    "Append and poll": "1 record",
    "A compare-and-swap that loses": "console",
    "Dicts for a data frame": "'cursor':",
    "Verify": "'events':",
    "Export": "what the stores contain",
}
"""Text in the value of the examples that have one."""


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs) -> Page:
    """A tab with the console on an empty store."""
    return page_tabs.open("console", page="python")


def editor(page: Page) -> Locator:
    return page.get_by_label("Python code")


def cell(page: Page) -> Locator:
    """Locate the newest cell."""
    return page.get_by_role("list", name="Cells").locator(":scope > li").first


def start(page: Page, source: str) -> Locator:
    """Run a cell without waiting for its end, and return it."""
    editor(page).fill(source)
    editor(page).press("Shift+Enter")
    expect(editor(page)).to_have_value("")
    return cell(page)


def run(page: Page, source: str, status: str = "completed") -> Locator:
    """Run a cell to its end, and return it."""
    started = start(page, source)
    expect(started.get_by_role("heading")).to_contain_text(f"{status} after", timeout=60_000)
    return started


def stop(page: Page) -> None:
    page.get_by_role("main").get_by_role("button", name="Stop").click()


@pytest.mark.parametrize("title", PRINTED)
def test_an_example(page: Page, title: str) -> None:
    page.get_by_label("Examples").select_option(title, timeout=60_000)
    expect(editor(page)).to_have_value(EXAMPLES[title])
    shown = run(page, EXAMPLES[title])
    expect(shown.get_by_label("Printed text")).to_have_text(re.compile(PRINTED[title]))
    if title in SHOWN:
        value = shown.get_by_label("Value").or_(shown.get_by_role("group", name="Display"))
        expect(value).to_contain_text(SHOWN[title])


def test_a_subscription_beside_another_tab(page: Page, page_tabs: PageTabs) -> None:
    assert EXAMPLES.keys() == {*PRINTED, SUBSCRIPTION}
    other = page_tabs.open("console", page="demo")
    following = start(page, EXAMPLES[SUBSCRIPTION])
    expect(following).to_contain_text("waiting for events after")
    other.get_by_role("button", name="Start a flow").click()
    printed = following.get_by_label("Printed text")
    expect(printed).to_have_text(re.compile(r"(\d+ \S+ [a-z_]+\s*){3}$"))
    expect(following.get_by_role("heading")).to_contain_text("completed after")
    run(page, EXAMPLES["Append and poll"])
    events = other.get_by_role("navigation").get_by_role("link", name="console")
    expect(events).to_be_visible()  # the other tab shows what a cell commits
    other.close()


def test_values_and_errors(page: Page) -> None:
    expect(run(page, "x = 20\nx + 1").get_by_label("Value")).to_have_text("21")
    failed = run(page, "def fail():\n    1 / 0\n\nfail()", "failed").get_by_label("Error")
    expect(failed).to_contain_text(re.compile(r"^Traceback.*\n +File \"<cell \d+>\", line 4"))
    expect(failed).to_contain_text("ZeroDivisionError: division by zero")
    expect(failed).not_to_contain_text("session.py")
    for reading in ("input('name? ')", "import sys\nsys.stdin.readline()"):
        failed = run(page, reading, "failed").get_by_label("Error")
        expect(failed).to_contain_text("OSError: a cell cannot wait for input; assign")
    expect(run(page, "'\\u202e\\t'").get_by_label("Value")).to_have_text(r"'\u202e\t'")
    printed = run(page, "print('a\\tb\\x1b\\u202e')").get_by_label("Printed text")
    assert printed.text_content() == "a\tb\\x1b\\u202e\n"


def test_an_endless_cell_is_stopped(page: Page) -> None:
    run(page, EXAMPLES["Append and poll"])
    stored = run(page, "await stores.events.latest_cursor()").get_by_label("Value").inner_text()
    running = start(page, "x = 1\nprint('printed at once')\nwhile True:\n    pass")
    expect(running.get_by_label("Printed text")).to_have_text("printed at once")
    expect(page.get_by_role("button", name="Run")).to_be_disabled()
    go(page, mob="console")  # the rest of the page continues to work
    expect(page.get_by_role("heading", name="console")).to_be_visible()
    go(page, page="python")
    stop(page)
    expect(running.get_by_role("heading")).to_contain_text("stopped after")
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("names are gone")
    expect(run(page, "x", "failed").get_by_label("Error")).to_contain_text("NameError")
    kept = run(page, "await stores.events.latest_cursor()").get_by_label("Value")
    expect(kept).to_have_text(stored)


def test_a_flood_is_bounded(page: Page) -> None:
    flood = start(page, "while True:\n    print('x' * 99)")
    printed = flood.get_by_label("Printed text")
    expect(printed).to_contain_text(re.compile("cut: a cell shows at most 100,000"))
    editor(page).fill("the page still answers")
    stop(page)
    expect(flood.get_by_role("heading")).to_contain_text("stopped after")
    assert 100_000 < len(printed.inner_text()) < 100_200
    empty = start(page, "while True:\n    print()").get_by_label("Printed text")
    expect(empty).to_contain_text(re.compile("cut: a cell shows"))
    stop(page)
    letters = run(page, "for _ in range(200_000): print(end='y')").get_by_label("Printed text")
    assert 100_000 < len(letters.inner_text()) < 100_200
    value = run(page, "'z' * 300_000").get_by_label("Value")
    expect(value).to_contain_text("200,002 more characters")


@pytest.mark.parametrize(
    "source", ["import os\nos.abort()", "import os\nos._exit(3)"], ids=["abort", "exit"]
)
def test_python_that_fails_for_good(page_tabs: PageTabs, source: str) -> None:
    page = page_tabs.chromium.context.new_page()  # Pyodide logs the failure
    page.goto(page_tabs.address("console", page="python"))
    failed = start(page, source)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Python itself has failed", timeout=60_000)
    expect(alert).to_contain_text("Run a cell to start it again")
    expect(failed.get_by_role("heading")).to_contain_text("failed after")
    expect(run(page, "1 + 1").get_by_label("Value")).to_have_text("2")
    page.close()


# Hostile values --------------------------------------------------------------------------------

FORGE = """
import js, json
tree = {tree}
result = {{"display": tree}}
js.postMessage(js.JSON.parse(json.dumps({{"number": {number}, "result": result}})))
"""
"""Posts a display that mobstore did not make, as any code in the worker can."""

EVIL = "document.title = 'stolen'"
DEEP = "tree = ['b', {}, {}, []]\nfor _ in range(60): tree = ['div', {}, {}, [tree]]"
REJECTED: dict[str, object] = {
    "script": ["script", {}, {}, [EVIL]],
    "image": ["img", {"src": "x", "onerror": EVIL}, {}, []],
    "nested": ["div", {}, {}, [["iframe", {"srcdoc": f"<script>{EVIL}</script>"}, {}, []]]],
    "style": ["style", {}, {}, ["* { display: none }"]],
    "link": ["a", {"href": f"javascript:{EVIL}"}, {}, ["click"]],
    "no element": ["div", {}, {}, [17]],
    "no list": {"div": 1},
}
INERT: list[object] = [
    "div",
    {
        "onclick": EVIL,
        "onmouseover": EVIL,
        "style": "position: fixed; inset: 0",
        "id": "main",
        "href": "x",
        "class": "jobs dropping",
        "title": "<b>",
    },
    {"position": "fixed", "inset": "0", "background": "url(x)", "left": "expression(1)"},
    [f'<img src=x onerror="{EVIL}">', ["b", {"onclick": EVIL}, {}, ["bold"]]],
]
LOOK = """(host) => [...host.shadowRoot.querySelectorAll("*")].map((element) =>
    [element.localName, ...[...element.attributes].map(({ name }) => name).sort()].join(" "))"""


def forge(page: Page, tree: str) -> Locator:
    """Show a display that a Python expression makes, before the result of its cell comes."""
    run(page, DEEP)
    number = int(re.sub(r"\D", "", cell(page).get_attribute("aria-label") or "")) + 1
    return start(page, FORGE.format(number=number, tree=tree))


@pytest.mark.parametrize("kind", REJECTED)
def test_foreign_elements_are_rejected(page: Page, kind: str) -> None:
    shown = forge(page, repr(REJECTED[kind]))
    expect(shown).to_contain_text("This value cannot be shown:")
    expect(page.locator(".console").locator("img, iframe, script, style, a")).to_have_count(0)
    expect(page).not_to_have_title("stolen")


def test_foreign_attributes_are_dropped(page: Page) -> None:
    display = forge(page, repr(INERT)).get_by_role("group", name="Display")
    expect(display).to_contain_text("<img src=x")
    assert display.evaluate(LOOK) == ["div class title", "b"]
    inner = display.locator("> div")
    expect(inner).to_have_css("position", "static")  # the page's classes do not apply to it
    display.locator("b").click()
    expect(page).not_to_have_title("stolen")


@pytest.mark.parametrize(
    "tree",
    ["tree", "['div', {}, {}, ['x'] * 30_000]", "['div', {}, {}, [['b', {}, {}, []]] * 20_001]"],
    ids=["deep", "texts", "elements"],
)
def test_large_displays_are_rejected(page: Page, tree: str) -> None:
    shown = forge(page, tree)
    expect(shown).to_contain_text("This value cannot be shown: the display is too large.")


def test_html_of_other_classes_is_not_shown(page: Page) -> None:
    source = (
        f"class A:\n    def _repr_html_(self):\n        return '''<script>{EVIL}</script>'''\nA()"
    )
    expect(run(page, source).get_by_label("Value")).to_contain_text("<cells.A object")


# The editor ------------------------------------------------------------------------------------


def test_lines_are_indented(page: Page) -> None:
    editor(page).fill("")
    editor(page).press_sequentially("def f():\nreturn 1\n")
    expect(editor(page)).to_have_value("def f():\n    return 1\n    ")
    editor(page).fill("")


def test_the_history(page: Page, page_tabs: PageTabs) -> None:
    page.get_by_role("button", name="Forget the history").click()
    for source in ("a = 1", "b = 2\nb", "a = 1"):  # a source is kept once
        run(page, source)
    box = editor(page)
    box.fill("draft")
    for key, source in [
        ("ArrowUp", "a = 1"),
        ("ArrowUp", "b = 2\nb"),
        ("ArrowDown", "a = 1"),
        ("ArrowDown", "draft"),
        ("ArrowDown", "draft"),
    ]:
        box.press(key)
        expect(box).to_have_value(source)
    other = page_tabs.open("other", page="python")
    editor(other).press("ArrowUp")
    expect(editor(other)).to_have_value("a = 1")
    other.get_by_role("button", name="Forget the history").click()
    editor(other).fill("")
    editor(other).press("ArrowUp")
    expect(editor(other)).to_have_value("")
    other.close()


def test_the_history_is_bounded(page: Page) -> None:
    page.get_by_role("button", name="Forget the history").click()
    script = "() => localStorage.console"
    for n in range(5):
        run(page, f"# {n}" + "x" * 60_000)
    assert 180_000 < len(page.evaluate(script)) < 200_100
    editor(page).press("ArrowUp")
    expect(editor(page)).to_have_value(re.compile(r"^# 4x"))
    page.evaluate(
        "localStorage.console = JSON.stringify(Array.from({length: 100}, (_, n) => `${n}`))"
    )
    run(page, "'the newest'")
    kept: list[str] = page.evaluate("JSON.parse(localStorage.console)")
    assert (len(kept), kept[0], kept[-1]) == (100, "1", "'the newest'")


LONGEST_TASK = """() => {
  self.longestTask = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestTask = Math.max(longestTask, duration);
  }).observe({ entryTypes: ["longtask"] });
}"""


def test_a_long_cell_is_recalled_at_once(page: Page) -> None:
    """Chromium takes seconds to insert many lines; a short cell is inserted, and can be undone."""
    go(page, page="python")
    box = editor(page)
    source = "\n".join(f"x{n} = {n} + 1  # a comment" for n in range(1600))
    page.evaluate("kept => { localStorage.console = kept; }", json.dumps([source, "a = 1"]))
    go(page, page="store")
    go(page, page="python")
    box.fill("draft")
    page.evaluate(LONGEST_TASK)
    box.press("ArrowUp")
    expect(box).to_have_value("a = 1")
    box.press("ControlOrMeta+z")
    expect(box).to_have_value("draft")
    box.press("ControlOrMeta+Shift+z")
    expect(box).to_have_value("a = 1")
    box.press("ArrowUp")
    expect(box).to_have_value(source)
    assert box.evaluate("box => [box.rows, box.selectionStart]") == [18, len(source)]
    box.press("ControlOrMeta+End")
    box.press("x")
    expect(box).to_have_value(f"{source}x")
    assert page.evaluate("longestTask") < 2000


@pytest.mark.parametrize("kept", ["{", "3", "[1, null]"])
def test_a_foreign_history_is_ignored(page: Page, kept: str) -> None:
    page.evaluate("kept => { localStorage.console = kept; }", kept)
    editor(page).fill("")
    editor(page).press("ArrowUp")
    expect(editor(page)).to_have_value("")
    run(page, "1")
    editor(page).press("ArrowUp")
    expect(editor(page)).to_have_value("1")


def test_without_storage(page_tabs: PageTabs) -> None:
    page = page_tabs.tab()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no') } })"
    )
    page.goto(page_tabs.address("console", page="python"))
    ready(page)
    run(page, "'kept as long as the page'")
    editor(page).press("ArrowUp")
    expect(editor(page)).to_have_value("'kept as long as the page'")
    page.get_by_label("Theme").select_option("Dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.close()


def test_a_cell_is_edited_again(page: Page) -> None:
    shown = run(page, "y = 5\ny")
    shown.get_by_role("button", name="Edit again").click()
    expect(editor(page)).to_have_value("y = 5\ny")
    expect(editor(page)).to_be_focused()


def test_only_the_newest_cells_are_shown(page: Page) -> None:
    for n in range(52):
        start(page, f"{n}")
        expect(cell(page).get_by_label("Value")).to_have_text(f"{n}")
    expect(page.locator(".cell")).to_have_count(50)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".cell")).to_have_count(0)


def test_another_store_has_a_console_of_its_own(page: Page) -> None:
    """The page says so when the change stops a cell."""
    run(page, "x = 1")
    start(page, "import asyncio\nawait asyncio.Event().wait()")
    open_store(page, "elsewhere")
    said = page.get_by_text(re.compile(r"Cell \d+ of the Python console was stopped"))
    expect(said).to_be_visible()
    go(page, page="python")
    expect(page.locator(".cell")).to_have_count(0)
    expect(run(page, "x", "failed").get_by_label("Error")).to_contain_text("NameError")
    expect(run(page, "await stores.events.latest_cursor()").get_by_label("Value")).to_have_text("0")


def test_python_comes_from_this_server(page_tabs: PageTabs) -> None:
    """Check that requests of the worker are recorded; the check of hosts depends on it."""
    assert f"{page_tabs.chromium.origin}/console.zip" in page_tabs.chromium.requested


# Firefox ---------------------------------------------------------------------------------------

ACT = """async (source) => {
  const until = async (find) => {
    for (const end = Date.now() + 90_000; Date.now() < end;) {
      const found = find();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no such element: ${find}`);
  };
  const editor = await until(() => document.querySelector("textarea"));
  if (source === "stop") document.evaluate("//button[.='Stop']", document).iterateNext().click();
  else {
    editor.value = source;
    editor.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", shiftKey: true }));
  }
  const cell = document.querySelector(".cell");
  if (source.includes("while True")) {
    return await until(() => cell.querySelector(".printed").textContent);
  }
  await until(() => cell.querySelector(".pill").dataset.status !== "running");
  const display = cell.querySelector(".display")?.shadowRoot.textContent ?? "";
  return `${cell.innerText}\n${display}`;
}"""


def test_firefox(firefox_program: str, origin: str, tmp_path: Path) -> None:
    with browsers.firefox(firefox_program, origin, tmp_path) as firefox:
        context = firefox.command("browsingContext.create", type="tab")["context"]
        address = f"{origin}/?store=console#page=python"
        firefox.command("browsingContext.navigate", context=context, url=address, wait="complete")
        tab = FirefoxTab(firefox, context)
        assert "appended event 1" in tab.run(ACT, EXAMPLES["Append and poll"])
        shown = tab.run(ACT, EXAMPLES["Export"])
        assert "differences: []" in shown
        assert "what the stores contain" in shown
        assert "ZeroDivisionError" in tab.run(ACT, "1 / 0")
        assert tab.run(ACT, "print('busy')\nwhile True:\n    pass").strip() == "busy"
        assert "stopped after" in tab.run(ACT, "stop")
        assert "\n2\n" in tab.run(ACT, "await stores.events.latest_cursor() + 1")
        assert not firefox.requests_elsewhere()


def test_no_text_is_lost(page: Page) -> None:
    """Text that has not run outlives a change of view, and comes back with Ctrl+Z."""
    editor(page).fill("draft")
    page.get_by_label("Examples").select_option("Verify")
    expect(editor(page)).to_have_value(EXAMPLES["Verify"])
    editor(page).press("Control+z")
    expect(editor(page)).to_have_value("draft")
    go(page, page="store")
    go(page, page="python")
    expect(editor(page)).to_have_value("draft")
    editor(page).fill("")
