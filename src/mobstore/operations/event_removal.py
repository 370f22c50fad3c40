"""Scripts that remove old events, and their keys with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from mobstore.model.json import I64_MAX
from mobstore.operations.event_queries import FIRST_PAGE, page_by_time, require_types
from mobstore.scripts.paging import next_limit, size_of
from mobstore.scripts.tables import (
    CONSUMERS,
    EVENT_KEYS_BY_CURSOR,
    EVENT_KEYS_BY_TIME,
    EVENTS,
    EVENTS_BY_TIME,
    EventRow,
)
from mobstore.scripts.transaction import (
    Commit,
    Count,
    DeleteRange,
    Scan,
    Script,
    ScriptPart,
    Write,
    fetch,
)


class Expired(NamedTuple):
    """The events to remove: those that meet all of this.

    Attributes:
        older_than: their times are before this one; None: any time.
        before_cursor: their cursors are below this one; None: any cursor.
        keep: they are of other types.
        keep_unseen: every named consumer is done with them.
    """

    older_than: str | None
    before_cursor: int | None
    keep: Sequence[str] = ()
    keep_unseen: bool = False

    @property
    def is_one_range(self) -> bool:
        """True if they are all events within one bound."""
        bounds = (self.older_than, self.before_cursor)
        return None in bounds and not self.keep and not self.keep_unseen


def prune_range(expired: Expired) -> Script[int]:
    """Remove all events within the one bound of `expired`, and return their number."""
    if expired.older_than is not None:
        events = Scan(EVENTS_BY_TIME, before=expired.older_than)
        keys = Scan(EVENT_KEYS_BY_TIME, before=expired.older_than)
    else:
        events = Scan(EVENTS, before=expired.before_cursor)
        keys = Scan(EVENT_KEYS_BY_CURSOR, before=expired.before_cursor)
    count = yield from fetch(Count(events))
    return Commit(count, (DeleteRange(events), DeleteRange(keys)) if count else ())


class Place(NamedTuple):
    """A place in the order in which events are looked at: a time, or else a cursor."""

    time: str = ""
    cursor: int = 0


class Pruned(NamedTuple):
    """The number of events removed, and the place of the last one looked at; None at the end."""

    removed: int
    place: Place | None


def prune_some(expired: Expired, after: Place, most: int) -> Script[Pruned]:
    """Look at the events after a place, and remove the expired ones.

    Args:
        expired: those to remove.
        after: the place of the last event that an earlier call looked at.
        most: look at about so many events, up to the end of a page.

    Raises:
        UsageError: there is no type such as one to keep.
    """
    if after == Place():
        yield from require_types(expired.keep, "keep")
    before = I64_MAX if expired.before_cursor is None else expired.before_cursor
    if expired.keep_unseen:
        consumers = yield from fetch(Scan(CONSUMERS))
        before = min([before, *(consumer.cursor + 1 for consumer in consumers)])
    place: Place | None = after
    removed: list[int] = []
    seen, size = 0, FIRST_PAGE
    while place is not None and seen < most:
        rows = yield from _page(expired, place, before, size)
        removed += [
            row.cursor for row in rows if row.cursor < before and row.type not in expired.keep
        ]
        place = Place(rows[-1].timestamp, rows[-1].cursor) if rows else None
        seen, size = seen + len(rows), next_limit(size, len(rows), size_of(rows))
    return Commit(Pruned(len(removed), place), tuple(_removal(removed)))


def _removal(cursors: Sequence[int]) -> Iterator[Write]:
    """Yield the writes that remove events and their keys: one for each run of cursors."""
    numbered = enumerate(sorted(cursors))
    for _, pairs in groupby(numbered, key=lambda pair: pair[1] - pair[0]):
        run = [cursor for _, cursor in pairs]
        for index in (EVENTS, EVENT_KEYS_BY_CURSOR):
            yield DeleteRange(Scan(index, after=run[0] - 1, before=run[-1] + 1))


def _page(
    expired: Expired, after: Place, before: int, limit: int
) -> ScriptPart[Sequence[EventRow]]:
    if expired.older_than is not None:
        return (yield from page_by_time(after.time, expired.older_than, limit))
    return (yield from fetch(Scan(EVENTS, after=after.cursor, before=before, limit=limit)))
