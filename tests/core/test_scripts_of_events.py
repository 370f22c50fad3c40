"""Every branch of the event log's scripts, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mobstore import ConflictError, InternalError, MobEvent, SerializationError, StaleCursorError
from mobstore.codec.events import MODELS
from mobstore.operations import events
from mobstore.operations.event_queries import Span
from mobstore.operations.event_removal import Expired, Place, prune_range, prune_some
from mobstore.scripts.tables import (
    COUNTERS,
    EVENT_KEYS,
    EVENT_KEYS_BY_CURSOR,
    EVENT_KEYS_BY_TIME,
    EVENTS,
    EVENTS_BY_TIME,
    CounterRow,
    EventKeyRow,
    EventRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    DeleteRange,
    Get,
    Put,
    Scan,
    Script,
    in_whole,
)
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


def poll(span: Span, limit: int, **options: Any) -> Script[events.EventPage[MobEvent]]:
    return in_whole(events.poll(MODELS, span, limit, **options))


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


@pytest.mark.parametrize(("after", "limit"), [(0, 9), (7, 3)])
def test_poll(after: int, limit: int) -> None:
    rows = [NEW._replace(cursor=8), OTHER._replace(cursor=9)]
    asked, commit = play(poll(Span(after), limit), (rows,))
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
    assert play(poll(Span(0), 5), ([],))[1] == Commit(events.EventPage([], []))


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "{",
        "null",
        '{"typ":"unknown"}',
        '{"type":"peers_wired","a":"x"}',
        '{"type":"mob_reset"},{"type":"mob_reset"}',
    ],
)
def test_an_event_that_cannot_be_read_is_named(kind: str) -> None:
    rows = [NEW._replace(cursor=8), NEW._replace(cursor=9, kind=kind), NEW._replace(cursor=10)]
    with pytest.raises(SerializationError, match="table events, cursor 9 cannot be read"):
        play(events.replay_all(), (rows,))
    asked, commit = play(poll(Span(0), 3), (rows,), (rows,))
    assert asked == [(Scan(EVENTS, after=0, limit=3),)] * 2  # again, to find which one it is
    assert [event.cursor for event in commit.result.events] == [8]
    with pytest.raises(SerializationError, match="cursor 9 cannot be read"):
        play(poll(Span(8), 3), (rows[1:],), (rows[1:],))
    asked, commit = play(poll(Span(0), 3, skip_unreadable=True), (rows,), (rows,))
    assert asked[1:] == [(Scan(EVENTS, after=0, limit=3),)]
    page = commit.result
    assert [event.cursor for event in page.events] == [8, 10]
    assert [cursor for cursor, _ in page.unreadable] == [9]
    further = events.poll_on(MODELS, page, 3, skip_unreadable=True)
    asked, commit = play(further, ([],))
    assert asked == [(Scan(EVENTS, after=10, limit=1),)]
    assert commit.result == page._replace(rest=None)
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
    with pytest.raises(StaleCursorError, match=f"cursor 7 is past the latest one, {latest}"):
        play(events.follow(7, 3, None), (counter, []))
    with pytest.raises(StaleCursorError, match=f"cursor 7 is past the latest one, {latest}"):
        play(poll(Span(7), 3, reject_stale=True), (counter,))
    assigned = CounterRow("next_cursor", 8)
    asked, _ = play(events.follow(7, 3, None), (assigned, []))
    assert asked == [(NEXT, page)]
    asked, _ = play(poll(Span(7), 3, reject_stale=True), (assigned,), ([],))
    assert asked == [(NEXT,), (page,)]


def test_a_keyed_event_reads_its_key_and_the_counter_in_one_round_trip() -> None:
    asked, commit = play(events.append_keyed("k", NEW, timed=False), (None, None))
    assert asked == [(Get(EVENT_KEYS, ("k",)), NEXT)]
    stored = NEW._replace(cursor=1)
    assert commit == Commit(
        stored,
        (
            Add(EVENTS, [stored]),
            Add(COUNTERS, (CounterRow("next_cursor", 2),)),
            Add(EVENT_KEYS, (EventKeyRow("k", 1, NEW.timestamp),)),
        ),
    )


def test_a_key_in_use() -> None:
    key, stored = EventKeyRow("k", 5, NEW.timestamp), NEW._replace(cursor=5)
    answers = (key, CounterRow("next_cursor", 9)), (stored,)
    later = NEW._replace(timestamp=OTHER.timestamp)
    for event, timed in ((NEW, True), (NEW, False), (later, False)):
        asked, commit = play(events.append_keyed("k", event, timed=timed), *answers)
        assert asked[1] == (Get(EVENTS, (5,)),)
        assert commit == Commit(stored)
    for event, timed in ((later, True), (NEW._replace(mob_id="m"), False), (OTHER, False)):
        with pytest.raises(ConflictError, match="the key k belongs to event 5, which has another"):
            play(events.append_keyed("k", event, timed=timed), *answers)


def test_a_key_whose_event_is_missing_is_free() -> None:
    key, counter = EventKeyRow("k", 5, NEW.timestamp), CounterRow("next_cursor", 9)
    _, commit = play(events.append_keyed("k", OTHER, timed=True), (key, counter), (None,))
    assert commit.result.cursor == 9
    assert commit.writes[2] == Put(EVENT_KEYS, (EventKeyRow("k", 9, OTHER.timestamp),))
    assert play(events.get_by_key("k"), (key,), (None,))[1] == Commit(None)
    assert play(events.get_by_key("k"), (None,))[1] == Commit(None)


def test_first_cursor() -> None:
    assert play(events.first_cursor(), (None, []))[1] == Commit(1)
    counter = CounterRow("next_cursor", 9)
    assert play(events.first_cursor(), (counter, []))[1] == Commit(9)
    assert play(events.first_cursor(), (counter, [NEW._replace(cursor=4)]))[1] == Commit(4)


def test_clear() -> None:
    asked, commit = play(events.clear(), ())
    assert asked == [()]
    assert commit == Commit(None, (DeleteRange(Scan(EVENTS)), DeleteRange(Scan(EVENT_KEYS))))


def test_prune() -> None:
    expired = Scan(EVENTS_BY_TIME, before=NEW.timestamp)
    keys = Scan(EVENT_KEYS_BY_TIME, before=NEW.timestamp)
    asked, commit = play(prune_range(Expired(NEW.timestamp, None)), (3,))
    assert asked == [(Count(expired),)]
    assert commit == Commit(3, (DeleteRange(expired), DeleteRange(keys)))


def test_prune_before_a_cursor() -> None:
    expired, keys = Scan(EVENTS, before=7), Scan(EVENT_KEYS_BY_CURSOR, before=7)
    asked, commit = play(prune_range(Expired(None, 7)), (3,))
    assert asked == [(Count(expired),)]
    assert commit == Commit(3, (DeleteRange(expired), DeleteRange(keys)))


def test_prune_of_nothing_writes_nothing() -> None:
    assert play(prune_range(Expired(NEW.timestamp, None)), (0,))[1] == Commit(0)


def test_prune_removes_runs_of_cursors() -> None:
    rows = [NEW._replace(cursor=8), OTHER._replace(cursor=9), NEW._replace(cursor=10)]
    rows += [NEW._replace(cursor=11), NEW._replace(cursor=13)]
    keep = Expired(None, 14, ("mob_completed",))
    asked, commit = play(prune_some(keep, Place(), 1000), (rows,), ([],))
    assert asked == [
        (Scan(EVENTS, after=0, before=14, limit=64),),
        (Scan(EVENTS, after=13, before=14, limit=256),),
    ]
    assert commit.result == (4, None)
    assert commit.writes == tuple(
        DeleteRange(Scan(index, after=after, before=before))
        for after, before in ((7, 9), (9, 12), (12, 14))
        for index in (EVENTS, EVENT_KEYS_BY_CURSOR)
    )


def test_prune_looks_at_no_more_events_than_it_may() -> None:
    rows = [NEW._replace(cursor=cursor) for cursor in range(1, 65)]
    kept = Expired(None, 200, ("mob_reset",))
    asked, commit = play(prune_some(kept, Place(), 60), (rows,))
    assert len(asked) == 1
    assert commit == Commit((0, Place(NEW.timestamp, 64)))
    asked, commit = play(prune_some(kept, Place(NEW.timestamp, 64), 60), ([],))
    assert asked == [(Scan(EVENTS, after=64, before=200, limit=64),)]
    assert commit == Commit((0, None))
