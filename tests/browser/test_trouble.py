"""Failures in browsers: each is a clear error, and nothing is lost."""

from __future__ import annotations

from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Route

from browser.browsers import Chromium, ChromiumTab
from browser.inside import older
from mobstore import Timestamp
from mobstore.scripts.tables import FORMAT, TABLES

pytestmark = pytest.mark.slow


def says(error: dict[str, Any] | None, kind: str, *words: str) -> bool:
    assert error is not None, "the call succeeded"
    return error["kind"] == kind and all(word in error["text"] for word in words)


# Other tabs ------------------------------------------------------------------------------------


def test_upgraded_by_another_tab(tab: ChromiumTab, newer_tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "upgraded") is None
    tab.start("handles:append_until_failure", "upgraded")
    assert newer_tab.call("handles:open_", "upgraded", 30) is None
    acknowledged, error = tab.finish()
    assert says(error, "WriteFailedError", "upgraded by another tab", "reload")
    assert newer_tab.call("handles:cursors", "upgraded") == acknowledged
    assert newer_tab.call("newer:found_by_the_new_index", "upgraded") == acknowledged

    assert says(tab.call("handles:read", "upgraded"), "ReadFailedError", "upgraded", "reload")
    tab.call("handles:close", "upgraded")
    error = tab.call("handles:open_", "upgraded")
    assert says(error, "ReadFailedError", "newer mobstore", "reload")
    assert newer_tab.call("handles:write", "upgraded") is None
    newer_tab.call("handles:close", "upgraded")


def test_upgraded_while_another_tab_keeps_it_open(tab: ChromiumTab, newer_tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "blocked") is None
    assert tab.call("handles:write", "blocked") is None
    tab.call("handles:close", "blocked")
    tab.call("indexeddb:hold", "blocked", FORMAT)
    error = newer_tab.call("handles:open_", "blocked", 0.5)  # less than a second counts as one
    assert says(error, "ReadFailedError", "another tab holds an older version", "in 1 s")
    assert error["retry_safe"]
    # The browser reports the first attempt as blocked; the second one gets no event.
    error = newer_tab.call("handles:open_", "blocked", 0.5)
    assert says(error, "ReadFailedError", "another tab")

    tab.call("indexeddb:release", "blocked")
    assert newer_tab.call("handles:open_", "blocked") is None
    assert newer_tab.call("handles:cursors", "blocked") == [1]
    newer_tab.call("handles:close", "blocked")
    # The late connections were closed again, or this would wait for them.
    tab.call("indexeddb:delete_database", "blocked")


def test_database_of_an_earlier_format(tab: ChromiumTab, newer_tab: ChromiumTab) -> None:
    """Opening a database upgrades it once: it gets what it lacks and keeps what it has."""
    assert tab.call("handles:open_", "earlier") is None
    identity = tab.call("handles:identity", "earlier")
    assert identity == str(UUID(identity))
    assert tab.call("handles:write", "earlier") is None
    tab.call("handles:close", "earlier")
    for cursors in ([1], [1, 2]):
        assert newer_tab.call("handles:open_", "earlier") is None
        assert newer_tab.call("handles:identity", "earlier") == identity
        assert newer_tab.call("newer:found_by_the_new_index", "earlier") == cursors
        assert newer_tab.call("handles:write", "earlier") is None
        newer_tab.call("handles:close", "earlier")
    newer_tab.call("indexeddb:hold", "earlier", FORMAT + 1)
    version, stores = newer_tab.call("indexeddb:release", "earlier")
    assert (version, set(stores)) == (FORMAT + 1, {*(table.name for table in TABLES), "notes"})
    newer_tab.call("indexeddb:delete_database", "earlier")


