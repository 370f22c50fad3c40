"""Subscriptions to a store that is lost, and to commits without a message."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as NoLoadError

from browser.browsers import Browser, Chromium, ChromiumTab, Tab
from browser.test_tabs import listen
from browser.test_trouble import says

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize(
    "tabs",
    [("tab", "other_tab"), ("firefox_tab", "other_firefox_tab")],
    indirect=True,
    ids=["chromium", "firefox"],
)
BROWSERS = pytest.mark.parametrize("which", ["chromium", "firefox"])


@pytest.fixture
def tabs(request: pytest.FixtureRequest) -> list[Tab]:
    return [request.getfixturevalue(name) for name in request.param]


@pytest.fixture
def ending_tabs(request: pytest.FixtureRequest, which: str) -> tuple[Tab, Tab]:
    """A shared tab, and a new one that the test closes or changes for good."""
    browser: Browser[Any] = request.getfixturevalue(which)
    shared: Tab = request.getfixturevalue("tab" if which == "chromium" else "firefox_tab")
    return shared, browser.tab()


def all_say(errors: list[dict[str, Any]], *words: str) -> bool:
    kinds = ["ReadFailedError"] * 2 + ["WriteFailedError"] * 2 + ["ReadFailedError"] * 4
    return all(says(error, kind, *words) for error, kind in zip(errors, kinds, strict=True))


def check_deletion(tab: Tab, other: Tab) -> None:
    """Check that what waits and what begins ends when another tab deletes the database."""
    assert tab.call("handles:open_", "lost") is None
    tab.start("lost:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    other.call("indexeddb:delete_database", "lost")
    assert all_say(tab.finish(), "was deleted", "open the store again")
    tab.call("handles:close", "lost")


@BOTH
def test_deleted_by_another_tab(tabs: list[Tab]) -> None:
    check_deletion(*tabs)


@BROWSERS
def test_upgraded_by_another_tab(ending_tabs: tuple[Tab, Tab]) -> None:
    tab, newer = ending_tabs
    newer.call("newer:become")
    assert tab.call("handles:open_", "lost") is None
    tab.start("lost:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    assert newer.call("handles:open_", "lost", 30) is None
    assert all_say(tab.finish(), "upgraded by another tab", "reload")
    tab.call("handles:close", "lost")
    newer.call("handles:close", "lost")
    newer.call("indexeddb:delete_database", "lost")
    newer.close()


def test_site_data_cleared(chromium: Chromium, tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "lost") is None
    tab.start("lost:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    tab.devtools("Storage.clearDataForOrigin", origin=chromium.origin, storageTypes="indexeddb")
    assert all_say(tab.finish(), "open the store again")
    tab.call("handles:close", "lost")


@pytest.mark.parametrize("tab_name", ["tab", "page_tab"])
def test_site_data_cleared_while_frozen(
    request: pytest.FixtureRequest, chromium: Chromium, tab_name: str
) -> None:
    """A frozen page gets no event of a closed database before it goes on."""
    tab: ChromiumTab = request.getfixturevalue(tab_name)
    assert tab.call("handles:open_", "lost") is None
    tab.start("lost:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    with chromium.frozen(pages_only=True):  # the lifecycle state of the same name stops nothing
        tab.devtools("Storage.clearDataForOrigin", origin=chromium.origin, storageTypes="indexeddb")
    assert all_say(tab.finish(), "open the store again")
    tab.call("handles:close", "lost")
    assert tab.call("handles:open_", "lost") is None
    assert tab.call("handles:cursors", "lost") == []
    tab.call("handles:close", "lost")
    tab.call("indexeddb:delete_database", "lost")


_REMEMBER = """() => {
  addEventListener("pageshow", ({ persisted }) => (localStorage.persisted = persisted));
  harness.finish().then((answer) => (localStorage.answer = answer));
  return "";
}"""
_ANSWER = """async () => {
  while (!localStorage.answer) await new Promise((resolve) => setTimeout(resolve, 20));
  return `[${localStorage.persisted}, ${localStorage.answer}]`;
}"""


def test_site_data_cleared_while_a_page_is_kept_for_going_back(
    chromium: Chromium, chromium_program: str, tmp_path: Path
) -> None:
    """Playwright loses sight of a page that comes back, so the page reports to another tab."""
    keeping = ["--disable-back-forward-cache"]
    with chromium.another(chromium_program, tmp_path, left_out=keeping) as browser:
        tab, other = browser.tab(), browser.tab("page")
        assert tab.call("handles:open_", "lost") is None
        tab.start("lost:follow_until_lost", "lost")
        assert listen(tab, seconds=0) == ["following"]
        tab.run(_REMEMBER)
        tab.page.goto(f"{browser.origin}/icon.svg")
        other.devtools(
            "Storage.clearDataForOrigin", origin=browser.origin, storageTypes="indexeddb"
        )
        with suppress(NoLoadError):  # no page is loaded
            tab.page.go_back(wait_until="commit", timeout=1000)
        persisted, answer = json.loads(other.run(_ANSWER))
    assert persisted
    assert all_say(answer["result"], "open the store again")


@BROWSERS
def test_busy_while_another_tab_opens_and_closes(ending_tabs: tuple[Tab, Tab]) -> None:
    tab, other = ending_tabs
    other.call("environment:evaluates")  # Python is started
    assert tab.call("handles:open_", "missed") is None
    tab.start("lost:follow_while_busy", "missed", 2.5)
    assert listen(tab, seconds=0) == ["busy"]
    assert other.call("handles:open_", "missed") is None
    assert other.call("lost:append_five", "missed") == [1, 2, 3, 4, 5]
    other.close()
    assert tab.finish() == [1, 2, 3, 4, 5]
    tab.call("handles:close", "missed")
    tab.call("indexeddb:delete_database", "missed")


@BOTH
def test_another_tab_sends_no_message(tabs: list[Tab]) -> None:
    tab, silent = tabs
    for one in tabs:
        assert one.call("handles:open_", "silent") is None
    silent.call("lost:disconnect", "silent")
    tab.start("lost:follow_one", "silent")
    assert listen(tab, seconds=0) == ["following"]
    assert silent.call("handles:write", "silent") is None
    assert tab.finish() == 1
    for one in tabs:
        one.call("handles:close", "silent")
    tab.call("indexeddb:delete_database", "silent")


@BOTH
def test_a_message_suffices(tabs: list[Tab]) -> None:
    tab, other = tabs
    for one in tabs:
        assert one.call("handles:open_", "message") is None
    tab.start("lost:follow_one_without_the_timer", "message", seconds=20)
    assert listen(tab, seconds=0) == ["following"]
    assert other.call("handles:write", "message") is None
    assert tab.finish() == 1
    for one in tabs:
        one.call("handles:close", "message")
    tab.call("indexeddb:delete_database", "message")


def test_the_timer_runs_only_for_listeners(tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "looked-at") is None
    assert tab.call("lost:looks_while_followed", "looked-at") == [False, True, True, False]
    tab.call("handles:close", "looked-at")
    tab.call("indexeddb:delete_database", "looked-at")


@BOTH
def test_the_timer_is_slow_in_a_tab_alone(tabs: list[Tab]) -> None:
    tab, other = tabs
    assert tab.call("handles:open_", "alone") is None
    assert tab.call("lost:woken_by_the_timer", "alone", 4) == 0
    assert other.call("handles:open_", "alone") is None
    for one in (other, tab):  # the first has an answer, though the other has no listener
        assert one.call("lost:woken_by_the_timer", "alone", 9) == 2
    for one in tabs:
        one.call("handles:close", "alone")
    tab.call("indexeddb:delete_database", "alone")


def test_only_matching_listeners_are_called(tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "woken") is None
    assert tab.call("lost:woken", "woken") == [1, 1, 2, 2, 3]
    tab.call("handles:close", "woken")
    tab.call("indexeddb:delete_database", "woken")
