"""Scripts of the event log.

Cursors come from a counter that only grows. Neither `clear` nor `prune` makes a cursor available
again, so a consumer at an old cursor misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mobstore.codec.events import UnreadableEvent, read_all, read_events
from mobstore.errors import InternalError, StaleCursorError
from mobstore.model.event import MobEvent
from mobstore.model.json import I64_MAX
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    EVENTS_BY_TIME,
    NEXT_CURSOR,
    CounterRow,
    EventRow,
    Index,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    DeleteRange,
    Get,
    Scan,
    Script,
    ScriptPart,
    add_or_put,
    counter_too_low,
    fetch,
)


def append_batch(events: Sequence[EventRow]) -> Script[int]:
    """Append events with consecutive cursors and return the first; their own are ignored."""
    counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
    first = 1 if counter is None else counter.value
    if not events:
        return Commit(first)
    if first < 1:
        raise counter_too_low(NEXT_CURSOR, first)
    next_cursor = first + len(events)
    if next_cursor > I64_MAX:
        raise InternalError(f"cursor value {next_cursor} exceeds i64::MAX")
    added = [EventRow(cursor, *event[1:]) for cursor, event in enumerate(events, first)]
    count = CounterRow(NEXT_CURSOR, next_cursor)
    return Commit(first, (Add(EVENTS, added), add_or_put(COUNTERS, counter, count)))


class EventFilter(NamedTuple):
    """The events of one mob (`EVENTS_BY_MOB`) or one run (`EVENTS_BY_RUN`), by its id."""

    by: Index[EventRow]
    id: str


class EventPage(NamedTuple):
    """A page of events, and the unreadable ones skipped between them."""

    events: list[MobEvent]
    unreadable: Sequence[UnreadableEvent] = ()


def poll(
    after_cursor: int,
    limit: int,
    of: EventFilter | None = None,
    *,
    reject_stale: bool = False,
    skip_unreadable: bool = False,
) -> Script[EventPage]:
    """Return the events after a cursor, oldest first, at most `limit`.

    Args:
        after_cursor: the cursor.
        limit: the maximum number of events.
        of: only the events of this mob or run; None: all.
        reject_stale: raise for a cursor that was never assigned.
        skip_unreadable: continue past unreadable events. Otherwise the page ends before the first
            of them.

    Raises:
        StaleCursorError: the cursor was never assigned, and `reject_stale` is set.
        SerializationError: the first event of the page is unreadable; the error names its cursor.
    """
    rows = yield from _page(after_cursor, limit, of, reject_stale=reject_stale)
    events, unreadable = read_events(rows)
    if unreadable and not skip_unreadable:
        return Commit(EventPage(_before(unreadable[0], events)))
    while unreadable and len(events) < limit and rows:
        rows = yield from _page(rows[-1].cursor, limit - len(events), of)
        more, more_unreadable = read_events(rows)
        events, unreadable = events + more, [*unreadable, *more_unreadable]
    return Commit(EventPage(events, unreadable))


def follow(
    after_cursor: int, limit: int, of: EventFilter | None
) -> Script[Sequence[MobEvent | UnreadableEvent]]:
    """Return the next events, at most `limit`, including unreadable ones.

    Raises:
        StaleCursorError: the cursor was never assigned.
    """
    rows = yield from _page(after_cursor, limit, of, reject_stale=True)
    events, unreadable = read_events(rows)
    if not unreadable:
        return Commit(events)
    return Commit(sorted([*events, *unreadable], key=lambda found: found.cursor))


def replay_all() -> Script[list[MobEvent]]:
    """Return all events, oldest first.

    Raises:
        SerializationError: an event is unreadable; the error names its cursor.
    """
    return Commit(read_all((yield from fetch(Scan(EVENTS)))))


def _before(unreadable: UnreadableEvent, events: Sequence[MobEvent]) -> list[MobEvent]:
    """Return the events before an unreadable one.

    Raises:
        SerializationError: there are none.
    """
    found = [event for event in events if event.cursor < unreadable.cursor]
    if not found:
        raise unreadable.error
    return found


def _page(
    after_cursor: int, limit: int, of: EventFilter | None, *, reject_stale: bool = False
) -> ScriptPart[Sequence[EventRow]]:
    """Return the rows after a cursor, in one round trip with the check for a stale cursor."""
    index, prefix = (EVENTS, ()) if of is None else (of.by, (of.id,))
    page = Scan(index, prefix, after=after_cursor, limit=limit)
    if not reject_stale or not after_cursor:
        return (yield from fetch(page))
    counter, rows = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), page)
    latest = 0 if counter is None else counter.value - 1
    if after_cursor > latest:
        raise StaleCursorError(after_cursor, latest)
    return rows


def latest_cursor() -> Script[int]:
    """Return the last assigned cursor, 0 if there is none."""
    counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
    return Commit(0 if counter is None else counter.value - 1)


def clear() -> Script[None]:
    """Remove all events; cursors continue after the last one."""
    yield ()  # a script is a generator, even without reads
    return Commit(None, (DeleteRange(Scan(EVENTS)),))


def prune(older_than: str) -> Script[int]:
    """Remove the events before a time and return their number."""
    expired = Scan(EVENTS_BY_TIME, before=older_than)
    count = yield from fetch(Count(expired))
    return Commit(count, (DeleteRange(expired),) if count else ())