@pytest.mark.parametrize("number", [0, 5000])
def test_database_of_format_1(tab: ChromiumTab, older_tab: ChromiumTab, number: int) -> None:
    """Its runs that have not ended can be claimed; an older tab that has it open is notified."""
    assert older_tab.call("handles:open_", "first") is None
    assert older_tab.call("handles:write", "first") is None
    older_tab.call("older:fill", "first", number)
    identity = older_tab.call("handles:identity", "first")
    error = tab.call("read_only:cursors", "first")
    assert says(error, "ReadFailedError", "format 1", "open it once without read_only=True")
    assert older_tab.call("handles:write", "first") is None
    before, began = Timestamp.now(), monotonic()
    assert tab.call("handles:open_", "first", 30) is None
    print(f"{number} runs: {monotonic() - began:.1f} s")
    assert tab.call("handles:identity", "first") == identity
    assert tab.call("older:by_type", "first", "mob_completed") == [1, 2]
    rows = older.runs(number)
    assert tab.call("older:rows", "first", "runs") == [list(row) for row in rows]
    first, *others = tab.call("older:rows", "first", "run_claims")
    due_at = first[5]
    assert before <= Timestamp(due_at) <= Timestamp.now()
    going = [row for row in rows if row.status in {"pending", "running"}]
    assert [first, *others] == [
        [*row[:5], due_at if row.created_at == older.FUTURE else row.created_at, "", 0, 0]
        for row in going
    ]
    for table in ("event_keys", "consumers", "claims"):
        assert tab.call("older:rows", "first", table) == []

    assert says(older_tab.call("handles:write", "first"), "WriteFailedError", "upgraded", "reload")
    older_tab.call("handles:close", "first")
    error = older_tab.call("handles:open_", "first")
    assert says(error, "ReadFailedError", "newer mobstore", "reload")
    tab.call("handles:close", "first")
    tab.call("indexeddb:delete_database", "first")


def test_damaged_database_of_format_1(tab: ChromiumTab, older_tab: ChromiumTab) -> None:
    """A run that cannot be read fails the upgrade, which changes nothing."""
    assert older_tab.call("handles:open_", "damaged") is None
    older_tab.call("older:fill", "damaged", 0)
    older_tab.call("corruption:remove_created_at", "damaged", older.runs(0)[1].run_id)
    older_tab.call("handles:close", "damaged")
    error = tab.call("handles:open_", "damaged")
    assert says(error, "SerializationError", "'damaged' holds a value that mobstore did not")
    assert older_tab.call("handles:open_", "damaged") is None
    older_tab.call("handles:close", "damaged")
    tab.call("indexeddb:delete_database", "damaged")


def test_deleted_by_another_tab(tab: ChromiumTab, other_tab: ChromiumTab) -> None:
    assert tab.call("handles:open_", "deleted") is None
    tab.start("handles:append_until_failure", "deleted")
    other_tab.call("indexeddb:delete_database", "deleted")
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


# Databases that must not be opened --------------------------------------------------------------


@pytest.mark.parametrize("stores", [["things"], ["events", "things"], ["events"], []], ids=str)
def test_database_of_another_program(tab: ChromiumTab, stores: list[str]) -> None:
    tab.call("indexeddb:hold", "foreign", FORMAT, *stores)
    tab.call("indexeddb:release", "foreign")
    assert says(tab.call("handles:open_", "foreign"), "ReadFailedError", "another program")
    tab.call("indexeddb:hold", "foreign", FORMAT)
    assert tab.call("indexeddb:release", "foreign") == [FORMAT, stores]
    tab.call("indexeddb:delete_database", "foreign")


def test_database_of_another_program_in_an_upgrade(
    tab: ChromiumTab, newer_tab: ChromiumTab
) -> None:
    tab.call("indexeddb:hold", "older", FORMAT, "things")
    tab.call("indexeddb:release", "older")
    assert says(newer_tab.call("handles:open_", "older"), "ReadFailedError", "another program")
    tab.call("indexeddb:hold", "older", FORMAT)
    assert tab.call("indexeddb:release", "older") == [FORMAT, ["things"]]
    tab.call("indexeddb:delete_database", "older")


def test_database_of_a_newer_format(tab: ChromiumTab) -> None:
    tab.call("indexeddb:hold", "future", 99, "events")
    tab.call("indexeddb:release", "future")
    assert says(tab.call("handles:open_", "future"), "ReadFailedError", "newer mobstore")
    tab.call("indexeddb:hold", "future", 99)
    assert tab.call("indexeddb:release", "future") == [99, ["events"]]
    tab.call("indexeddb:delete_database", "future")


