"""Parts of scripts that search the event log.

A search reads pages of events by each index that applies, in turn, and checks every event against
all conditions, by its columns first. It ends with the index that finishes first, so its cost is at
most a small multiple of that of the best one:

* all events, those of a mob, of a run, or of some types are read in the order of their cursors,
  from where the last page ended, whichever index it came from;
* those of a time are read in the order of their times. As times need not grow with the cursors, no
  result is certain before the end, and only the first cursors are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from mobstore.codec.events import read_events
from mobstore.errors import UsageError
from mobstore.model.event_types import EVENT_TYPES, may_name_members, members_of
from mobstore.model.json import I64_MAX
from mobstore.scripts.paging import next_limit, size_of
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    EVENTS_BY_TIME,
    EVENTS_BY_TYPE,
    NEXT_CURSOR,
    EventRow,
    Index,
    Key,
)
from mobstore.scripts.transaction import Get, Scan, ScriptPart, fetch

FIRST_PAGE = 64
"""The limit of the first page of events that may not be those in demand."""
_ROWS_AT_ONCE = 500  # of a script, about; SQLite reads 1000 on the event loop
_CURSOR = attrgetter("cursor")


class EventFilter(NamedTuple):
    """The events of one mob (`EVENTS_BY_MOB`) or one run (`EVENTS_BY_RUN`), by its id."""

    by: Index[EventRow]
    id: str


class Conditions(NamedTuple):
    """The conditions of a search.

    Attributes:
        of: the mob or run.
        types: the types; None: all.
        member: a member that the event names.
        since: the earliest time, "" if there is none.
        until: the first time after those to find; None if there is none.
    """

    of: EventFilter | None = None
    types: tuple[str, ...] | None = None
    member: str | None = None
    since: str = ""
    until: str | None = None

    @property
    def by_time(self) -> bool:
        """True if the times are limited."""
        return bool(self.since) or self.until is not None

    def matching(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """Return the rows that meet all conditions; unreadable ones count as naming any member."""
        of, types, member, since, until = self
        found: Sequence[EventRow] = rows
        if of is not None:
            value_of = attrgetter(of.by.prefix[0])
            found = [row for row in found if value_of(row) == of.id]
        if types is not None:
            found = [row for row in found if row.type in types]
        if since:
            found = [row for row in found if row.timestamp >= since]
        if until is not None:
            found = [row for row in found if row.timestamp < until]
        return list(found) if member is None else _naming(member, found)


ALL = Conditions()


class Span(NamedTuple):
    """The cursors that a search still has to look at, and the order of its result.

    Attributes:
        after: they are above this one.
        before: they are below this one.
        newest_first: the result is in descending order.
    """

    after: int
    before: int = I64_MAX
    newest_first: bool = False

    def beyond(self, cursor: int) -> Span:
        """Return the cursors that come after one of them."""
        if self.newest_first:
            return self._replace(before=cursor)
        return self._replace(after=cursor)

    def scan(self, index: Index[EventRow], prefix: Key, limit: int) -> Scan[EventRow]:
        """Return the scan of the first of these cursors in an index."""
        before = None if self.before == I64_MAX else self.before
        return Scan(index, prefix, self.after, before, limit, self.newest_first)

    def sorted(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """Return rows with distinct cursors in the order of the result."""
        return sorted(rows, key=_CURSOR, reverse=self.newest_first)


def require_types(types: Sequence[str], what: str) -> ScriptPart[None]:
    """Check that types are known, or that the log has other events of them: others are misspelt.

    Raises:
        UsageError: there is no such type.
    """
    others = [one for one in types if one not in EVENT_TYPES]
    if not others:
        return
    found = yield tuple(Scan(EVENTS_BY_TYPE, (one,), limit=1) for one in others)
    if not all(found):
        raise UsageError(
            f"{what} must be one of {', '.join(sorted(EVENT_TYPES))}, or the type of another event"
            " in the log"
        )


class Search:
    """A search under way, which several scripts carry on.

    One script that reads a long log would hold up writers: with IndexedDB, those of all tabs.

    Attributes:
        found: the first rows that meet the conditions, at most `limit`, once it has ended.
        ended: whether it has.
    """

    def __init__(self, conditions: Conditions, span: Span, limit: int) -> None:
        self.found: list[EventRow] = []
        self.ended: bool = not limit
        self._conditions, self._limit = conditions, limit
        self._whole = self._span = span
        self._ways = _ways(conditions)
        self._size = FIRST_PAGE
        self._by_time = _ByTime(conditions, span, limit) if conditions.by_time else None

    def carry_on(self) -> ScriptPart[Search]:
        """Read some more, and return the search from there on; this one stays as it is.

        Once it has ended, nothing more is read.
        """
        further = copy(self)
        further.found = list(self.found)
        if self._by_time is not None:
            further._by_time = self._by_time.copy()  # noqa: SLF001 - of this class
        yield from further._read()  # noqa: SLF001 - of this class
        return further

    def beyond(self, cursor: int, limit: int) -> Search:
        """Return the search for what comes after one of the cursors found."""
        return Search(self._conditions, self._whole.beyond(cursor), limit)

    def _read(self) -> ScriptPart[None]:
        if self.ended:
            return
        if _is_single(self._conditions):
            page = yield from self._ways[0].page(self._span, self._limit)
            self._end(page.rows)
            return
        read = 0
        while read < _ROWS_AT_ONCE:
            for way in self._ways:
                rows, complete = yield from way.page(self._span, self._size)
                self.found += self._conditions.matching(rows)
                if complete or len(self.found) >= self._limit:
                    self._end(self.found)
                    return
                self._span = self._span.beyond(rows[-1].cursor)
                self._size = next_limit(self._size, len(rows), size_of(rows))
                read += len(rows)
            if self._by_time is not None:
                of_times = yield from self._by_time.advance()
                if not of_times:
                    self._end(self._by_time.found())
                    return
                read += of_times
        if self._by_time is not None:
            yield from self._by_time.leave_out_later()

    def _end(self, found: list[EventRow]) -> None:
        self.found, self.ended = found[: self._limit], True


def single_scan(conditions: Conditions, span: Span, limit: int) -> Scan[EventRow] | None:
    """Return the scan that finds what a `Search` finds; None if there is no such scan."""
    way, *others = _ways(conditions)
    if not _is_single(conditions) or others or len(way.prefixes) != 1:
        return None
    return span.scan(way.by, way.prefixes[0], limit)


def _is_single(conditions: Conditions) -> bool:
    return conditions in (Conditions(of=conditions.of), Conditions(types=conditions.types))


class _Page(NamedTuple):
    """Rows in the order of the span, without gaps.

    Attributes:
        rows: the rows.
        complete: there are no more.
    """

    rows: list[EventRow]
    complete: bool


class _Way(NamedTuple):
    """The events with some values in the prefix of an index, in the order of their cursors."""

    by: Index[EventRow]
    prefixes: Sequence[Key]

    def page(self, span: Span, limit: int) -> ScriptPart[_Page]:
        """Return the next events: `limit` of them for each prefix, or fewer."""
        parts: tuple[Sequence[EventRow], ...] = yield tuple(
            span.scan(self.by, prefix, limit) for prefix in self.prefixes
        )
        ends = [rows[-1].cursor for rows in parts if len(rows) >= limit]
        if len(parts) == 1:
            return _Page(list(parts[0]), not ends)
        rows = span.sorted(list(chain.from_iterable(parts)))
        if span.newest_first:
            return _Page([row for row in rows if row.cursor >= max(ends, default=0)], not ends)
        return _Page([row for row in rows if row.cursor <= min(ends, default=I64_MAX)], not ends)


def _ways(conditions: Conditions) -> Sequence[_Way]:
    ways: list[_Way] = []
    if conditions.of is not None:
        ways.append(_Way(conditions.of.by, [(conditions.of.id,)]))
    if conditions.types is not None:
        ways.append(_Way(EVENTS_BY_TYPE, [(one,) for one in conditions.types]))
    return ways or [_Way(EVENTS, [()])]


class _ByTime:
    """The events of a time, read in the order of their times."""

    def __init__(self, conditions: Conditions, span: Span, limit: int) -> None:
        self._found: list[EventRow] = []
        self._conditions, self._span, self._limit = conditions, span, limit
        # A text between `since` and any earlier one of its form, all of which end with Z.
        self._after = conditions.since[:-1]
        self._size = FIRST_PAGE
        self._ends = False  # whether events that are still to come are left out

    def leave_out_later(self) -> ScriptPart[None]:
        """Leave out events that will be appended before the next script.

        One with an earlier time than those read would be missed, but not one after it. A caller
        that continues after the second would never see the first.
        """
        if not self._ends:
            counter = yield from fetch(Get(COUNTERS, (NEXT_CURSOR,)))
            end = 1 if counter is None else counter.value
            self._span = self._span._replace(before=min(self._span.before, end))
            self._ends = True

    def copy(self) -> _ByTime:
        """Return a copy that advances by itself."""
        copied = copy(self)
        copied._found = list(self._found)  # noqa: SLF001 - of this class
        return copied

    def advance(self) -> ScriptPart[int]:
        """Read a page, and return the number of its events; 0 after the last one."""
        rows = yield from page_by_time(self._after, self._conditions.until, self._size)
        if not rows:
            return 0
        self._after = rows[-1].timestamp
        self._size = next_limit(self._size, len(rows), size_of(rows))
        after, before, _ = self._span
        spanned = [row for row in rows if after < row.cursor < before]
        self._found += self._conditions.matching(spanned)
        if len(self._found) > 2 * self._limit + self._size:
            self._found = self.found()
        return len(rows)

    def found(self) -> list[EventRow]:
        """Return the first `limit` of the events read that meet all conditions."""
        return self._span.sorted(self._found)[: self._limit]


def page_by_time(after: str, before: str | None, limit: int) -> ScriptPart[Sequence[EventRow]]:
    """Return the next events in the order of their times; none after the last.

    Rows that tie have no order, so a page has all events of a time or none of them.

    Args:
        after: the time of the last event of the previous page.
        before: the first time after those to return; None: no limit.
        limit: the maximum number of events, except that those of the first time all come.
    """
    rows = yield from fetch(Scan(EVENTS_BY_TIME, after=after, before=before, limit=limit))
    if len(rows) < limit:
        return rows
    last = rows[-1].timestamp
    whole = [row for row in rows if row.timestamp != last]
    return whole or (yield from fetch(Scan(EVENTS_BY_TIME, (last,))))


def _naming(member: str, rows: Sequence[EventRow]) -> list[EventRow]:
    """Return the events that name a member; those that cannot be read but may name it as well."""
    rows = [row for row in rows if may_name_members(row.type) and _may_hold(row.kind, member)]
    events, unreadable = read_events(rows)
    found = {event.cursor for event in events if member in members_of(event.kind)}
    found.update(event.cursor for event in unreadable)
    return [row for row in rows if row.cursor in found]


def _may_hold(document: str, value: str) -> bool:
    """Return whether JSON may hold a text; fast, and certain if there are no escapes in it."""
    return value in document or "\\" in document
