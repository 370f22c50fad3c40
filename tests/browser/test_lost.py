"""Followers of a store that is taken away, and of commits of which no message comes."""

from __future__ import annotations

from typing import Any

import pytest

from browser.browsers import Browser, Chromium, ChromiumTab, Tab
from browser.test_tabs import listen
from browser.test_trouble import says

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("which", ["chromium", "firefox"])


@pytest.fixture
def tabs(request: pytest.FixtureRequest, which: str) -> list[Tab]:
    browser: Browser[Any] = request.getfixturevalue(which)
    return [browser.tab(), browser.tab()]


def all_say(errors: list[dict[str, Any]], *words: str) -> bool:
    kinds = ["ReadFailedError"] * 2 + ["WriteFailedError"] * 2 + ["ReadFailedError"] * 4
    return all(says(error, kind, *words) for error, kind in zip(errors, kinds, strict=True))


@BOTH
def test_deleted_by_another_tab(tabs: list[Tab]) -> None:
    tab, other = tabs
    assert tab.call("handles:open_", "lost") is None
    tab.start("losing:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    other.call("indexeddb:delete_database", "lost")
    assert all_say(tab.finish(), "was deleted", "open the store again")
    tab.call("handles:close", "lost")


@BOTH
def test_upgraded_by_another_tab(tabs: list[Tab]) -> None:
    tab, newer = tabs
    newer.call("newer:become")
    assert tab.call("handles:open_", "lost") is None
    tab.start("losing:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    assert newer.call("handles:open_", "lost", 30) is None
    assert all_say(tab.finish(), "upgraded by another tab", "reload")
    tab.call("handles:close", "lost")
    newer.call("handles:close", "lost")
    newer.call("indexeddb:delete_database", "lost")


def test_site_data_cleared(chromium: Chromium, tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "lost") is None
    tab.start("losing:follow_until_lost", "lost")
    assert listen(tab, seconds=0) == ["following"]
    tab.devtools("Storage.clearDataForOrigin", origin=chromium.origin, storageTypes="indexeddb")
    assert all_say(tab.finish(), "open the store again")
    tab.call("handles:close", "lost")


@BOTH
def test_busy_while_another_tab_came_and_went(tabs: list[Tab]) -> None:
    tab, other = tabs
    other.call("place:evaluates")  # Python is started
    assert tab.call("handles:open_", "missed") is None
    tab.start("losing:follow_while_busy", "missed", 2.5)
    assert listen(tab, seconds=0) == ["busy"]
    assert other.call("handles:open_", "missed") is None
    assert other.call("losing:append_five", "missed") == [1, 2, 3, 4, 5]
    other.close()
    assert tab.finish() == [1, 2, 3, 4, 5]
    tab.call("handles:close", "missed")
    tab.call("indexeddb:delete_database", "missed")


@BOTH
def test_another_tab_does_not_tell(tabs: list[Tab]) -> None:
    tab, silent = tabs
    for one in tabs:
        assert one.call("handles:open_", "silent") is None
    tab.start("losing:follow_one", "silent")
    assert listen(tab, seconds=0) == ["following"]
    assert silent.call("losing:append_silently", "silent") == 1
    assert tab.finish() == 1
    for one in tabs:
        one.call("handles:close", "silent")
    tab.call("indexeddb:delete_database", "silent")


def test_only_followers_look(tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "looked-at") is None
    assert tab.call("losing:looks_while_followed", "looked-at") == [False, True, True, False]
    tab.call("handles:close", "looked-at")
    tab.call("indexeddb:delete_database", "looked-at")


def test_only_those_concerned_are_woken(tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "woken") is None
    assert tab.call("losing:woken", "woken") == [1, 1, 2, 2, 3]
    tab.call("handles:close", "woken")
    tab.call("indexeddb:delete_database", "woken")