def test_missing_database_is_not_created(tab: ChromiumTab) -> None:
    error = tab.call("environment:refusal", "indexeddb:missing", False)
    assert says(error, "ReadFailedError", "there is no 'missing'")
    assert "missing" not in tab.call("indexeddb:names")


def test_read_only(tab: ChromiumTab, other_tab: ChromiumTab, newer_tab: ChromiumTab) -> None:
    error = tab.call("read_only:cursors", "missing")
    assert says(error, "ReadFailedError", "there is no 'missing'")
    assert "missing" not in tab.call("indexeddb:names")
    assert other_tab.call("handles:open_", "read") is None
    assert other_tab.call("handles:write", "read") is None
    assert tab.call("read_only:cursors", "read") == [1]
    for error in tab.call("read_only:writes", "read"):
        assert says(error, "UsageError", "open it without read_only to write")
    assert tab.call("read_only:cursors", "read") == [1]
    # An older database is not upgraded, so other tabs keep it open.
    error = newer_tab.call("read_only:cursors", "read")
    assert says(error, "ReadFailedError", "older mobstore", "without read_only")
    assert other_tab.call("handles:write", "read") is None
    assert newer_tab.call("handles:open_", "read") is None
    error = tab.call("read_only:cursors", "read")
    assert says(error, "ReadFailedError", "newer mobstore")
    assert newer_tab.call("read_only:cursors", "read") == [1, 2]
    newer_tab.call("handles:close", "read")
    other_tab.call("handles:close", "read")
    newer_tab.call("indexeddb:delete_database", "read")
    for reader, stores in ((newer_tab, ["things"]), (tab, ["things"]), (tab, [])):
        tab.call("indexeddb:hold", "foreign", FORMAT, *stores)
        tab.call("indexeddb:release", "foreign")
        error = reader.call("read_only:cursors", "foreign")
        assert says(error, "ReadFailedError", "another program")
        tab.call("indexeddb:delete_database", "foreign")


def test_no_time_to_wait(tab: ChromiumTab) -> None:
    for timeout in (0, 0.001):
        assert tab.call("environment:refusal", "indexeddb:no-time", True, timeout) is None
    tab.call("indexeddb:hold", "no-time", FORMAT)
    error = tab.call("environment:refusal", "indexeddb:no-time", True, 0)
    assert error is None, "another tab that has it open does not block it"
    tab.call("indexeddb:release", "no-time")
    tab.call("indexeddb:delete_database", "no-time")


# Places ----------------------------------------------------------------------------------------


def test_sandboxed_frame(chromium: Chromium) -> None:
    """The frame has an opaque origin, so the server must allow it to load the site's files."""
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
    error = frame.call("environment:refusal", "indexeddb:sandboxed")
    assert says(error, "ReadFailedError", "sandboxed frames")
    assert frame.call("environment:refusal", "memory:") is None
    page.close()


@pytest.mark.parametrize("tab_name", ["tab", "page_tab"])
def test_no_javascript_is_evaluated_from_text(
    request: pytest.FixtureRequest, tab_name: str
) -> None:
    tab: ChromiumTab = request.getfixturevalue(tab_name)
    assert not tab.call("environment:evaluates")
    assert tab.call("environment:stores_an_event", "policy") == 1


# Corruption -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 40])
def test_a_corrupt_row_fails_no_other_call(tab: ChromiumTab, number: int) -> None:
    damaged, *sound = tab.call("corruption:beside_sound_ones", number)
    assert says(damaged, "SerializationError", "did not write")
    assert sound == [None] * (number - 1)


# Tasks and handlers ------------------------------------------------------------------------------


def test_cancelled_tasks(tab: ChromiumTab) -> None:
    tab.call("cancellation:run")


def test_nothing_is_left_behind(chromium: Chromium) -> None:
    tab = chromium.tab()
    assert tab.call("live_objects:kept") == [0, 0], "an idle engine keeps events, or rows of them"
    assert tab.call("live_objects:left_behind") == []
    tab.close()
