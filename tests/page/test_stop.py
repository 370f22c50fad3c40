"""Recovery of the page from a busy worker and from files that are too large."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from page.page_tabs import PageTabs, choose, dismiss_notice, drop, facts, go, open_store, ready

pytestmark = pytest.mark.slow

IMPORTED = "was imported: 99 events, 8 runs, 2 definitions, 2 profiles."

BUSY_IN_IMPORTS = """(() => {
  const post = self.postMessage;
  self.postMessage = (message) => {
    post(message);
    if (message.progress) for (;;);
  };
})()"""
"""The next call that reports progress never returns."""

BUSY = "setTimeout(() => { for (;;); }, 0)"

WAITS_IN_IMPORTS = """(() => {
  const post = self.postMessage;
  self.postMessage = (message) => {
    post(message);
    if (!message.progress) return;
    const request = new XMLHttpRequest();
    request.open("GET", "/wait", false);
    request.send();
  };
})()"""
"""After each report of progress, the worker blocks until the server responds."""


@pytest.fixture(scope="module")
def tab(page_tabs: PageTabs) -> Page:
    """A tab with a clock that can be moved."""
    page = page_tabs.tab()
    page.clock.install()
    page.goto(page_tabs.address("stop"))
    ready(page)
    return page


@pytest.fixture
def page(tab: Page, request: pytest.FixtureRequest) -> Page:
    """The tab with an empty store named after the test."""
    open_store(tab, request.node.name)
    return tab


def make_busy(page: Page, script: str) -> None:
    """Run a script in the worker."""
    page.workers[-1].evaluate(script)


def seconds(page: Page, number: int) -> None:
    """Advance the clock of the page."""
    page.clock.run_for(1000 * number)


def wait_for_progress(job: Locator) -> None:
    """Wait until the worker has reported progress."""
    expect(job.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"\d"))


def test_an_import_is_stopped(page: Page, page_tabs: PageTabs, tide_desk: Path) -> None:
    other = page_tabs.open("test_an_import_is_stopped")
    make_busy(page, BUSY_IN_IMPORTS)
    drop(page, tide_desk)
    job = page.locator(".job").filter(has_text="Reading tide-desk.db")
    wait_for_progress(job)
    seconds(page, 8)
    expect(job).to_contain_text("no progress.")
    job.get_by_role("button", name="Stop").click()
    dismiss_notice(
        page, 'Stopped. The store "test_an_import_is_stopped" is empty: nothing was imported.'
    )
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()

    drop(other, tide_desk)  # the store is not locked
    dismiss_notice(other, IMPORTED)
    expect(facts(page)).to_contain_text("99 events")
    go(page, mob="tide-desk")
    expect(page.get_by_role("heading", name="writer-1")).to_be_visible()
    other.close()


def test_an_import_without_progress_is_stopped_after_a_minute(page: Page, tide_desk: Path) -> None:
    make_busy(page, BUSY_IN_IMPORTS)
    choose(page, "Choose a file", tide_desk)
    wait_for_progress(page.locator(".job").filter(has_text="Reading tide-desk.db"))
    seconds(page, 63)
    dismiss_notice(page, "Stopped after 60 seconds without progress. The store")
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
    drop(page, tide_desk)
    dismiss_notice(page, IMPORTED)


def test_progress_gives_an_import_more_time(page: Page, tide_desk: Path) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if len(held) == 3:
            route.fulfill(body="go on")
        else:
            held.append(route)

    page.route("**/wait", hold)
    make_busy(page, WAITS_IN_IMPORTS)
    drop(page, tide_desk)
    job = page.locator(".job").filter(has_text="Reading tide-desk.db")
    for number in range(3):
        while len(held) == number:
            page.wait_for_timeout(20)
        expect(job).to_have_text("Reading tide-desk.dbStop")
        seconds(page, 40)
        expect(job).to_contain_text("no progress.")
        held[number].fulfill(body="go on")
    dismiss_notice(page, IMPORTED)


def test_an_endless_read_is_stopped(page: Page, tide_desk: Path) -> None:
    drop(page, tide_desk)
    dismiss_notice(page, IMPORTED)
    make_busy(page, BUSY)
    page.get_by_role("link", name="Events", exact=True).click()
    seconds(page, 100)  # reads are not stopped automatically
    waiting = page.locator(".job").filter(has_text="Python is still busy.")
    waiting.get_by_role("button", name="Stop").click()
    dismiss_notice(page, "holds 2 mobs, 99 events and 8 runs.")
    expect(waiting).to_have_count(0)
    expect(page.get_by_role("heading", name="Store", exact=False).first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    go(page, mob="tide-desk", tab="events")
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("events")


def test_a_file_that_is_too_large_is_rejected(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "huge.db"
    with file.open("wb") as huge:
        huge.truncate(3_000_000_000)
    drop(page, file)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("huge.db cannot be imported here: it has 3.0 GB")
    expect(alert).to_contain_text("this page accepts at most 500.0 MB. Nothing was changed.")
    expect(alert).to_contain_text("with the command line instead: mobstore import")
    alert.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("heading", name="This store is empty")).to_be_visible()
