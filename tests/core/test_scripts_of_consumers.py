"""Every branch of the scripts of consumers, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mobstore import Consumer, ConsumerMovedError, SerializationError, StaleCursorError, Timestamp
from mobstore.operations import consumers
from mobstore.scripts.tables import CONSUMERS, COUNTERS, EVENTS, ConsumerRow, CounterRow, EventRow
from mobstore.scripts.transaction import Commit, Delete, Get, Now, Put, Scan, in_whole
from support.scripts import play

OLD = "2026-03-04T05:06:07.000000000Z"
NOW = "2026-03-04T05:06:08.000000001Z"
ROW = ConsumerRow("projector", 7, OLD)
FIND = Get(CONSUMERS, ("projector",))
NEXT = Get(COUNTERS, ("next_cursor",))
EVENT = EventRow(9, "desk", OLD, "mob_reset", "", '{"type":"mob_reset"}')
BAD = EVENT._replace(cursor=10, kind="no")

_LAST: list[tuple[list[EventRow]]] = [([],)]  # the page after the last event


def page(rows: list[EventRow], *, skip: bool = False, most: int = 5) -> Any:
    script = in_whole(consumers.next_page("projector", most, skip_unreadable=skip))
    again: list[tuple[list[EventRow]]] = [(rows,)] * (BAD in rows)  # to find the unreadable one
    return play(script, (ROW,), (CounterRow("next_cursor", 20),), (rows,), *again, *_LAST[:skip])


def test_a_page_begins_after_the_position() -> None:
    asked, commit = page([EVENT])
    assert asked == [(FIND,), (NEXT,), (Scan(EVENTS, after=7, limit=5),)]
    assert commit.writes == ()
    after, (events, unreadable, _) = commit.result
    assert (after, [event.cursor for event in events], unreadable) == (7, [9], [])


def test_a_page_of_a_new_consumer() -> None:
    asked, commit = play(
        in_whole(consumers.next_page("projector", 5, skip_unreadable=False)), (None,)
    )
    assert asked == [(FIND,)]
    assert commit == Commit(None)


def test_a_page_ends_before_an_unreadable_event_or_skips_it() -> None:
    _, commit = page([EVENT, BAD])
    assert [event.cursor for event in commit.result.page.events] == [9]
    assert not commit.result.page.unreadable
    _, commit = page([EVENT, BAD], skip=True)
    assert [event.cursor for event in commit.result.page.events] == [9]
    assert [cursor for cursor, _ in commit.result.page.unreadable] == [10]
    with pytest.raises(SerializationError, match="cursor 10"):
        page([BAD])


def test_a_page_after_a_stale_position() -> None:
    script = in_whole(consumers.next_page("projector", 5, skip_unreadable=False))
    with pytest.raises(StaleCursorError) as caught:
        play(script, (ROW,), (CounterRow("next_cursor", 7),))
    assert caught.value.args == (7, 6, "projector")


def test_a_new_consumer_gets_its_first_position() -> None:
    asked, commit = play(
        consumers.add_consumer("projector", 7), (None, CounterRow("next_cursor", 8), NOW)
    )
    assert asked == [(FIND, NEXT, Now())]
    assert commit == Commit(None, (Put(CONSUMERS, (ROW._replace(updated_at=NOW),)),))
    _, commit = play(consumers.add_consumer("projector", 0), (None, None, NOW))
    assert commit.writes == (Put(CONSUMERS, (ConsumerRow("projector", 0, NOW),)),)


@pytest.mark.parametrize(("counter", "latest"), [(None, 0), (CounterRow("next_cursor", 7), 6)])
def test_a_first_position_that_is_stale(counter: CounterRow | None, latest: int) -> None:
    with pytest.raises(StaleCursorError) as caught:
        play(consumers.add_consumer("projector", 7), (None, counter, NOW))
    assert caught.value.args == (7, latest)


def test_a_first_position_replaces_no_other() -> None:
    _, commit = play(
        consumers.add_consumer("projector", 99), (ROW, CounterRow("next_cursor", 8), NOW)
    )
    assert commit == Commit(None)


def test_a_position_moves() -> None:
    asked, commit = play(consumers.move_consumer("projector", 7, 9), (ROW, NOW))
    assert asked == [(FIND, Now())]
    assert commit == Commit(None, (Put(CONSUMERS, (ConsumerRow("projector", 9, NOW),)),))


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (None, "forgotten, not at 7"),
        (ROW._replace(cursor=6), "at 6, not at 7"),
        (ROW._replace(cursor=9), "at 9, not at 7"),  # where it shall move to
    ],
)
def test_a_position_that_another_loop_moved(row: ConsumerRow | None, text: str) -> None:
    with pytest.raises(ConsumerMovedError) as caught:
        play(consumers.move_consumer("projector", 7, 9), (row, NOW))
    actual = None if row is None else row.cursor
    assert caught.value.args == ("projector", 7, actual)
    assert (caught.value.name, caught.value.expected, caught.value.actual) == caught.value.args
    assert str(caught.value) == (
        f"Consumer moved: projector is {text}; discard this batch and take the next one"
    )


def test_consumers_are_listed() -> None:
    asked, commit = play(consumers.list_consumers(), ([ROW],))
    assert asked == [(Scan(CONSUMERS),)]
    assert commit == Commit([Consumer(name="projector", cursor=7, updated_at=Timestamp(OLD))])
    assert commit.result[0].to_json() == (
        '{"name":"projector","cursor":7,"updated_at":"2026-03-04T05:06:07Z"}'
    )


@pytest.mark.parametrize("wrong", [{"cursor": "no"}, {"updated_at": "no"}])
def test_a_consumer_that_cannot_be_read_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(SerializationError, match="consumer projector"):
        play(consumers.list_consumers(), ([ROW._replace(**wrong)],))


@pytest.mark.parametrize(("row", "existed"), [(None, False), (ROW, True)])
def test_a_consumer_is_forgotten(row: ConsumerRow | None, existed: bool) -> None:
    asked, commit = play(consumers.forget_consumer("projector"), (row,))
    assert asked == [(FIND,)]
    assert commit == Commit(existed, (Delete(CONSUMERS, ("projector",)),) if existed else ())
