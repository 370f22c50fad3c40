"""What goes wrong in browsers: each is a clear error, and nothing is lost."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Route

from browser.browsers import Chromium, ChromiumTab
from mobstore.scripts.tables import FORMAT, TABLES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(chromium: Chromium) -> ChromiumTab:
    return chromium.tab()


@pytest.fixture(scope="module")
def newer(chromium: Chromium) -> ChromiumTab:
    """A tab whose mobstore is of a newer format."""
    newer = chromium.tab()
    newer.call("newer:become")
    return newer


def says(error: dict[str, Any] | None, kind: str, *words: str) -> bool:
    assert error is not None, "it went well"
    return error["kind"] == kind and all(word in error["text"] for word in words)


# Other tabs ------------------------------------------------------------------------------------


def test_upgraded_by_another_tab(tab: ChromiumTab, newer: ChromiumTab) -> None:
    assert tab.call("handles:open_", "upgraded") is None
    tab.start("handles:append_until_refused", "upgraded")
    assert newer.call("handles:open_", "upgraded", 30) is None
    acknowledged, error = tab.finish()
    assert says(error, "WriteFailedError", "upgraded by another tab", "reload")
    assert newer.call("handles:cursors", "upgraded") == acknowledged
    assert newer.call("newer:found_by_the_new_index", "upgraded") == acknowledged

    assert says(tab.call("handles:read", "upgraded"), "ReadFailedError", "upgraded", "reload")
    tab.call("handles:close", "upgraded")
    error = tab.call("handles:open_", "upgraded")
    assert says(error, "ReadFailedError", "newer mobstore", "reload")
    assert newer.call("handles:write", "upgraded") is None
    newer.call("handles:close", "upgraded")


def test_upgraded_while_another_tab_holds_on(tab: ChromiumTab, newer: ChromiumTab) -> None:
    assert tab.call("handles:open_", "blocked") is None
    assert tab.call("handles:write", "blocked") is None
    tab.call("handles:close", "blocked")
    tab.call("indexeddb:hold", "blocked", FORMAT)
    error = newer.call("handles:open_", "blocked", 0.5)  # less than a second counts as one
    assert says(error, "ReadFailedError", "another tab holds an older version", "in 1 s")
    assert error["retry_safe"]
    # The browser knows of the first attempt only, and tells the second one nothing.
    error = newer.call("handles:open_", "blocked", 0.5)
    assert says(error, "ReadFailedError", "another tab")

    tab.call("indexeddb:let_go", "blocked")
    assert newer.call("handles:open_", "blocked") is None
    assert newer.call("handles:cursors", "blocked") == [1]
    newer.call("handles:close", "blocked")
    # What was opened too late was closed again, or this would wait for it.
    tab.call("indexeddb:delete_database", "blocked")


def test_database_of_an_earlier_format(tab: ChromiumTab, newer: ChromiumTab) -> None:
    """Opening a database upgrades it once: it gets what it lacks and keeps what it has."""
    assert tab.call("handles:open_", "earlier") is None
    identity = tab.call("handles:identity", "earlier")
    assert identity == str(UUID(identity))
    assert tab.call("handles:write", "earlier") is None
    tab.call("handles:close", "earlier")
    for cursors in ([1], [1, 2]):
        assert newer.call("handles:open_", "earlier") is None
        assert newer.call("handles:identity", "earlier") == identity
        assert newer.call("newer:found_by_the_new_index", "earlier") == cursors
        assert newer.call("handles:write", "earlier") is None
        newer.call("handles:close", "earlier")
    newer.call("indexeddb:hold", "earlier", FORMAT + 1)
    version, stores = newer.call("indexeddb:let_go", "earlier")
    assert (version, set(stores)) == (FORMAT + 1, {*(table.name for table in TABLES), "notes"})
    newer.call("indexeddb:delete_database", "earlier")


def test_deleted_by_another_tab(tab: ChromiumTab, other: ChromiumTab) -> None:
    assert tab.call("handles:open_", "deleted") is None
    tab.start("handles:append_until_refused", "deleted")
    other.call("indexeddb:delete_database", "deleted")
    acknowledged, error = tab.finish()
    assert acknowledged
    assert says(error, "WriteFailedError", "was deleted", "open the store again")
    assert says(tab.call("handles:read", "deleted"), "ReadFailedError", "was deleted")
    tab.call("handles:close", "deleted")

    assert tab.call("handles:open_", "deleted") is None
    assert tab.call("handles:cursors", "deleted") == []
    assert tab.call("handles:write", "deleted") is None
    tab.call("handles:close", "deleted")


def test_site_data_cleared(tab: ChromiumTab, chromium: Chromium) -> None:
    assert tab.call("handles:open_", "cleared") is None
    assert tab.call("handles:write", "cleared") is None
    tab.devtools("Storage.clearDataForOrigin", origin=chromium.origin, storageTypes="indexeddb")
    assert says(tab.call("handles:write", "cleared"), "WriteFailedError", "open the store again")
    assert says(tab.call("handles:read", "cleared"), "ReadFailedError", "open the store again")
    tab.call("handles:close", "cleared")

    assert tab.call("handles:open_", "cleared") is None
    assert tab.call("handles:cursors", "cleared") == []
    assert tab.call("handles:write", "cleared") is None
    tab.call("handles:close", "cleared")


# Databases that are not to be opened -------------------------------------------------------------


@pytest.mark.parametrize("stores", [["things"], ["events", "things"], ["events"], []], ids=str)
def test_database_of_another_program(tab: ChromiumTab, stores: list[str]) -> None:
    tab.call("indexeddb:hold", "foreign", FORMAT, *stores)
    tab.call("indexeddb:let_go", "foreign")
    assert says(tab.call("handles:open_", "foreign"), "ReadFailedError", "another program")
    tab.call("indexeddb:hold", "foreign", FORMAT)
    assert tab.call("indexeddb:let_go", "foreign") == [FORMAT, stores]
    tab.call("indexeddb:delete_database", "foreign")


def test_database_of_another_program_in_an_upgrade(tab: ChromiumTab, newer: ChromiumTab) -> None:
    tab.call("indexeddb:hold", "older", FORMAT, "things")
    tab.call("indexeddb:let_go", "older")
    assert says(newer.call("handles:open_", "older"), "ReadFailedError", "another program")
    tab.call("indexeddb:hold", "older", FORMAT)
    assert tab.call("indexeddb:let_go", "older") == [FORMAT, ["things"]]
    tab.call("indexeddb:delete_database", "older")


def test_database_of_a_newer_format(tab: ChromiumTab) -> None:
    tab.call("indexeddb:hold", "future", 99, "events")
    tab.call("indexeddb:let_go", "future")
    assert says(tab.call("handles:open_", "future"), "ReadFailedError", "newer mobstore")
    tab.call("indexeddb:hold", "future", 99)
    assert tab.call("indexeddb:let_go", "future") == [99, ["events"]]
    tab.call("indexeddb:delete_database", "future")


def test_missing_database_is_not_created(tab: ChromiumTab) -> None:
    error = tab.call("place:refusal", "indexeddb:missing", False)
    assert says(error, "ReadFailedError", "there is no 'missing'")
    assert "missing" not in tab.call("indexeddb:names")


def test_databases_that_are_only_read(
    tab: ChromiumTab, other: ChromiumTab, newer: ChromiumTab
) -> None:
    error = tab.call("read_only:cursors", "missing")
    assert says(error, "ReadFailedError", "there is no 'missing'")
    assert "missing" not in tab.call("indexeddb:names")
    assert other.call("handles:open_", "read") is None
    assert other.call("handles:write", "read") is None
    assert tab.call("read_only:cursors", "read") == [1]
    for error in tab.call("read_only:writes", "read"):
        assert says(error, "InternalError", "open it without read_only to write")
    assert tab.call("read_only:cursors", "read") == [1]
    # What is older is not upgraded, so whoever has it open keeps it.
    error = newer.call("read_only:cursors", "read")
    assert says(error, "ReadFailedError", "older mobstore", "without read_only")
    assert other.call("handles:write", "read") is None
    assert newer.call("handles:open_", "read") is None
    error = tab.call("read_only:cursors", "read")
    assert says(error, "ReadFailedError", "newer mobstore")
    assert newer.call("read_only:cursors", "read") == [1, 2]
    newer.call("handles:close", "read")
    other.call("handles:close", "read")
    newer.call("indexeddb:delete_database", "read")
    for reader, stores in ((newer, ["things"]), (tab, ["things"]), (tab, [])):
        tab.call("indexeddb:hold", "foreign", FORMAT, *stores)
        tab.call("indexeddb:let_go", "foreign")
        error = reader.call("read_only:cursors", "foreign")
        assert says(error, "ReadFailedError", "another program")
        tab.call("indexeddb:delete_database", "foreign")


def test_no_time_to_wait(tab: ChromiumTab) -> None:
    for timeout in (0, 0.001):
        assert tab.call("place:refusal", "indexeddb:no-time", True, timeout) is None
    tab.call("indexeddb:hold", "no-time", FORMAT)
    error = tab.call("place:refusal", "indexeddb:no-time", True, 0)
    assert error is None, "another tab that has it open is not in the way"
    tab.call("indexeddb:let_go", "no-time")
    tab.call("indexeddb:delete_database", "no-time")


# Places ----------------------------------------------------------------------------------------


def test_sandboxed_frame(chromium: Chromium) -> None:
    """It has no origin of its own, so the server must let it load what belongs to the site."""
    protection = {"content-security-policy", "cross-origin-resource-policy", "x-frame-options"}

    def share(route: Route) -> None:
        answer = route.fetch()
        headers = {name: text for name, text in answer.headers.items() if name not in protection}
        headers["access-control-allow-origin"] = "*"
        route.fulfill(response=answer, headers=headers)

    page = chromium.context.new_page()
    page.route("**/*", share)
    page.goto(f"{chromium.origin}/tests/sandboxed.html")
    frame = ChromiumTab(page.frames[1])
    error = frame.call("place:refusal", "indexeddb:sandboxed")
    assert says(error, "ReadFailedError", "sandboxed frames")
    assert frame.call("place:refusal", "memory:") is None
    page.close()


@pytest.mark.parametrize("where", ["worker", "page"])
def test_javascript_is_not_made_from_text(chromium: Chromium, where: str) -> None:
    tab = chromium.tab(where)
    assert not tab.call("place:evaluates")
    assert tab.call("place:stores_an_event", f"policy-{where}") == 1
    tab.close()


# Damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 40])
def test_a_damaged_row_hurts_no_other(tab: ChromiumTab, number: int) -> None:
    damaged, *sound = tab.call("damaged:beside_sound_ones", number)
    assert says(damaged, "SerializationError", "did not write")
    assert sound == [None] * (number - 1)


# Tasks and handlers ------------------------------------------------------------------------------


def test_cancelled_tasks(tab: ChromiumTab) -> None:
    tab.call("cancelling:run")


def test_nothing_is_left_behind(chromium: Chromium) -> None:
    assert chromium.tab().call("life:left_behind") == []
