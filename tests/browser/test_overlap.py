"""Overlapping calls in one tab."""

from __future__ import annotations

import pytest

from browser.browsers import ChromiumTab

EVENTS = 200


@pytest.mark.slow
@pytest.mark.parametrize("turns", range(12))
def test_an_event_is_pruned_once(tab: ChromiumTab, turns: int) -> None:
    assert sorted(tab.call("overlap:prune", EVENTS, turns)) == [0, EVENTS]


@pytest.mark.slow
@pytest.mark.parametrize("tab_name", ["tab", "firefox_tab"])
@pytest.mark.parametrize("tasks", [1, 2, 8])
def test_tasks_that_read_in_a_loop_leave_writers_room(
    request: pytest.FixtureRequest, tasks: int, tab_name: str
) -> None:
    """Otherwise their reads share a transaction, up to 256 of them, and each write waits for it."""
    for polls in request.getfixturevalue(tab_name).call("overlap:polls_during_appends", tasks):
        assert 20 <= polls <= 20 * 64


def test_many_reads_at_once_leave_writers_room(tab: ChromiumTab) -> None:
    assert tab.call("overlap:polls_before_an_append", 200) <= 64


@pytest.mark.parametrize("tab_name", ["tab", "firefox_tab"])
def test_a_search_leaves_writers_room(request: pytest.FixtureRequest, tab_name: str) -> None:
    """Otherwise writers in all tabs wait until it has read the whole log."""
    for appends in request.getfixturevalue(tab_name).call(
        "overlap:appends_beside_a_search", 12_000
    ):
        assert appends >= 4


@pytest.mark.parametrize("tab_name", ["tab", "firefox_tab"])
def test_closing_does_not_wait_for_cancelled_calls(
    request: pytest.FixtureRequest, tab_name: str
) -> None:
    """Another tab may have been stopped by the system within a write, and hold its lock."""
    assert request.getfixturevalue(tab_name).call("overlap:close_beside_a_stopped_writer") == [1]


def test_the_time_is_read_once_a_writer_has_its_lock(tab: ChromiumTab) -> None:
    """Also by a script that reads nothing else, alone or behind one that only writes."""
    results = tab.call("clock:behind_a_writer")
    assert len(results) == 8
    assert all(answer >= released for released, answer in results), results


def test_an_atomic_call_reads_a_counter_in_its_first_round_trip(tab: ChromiumTab) -> None:
    """From the second call on; the cursors follow those of the appends before it."""
    counts, cursors = tab.call("overlap:round_trips")
    assert counts == [2, 1, 1]
    assert cursors == list(range(4, 44))
