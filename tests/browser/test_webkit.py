"""WebKitGTK: the contract, two tabs, reloads, the page, and what Safari is known for.

WebKitGTK shares IndexedDB, JavaScript and WebAssembly with Safari, but is not Safari.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest

import serve
from browser import webkit
from browser.test_lost import all_say, check_deletion
from browser.test_tabs import listen
from browser.test_trouble import says
from browser.webkit import WebKit, WebKitTab
from mobstore.testing import Case, all_cases

pytestmark = [pytest.mark.slow, pytest.mark.webkit]

MOVES = 26
_UNTIL = """async (...texts) => {
  const condition = CONDITION;
  const end = Date.now() + 200_000;
  while (!condition(...texts)) {
    if (Date.now() > end) throw Error(`waited for ${texts}: ${document.body.innerText}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return "";
}"""


def until(tab: WebKitTab, condition: str, *texts: str) -> None:
    """Wait until a JavaScript function of these texts returns true."""
    tab.run(_UNTIL.replace("CONDITION", condition), *texts)


def shows(tab: WebKitTab, text: str) -> None:
    """Wait until the page shows a text."""
    until(tab, "(text) => document.body.innerText.includes(text)", text)


def press(tab: WebKitTab, name: str) -> None:
    """Press the enabled button or link of this name, once there is one."""
    until(
        tab,
        """(name) => {
          const found = [...document.querySelectorAll("button, a")].find(
            (one) => one.innerText.trim() === name && !one.disabled);
          found?.click();
          return found;
        }""",
        name,
    )


def go(tab: WebKitTab, place: str) -> None:
    """Go to a route in the same store."""
    tab.run("(place) => (location.hash = place)", place)


def ready(tab: WebKitTab) -> None:
    """Wait until Python runs and the store is shown."""
    until(
        tab,
        """() => [...document.querySelectorAll("button")].some(
          (one) => one.innerText === "Open a file" && !one.disabled)""",
    )


@pytest.fixture(scope="module")
def webkit_browser(
    webkit_program: str, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[WebKit]:
    with webkit.webkit(webkit_program, origin, tmp_path_factory.mktemp("webkit")) as browser:
        yield browser


@pytest.fixture(scope="module")
def webkit_tabs(webkit_browser: WebKit) -> list[WebKitTab]:
    """Two tabs with Pyodide in workers."""
    return [webkit_browser.tab(), webkit_browser.tab()]


@pytest.mark.parametrize("case", all_cases().values(), ids=lambda case: case.id)
def test_contract(webkit_tabs: list[WebKitTab], case: Case) -> None:
    status, reason = webkit_tabs[0].call("contract:run", case.id)
    assert status == "passed", reason


def test_two_tabs_race(webkit_tabs: list[WebKitTab]) -> None:
    webkit_tabs[0].call("races:prepare", "race")
    for tab in webkit_tabs:
        tab.start("races:increment", "race", 2, 8, 8)
    outcomes = [tab.finish() for tab in webkit_tabs]
    everything = list(range(1, 129))
    assert sorted(value for values, _, _ in outcomes for value in values) == everything
    assert sorted(cursor for _, cursors, _ in outcomes for cursor in cursors) == everything
    value, cursors, steps = webkit_tabs[1].call("races:outcome", "race")
    assert (value, cursors) == (everything[-1], everything)
    assert sorted(steps) == sorted(f"s{value}" for value in everything)


def test_deleted_by_another_tab(webkit_tabs: list[WebKitTab]) -> None:
    check_deletion(*webkit_tabs)


def test_closed_while_it_writes(webkit_tabs: list[WebKitTab]) -> None:
    tab, writing = webkit_tabs
    writing.start("work:forever", "closed", "normal", "tag")
    acknowledged = listen(writing, seconds=0.5)
    webkit_tabs.pop().close()
    tab.call("work:check", "closed", acknowledged)
    assert len(acknowledged) > 5


def test_in_a_page(webkit_browser: WebKit) -> None:
    tab = webkit_browser.tab("page")
    assert tab.call("handles:open_", "in-a-page", seconds=200) is None
    assert tab.call("handles:write", "in-a-page") is None
    tab.reload()
    assert tab.call("handles:open_", "in-a-page", seconds=200) is None
    assert tab.call("handles:cursors", "in-a-page") == [1]
    tab.close()


def test_the_page(webkit_browser: WebKit) -> None:
    tab = webkit_browser.show("/?store=webkit")
    ready(tab)
    press(tab, "Open the sample")
    shows(tab, "The sample was imported: 99 events, 8 runs, 2 definitions, 2 profiles.")
    go(tab, "mob=tide-desk&tab=events")
    until(tab, """() => document.querySelectorAll("[role=row][aria-selected]").length > 10""")
    go(tab, "run=24ede6a4-6b4c-4242-8a23-d5962217bead")
    shows(tab, "24ede6a4")
    until(tab, """() => document.querySelector("main .timeline canvas")""")

    go(tab, "page=demo")
    press(tab, "Start a flow")
    shows(tab, f"0 of {MOVES} moves made")
    press(tab, "Step")
    shows(tab, f"1 of {MOVES} moves made")
    tab.reload()
    ready(tab)
    shows(tab, f"1 of {MOVES} moves made")
    press(tab, "Step")
    shows(tab, f"2 of {MOVES} moves made")
    tab.close()


# The process that holds the databases ends -------------------------------------------------------

_REPORT = """(name) => {
  const report = (answer) =>
    fetch(`/reports/${encodeURIComponent(answer)}`).catch(() => setTimeout(report, 100, answer));
  const call = (program, ...values) => {
    harness.start(program, JSON.stringify(values), 60);
    return harness.finish();
  };
  (async () => {
    await report(await call("lost:follow_until_lost", name));
    await call("handles:close", name);
    await report(await call("handles:open_", name));
    const again = JSON.stringify({ program: "environment:stores_an_event", values: [name] });
    location.search = `${location.search}&report=${encodeURIComponent(again)}`;
  })();
  return "";
}"""


@pytest.mark.parametrize("where", ["worker", "page"])
def test_the_databases_process_ends(
    webkit_program: str, site: Path, tmp_path: Path, where: str
) -> None:
    """Followers fail at once, and the errors say how to go on.

    WebDriver's session ends with that process, so the tab reports by requests to the server.
    """
    requested: list[str] = []
    server = serve.make_server(site, log=lambda path, _: requested.append(path))
    thread = Thread(target=server.serve_forever)
    thread.start()

    def reported() -> Any:
        deadline = time.monotonic() + 200
        while not (reports := [path for path in requested if path.startswith("/reports/")]):
            assert time.monotonic() < deadline, requested
            time.sleep(0.02)
        requested.remove(reports[0])
        return json.loads(unquote(reports[0].removeprefix("/reports/")))["result"]

    try:
        origin = f"http://127.0.0.1:{server.server_port}"
        with webkit.webkit(webkit_program, origin, tmp_path) as browser:
            tab = browser.tab(where)
            assert tab.call("handles:open_", "lost") is None
            tab.run(_REPORT, "lost")
            assert listen(tab, seconds=0) == ["following"]
            browser.kill_network_process()
            assert all_say(reported(), "open the store again", "reload the page")
            error = reported()  # WebKit does not connect this page to the new process
            assert says(error, "ReadFailedError", "reload the page")
            assert reported() == 1, "a reload suffices; these data were in memory only"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
