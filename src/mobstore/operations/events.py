"""Scripts of the event log.

Cursors come from a counter that only grows: neither `clear` nor `prune` lets one be used again,
so that a consumer who waits at an old cursor misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mobstore.errors import InternalError
from mobstore.model.event import MobEvent
from mobstore.model.json import I64_MAX
from mobstore.rows.events import EventDraft, read_events
from mobstore.tables import COUNTERS, EVENTS, EVENTS_BY_TIME, CounterRow, EventRow, Index
from mobstore.transaction import (
    Add,
    Commit,
    Count,
    DeleteRange,
    Get,
    Scan,
    Script,
    add_or_put,
    fetch,
)

NEXT_CURSOR = "next_cursor"


def append_batch(drafts: Sequence[EventDraft]) -> Script[int]:
    """Append events with consecutive cursors; gives the first."""
    counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
    first = 1 if counter is None else counter.value
    if not drafts:
        return Commit(first)
    following = first + len(drafts)
    if following > I64_MAX:
        raise InternalError(f"cursor value {following} exceeds i64::MAX")
    added = [EventRow(cursor, *draft) for cursor, draft in enumerate(drafts, first)]
    count = CounterRow(NEXT_CURSOR, following)
    return Commit(first, (Add(EVENTS, added), add_or_put(COUNTERS, counter, count)))


class Subject(NamedTuple):
    """What events are about: a mob (`EVENTS_BY_MOB`) or a run (`EVENTS_BY_RUN`), and its id."""

    by: Index[EventRow]
    id: str


def poll(after_cursor: int, limit: int | None, of: Subject | None = None) -> Script[list[MobEvent]]:
    """The events after a cursor, oldest first, at most `limit`."""
    index, prefix = (EVENTS, ()) if of is None else (of.by, (of.id,))
    found = yield from fetch(Scan(index, prefix, after=after_cursor, limit=limit))
    return Commit(read_events(found))


def latest_cursor() -> Script[int]:
    """The cursor that was given last, 0 if none was."""
    counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
    return Commit(0 if counter is None else counter.value - 1)


def clear() -> Script[None]:
    """Remove all events; cursors go on where they were."""
    yield ()  # a script is a generator, even one that has nothing to ask
    return Commit(None, (DeleteRange(Scan(EVENTS)),))


def prune(older_than: str) -> Script[int]:
    """Remove the events before a moment; gives their number."""
    doomed = Scan(EVENTS_BY_TIME, before=older_than)
    count = yield from fetch(Count(doomed))
    return Commit(count, (DeleteRange(doomed),) if count else ())
