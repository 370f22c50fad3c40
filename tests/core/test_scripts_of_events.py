"""Every branch of the event log's scripts, stepped by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mobstore import InternalError, MobEvent, SerializationError, StaleCursorError
from mobstore.operations import events
from mobstore.scripts.tables import COUNTERS, EVENTS, EVENTS_BY_TIME, CounterRow, EventRow
from mobstore.scripts.transaction import Add, Commit, Count, DeleteRange, Get, Put, Scan, Script
from support.scripts import play

NEXT = Get(COUNTERS, ("next_cursor",))
NEW = EventRow(0, "desk", "2026-03-04T05:06:07.000000000Z", "mob_reset", "", '{"type":"mob_reset"}')
OTHER = EventRow(
    0,
    "other",
    "2026-03-04T05:06:08.000000001Z",
    "mob_completed",
    "",
    '{"type":"mob_completed"}',
)


def test_the_first_event_has_cursor_1() -> None:
    asked, commit = play(events.append_batch([NEW]), (None,))
    assert asked == [(NEXT,)]
    assert commit == Commit(
        1, (Add(EVENTS, [NEW._replace(cursor=1)]), Add(COUNTERS, (CounterRow("next_cursor", 2),)))
    )


def test_a_batch_has_consecutive_cursors() -> None:
    asked, commit = play(events.append_batch([NEW, OTHER]), (CounterRow("next_cursor", 41),))
    assert asked == [(NEXT,)]
    assert commit == Commit(
        41,
        (
            Add(EVENTS, [NEW._replace(cursor=41), OTHER._replace(cursor=42)]),
            Put(COUNTERS, (CounterRow("next_cursor", 43),)),
        ),
    )


@pytest.mark.parametrize(("counter", "first"), [(None, 1), (CounterRow("next_cursor", 5), 5)])
def test_an_empty_batch_writes_nothing(counter: CounterRow | None, first: int) -> None:
    assert play(events.append_batch([]), (counter,)) == ([(NEXT,)], Commit(first))


def test_the_last_cursor() -> None:
    last = CounterRow("next_cursor", 2**63 - 2)
    _, commit = play(events.append_batch([NEW]), (last,))
    assert commit.result == 2**63 - 2
    assert commit.writes[1] == Put(COUNTERS, (CounterRow("next_cursor", 2**63 - 1),))
    with pytest.raises(InternalError, match=r"^Internal error: cursor value \d+ exceeds i64::MAX$"):
        play(events.append_batch([NEW, NEW]), (last,))
    with pytest.raises(InternalError) as caught:
        play(events.append_batch([NEW]), (CounterRow("next_cursor", 2**63 - 1),))
    assert caught.value.detail == f"cursor value {2**63} exceeds i64::MAX"


@pytest.mark.parametrize(("after", "limit"), [(0, 9), (7, 0), (7, 3)])
def test_poll(after: int, limit: int) -> None:
    rows = [NEW._replace(cursor=8), OTHER._replace(cursor=9)]
    asked, commit = play(events.poll(after, limit), (rows,))
    assert asked == [(Scan(EVENTS, after=after, limit=limit),)]
    assert commit.writes == ()
    assert [event.to_json() for event in commit.result.events] == [
        '{"cursor":8,"timestamp":"2026-03-04T05:06:07Z","mob_id":"desk","kind":{"type":"mob_reset"}}',
        '{"cursor":9,"timestamp":"2026-03-04T05:06:08.000000001Z","mob_id":"other",'
        '"kind":{"type":"mob_completed"}}',
    ]
    assert all(MobEvent.from_json(event.to_json()) == event for event in commit.result.events)
    assert not commit.result.unreadable


def test_poll_without_events() -> None:
    assert play(events.poll(0, 5), ([],))[1] == Commit(events.EventPage([], []))


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "{",
        "null",
        '{"type":"unknown"}',
        '{"type":"peers_wired","a":"x"}',
        '{"type":"mob_reset"},{"type":"mob_reset"}',
    ],
)
def test_an_event_that_cannot_be_read_is_named(kind: str) -> None:
    rows = [NEW._replace(cursor=8), NEW._replace(cursor=9, kind=kind), NEW._replace(cursor=10)]
    with pytest.raises(SerializationError, match="table events, cursor 9 cannot be read"):
        play(events.replay_all(), (rows,))
    _, commit = play(events.poll(0, 3), (rows,))
    assert [event.cursor for event in commit.result.events] == [8]
    with pytest.raises(SerializationError, match="cursor 9 cannot be read"):
        play(events.poll(8, 3), (rows[1:],))
    asked, commit = play(events.poll(0, 3, skip_unreadable=True), (rows,), ([],))
    assert asked == [(Scan(EVENTS, after=0, limit=3),), (Scan(EVENTS, after=10, limit=1),)]
    assert [event.cursor for event in commit.result.events] == [8, 10]
    assert [cursor for cursor, _ in commit.result.unreadable] == [9]
    _, followed = play(events.follow(0, 3, None), (rows,))
    assert [found.cursor for found in followed.result] == [8, 9, 10]


def test_an_event_whose_mob_is_no_text_is_named() -> None:
    mob: Any = b"mob"
    rows = [NEW._replace(cursor=8), NEW._replace(cursor=9, mob_id=mob)]
    with pytest.raises(SerializationError, match="table events, cursor 9 cannot be read"):
        play(events.replay_all(), (rows,))


@pytest.mark.parametrize("counter", [None, CounterRow("next_cursor", 7)])
def test_a_cursor_that_was_never_given(counter: CounterRow | None) -> None:
    page = Scan(EVENTS, after=7, limit=3)
    latest = 6 if counter else 0
    scripts: list[Callable[[], Script[Any]]] = [
        lambda: events.follow(7, 3, None),
        lambda: events.poll(7, 3, reject_stale=True),
    ]
    for script in scripts:
        with pytest.raises(StaleCursorError, match=f"cursor 7 is past the latest one, {latest}"):
            play(script(), (counter, []))
    for script in scripts:
        asked, _ = play(script(), (CounterRow("next_cursor", 8), []))
        assert asked == [(NEXT, page)]


def test_clear() -> None:
    asked, commit = play(events.clear(), ())
    assert asked == [()]
    assert commit == Commit(None, (DeleteRange(Scan(EVENTS)),))


def test_prune() -> None:
    doomed = Scan(EVENTS_BY_TIME, before=NEW.timestamp)
    asked, commit = play(events.prune(NEW.timestamp), (3,))
    assert asked == [(Count(doomed),)]
    assert commit == Commit(3, (DeleteRange(doomed),))


def test_prune_of_nothing_writes_nothing() -> None:
    assert play(events.prune(NEW.timestamp), (0,))[1] == Commit(0)
