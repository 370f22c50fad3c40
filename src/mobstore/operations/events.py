"""Scripts of the event log.

Cursors come from a counter that only grows. Neither `clear` nor `prune` makes a cursor available
again, so a consumer at an old cursor misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from mobstore.codec.events import EVENT_COLUMNS, Form, UnreadableEvent, read_all, read_events
from mobstore.errors import ConflictError, InternalError, StaleCursorError
from mobstore.model.event import MobEvent
from mobstore.model.json import I64_MAX
from mobstore.model.text import brief
from mobstore.operations.event_queries import (
    ALL,
    Conditions,
    EventFilter,
    Search,
    Span,
    require_types,
    single_scan,
)
from mobstore.scripts.tables import (
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    NEXT_CURSOR,
    CounterRow,
    EventKeyRow,
    EventRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    DeleteRange,
    Get,
    Parts,
    PartsScript,
    Scan,
    Script,
    ScriptPart,
    add_or_put,
    fetch,
    next_number,
)

E = TypeVar("E")


def append_batch(events: Sequence[EventRow]) -> Script[int]:
    """Append events with consecutive cursors and return the first; their own are ignored."""
    counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
    return _append(counter, events)


def _append(counter: CounterRow | None, events: Sequence[EventRow]) -> Commit[int]:
    if not events:
        return Commit(1 if counter is None else counter.value)
    first = next_number(counter, NEXT_CURSOR)
    next_cursor = first + len(events)
    if next_cursor > I64_MAX:
        raise InternalError(f"cursor value {next_cursor} exceeds i64::MAX")
    added = [EventRow(cursor, *event[1:]) for cursor, event in enumerate(events, first)]
    count = CounterRow(NEXT_CURSOR, next_cursor)
    return Commit(first, (Add(EVENTS, added), add_or_put(COUNTERS, counter, count)))


def append_keyed(key: str, event: EventRow, *, timed: bool) -> Script[EventRow]:
    """Append an event unless the key has one, and return the row of the key's event.

    A key whose event was removed is free.

    Args:
        key: the key.
        event: the row of the event.
        timed: the caller has chosen its time.

    Raises:
        ConflictError: the key has an event with other content.
    """
    found, counter = yield from fetch(Get(EVENT_KEYS, (key,)), Get(COUNTERS, (NEXT_CURSOR,)))
    stored = yield from _event_of(found)
    if stored is not None:
        given = event if timed else event._replace(timestamp=stored.timestamp)
        if given._replace(cursor=stored.cursor) != stored:  # free JSON is stored with sorted keys
            raise ConflictError(
                f"the key {brief(key)} belongs to event {stored.cursor}, which has another mob,"
                " kind or time; use another key"
            )
        return Commit(stored)
    first, writes, _ = _append(counter, (event,))
    keyed = EventKeyRow(key, first, event.timestamp)
    return Commit(event._replace(cursor=first), (*writes, add_or_put(EVENT_KEYS, found, keyed)))


def get_by_key(key: str) -> Script[EventRow | None]:
    """Return the row of the event that was appended under a key, or None."""
    found = yield from fetch(Get(EVENT_KEYS, (key,)))
    return Commit((yield from _event_of(found)))


def _event_of(key: EventKeyRow | None) -> ScriptPart[EventRow | None]:
    return None if key is None else (yield from fetch(Get(EVENTS, (key.cursor,))))


class EventPage(NamedTuple, Generic[E]):
    """A page of events.

    Attributes:
        events: those found so far.
        unreadable: the unreadable ones between them, which were skipped.
        rest: the search for the remaining ones, for `poll_on`; None if there are none.
    """

    events: list[E]
    unreadable: Sequence[UnreadableEvent] = ()
    rest: Search | None = None


def poll(
    form: Form[E],
    span: Span,
    limit: int,
    conditions: Conditions = ALL,
    *,
    reject_stale: bool = False,
    skip_unreadable: bool = False,
) -> PartsScript[EventPage[E]]:
    """Return the first events that meet some conditions, or those found in a part of the log.

    Args:
        form: the form of the result.
        span: their cursors, and the order.
        limit: the maximum number of events.
        conditions: the conditions.
        reject_stale: raise if the span is after a cursor that was never assigned.
        skip_unreadable: continue past unreadable events. Otherwise the page ends before the first
            of them.

    Raises:
        StaleCursorError: the cursor was never assigned, and `reject_stale` is set.
        UsageError: there is no such type.
        SerializationError: the first event of the page is unreadable; the error names its cursor.
    """
    if reject_stale and span.after:
        require_assigned(span.after, (yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))))
    yield from require_types(conditions.types or (), "types")
    scan = single_scan(conditions, span, limit)
    if scan is not None:
        parts: Sequence[list[E] | None]
        (parts,) = yield (Parts(scan, EVENT_COLUMNS, form.decode_if_readable),)
        if None not in parts:
            return Commit(EventPage(list(chain.from_iterable(filter(None, parts))), []))
    none_yet = EventPage[E]([], [], Search(conditions, span, limit))
    return (yield from poll_on(form, none_yet, limit, skip_unreadable=skip_unreadable))


def poll_on(
    form: Form[E], page: EventPage[E], limit: int, *, skip_unreadable: bool
) -> Script[EventPage[E]]:
    """Search a further part of the log for a page, and return the page with what it has found.

    Raises:
        SerializationError: as for `poll`.
    """
    events, unreadable, rest = page
    if rest is None:
        return Commit(page)
    rest = yield from rest.carry_on()
    if not rest.ended:
        return Commit(page._replace(rest=rest))
    more, bad = form.read(rest.found)
    if bad and not skip_unreadable:
        return Commit(EventPage(more[: _readable_before(bad[0], rest.found)]))
    page = EventPage([*events, *more], [*unreadable, *bad])
    if bad and len(page.events) < limit:
        page = page._replace(rest=rest.beyond(rest.found[-1].cursor, limit - len(page.events)))
    return Commit(page)


def follow(
    after_cursor: int, limit: int, of: EventFilter | None
) -> Script[Sequence[MobEvent | UnreadableEvent]]:
    """Return the next events, at most `limit`, including unreadable ones.

    Raises:
        StaleCursorError: the cursor was never assigned.
    """
    rows = yield from _page(after_cursor, limit, of)
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


def _readable_before(first: UnreadableEvent, rows: Sequence[EventRow]) -> int:
    """Return the number of rows before the first unreadable event.

    Raises:
        SerializationError: there are none.
    """
    if rows[0].cursor == first.cursor:
        raise first.error
    return [row.cursor for row in rows].index(first.cursor)


def _page(after_cursor: int, limit: int, of: EventFilter | None) -> ScriptPart[Sequence[EventRow]]:
    """Return the rows after a cursor, in one round trip with the check for a stale cursor."""
    index, prefix = (EVENTS, ()) if of is None else (of.by, (of.id,))
    page = Scan(index, prefix, after=after_cursor, limit=limit)
    if not after_cursor:
        return (yield from fetch(page))
    counter, rows = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), page)
    require_assigned(after_cursor, counter)
    return rows


def require_assigned(cursor: int, counter: CounterRow | None) -> None:
    """Raise for a cursor past the latest one.

    Raises:
        StaleCursorError: it was never assigned.
    """
    latest = 0 if counter is None else counter.value - 1
    if cursor > latest:
        raise StaleCursorError(cursor, latest)


def first_cursor() -> Script[int]:
    """Return the cursor of the first stored event; the next one to be assigned if there is none."""
    counter, rows = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)), Scan(EVENTS, limit=1))
    if rows:
        return Commit(rows[0].cursor)
    return Commit(1 if counter is None else counter.value)


def latest_cursor() -> Script[int]:
    """Return the last assigned cursor, 0 if there is none."""
    counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
    return Commit(0 if counter is None else counter.value - 1)


def clear() -> Script[None]:
    """Remove all events and their keys; cursors continue after the last one."""
    yield ()  # a script is a generator, even without reads
    return Commit(None, (DeleteRange(Scan(EVENTS)), DeleteRange(Scan(EVENT_KEYS))))
