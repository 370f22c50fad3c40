"""Numbers of rows by mob, kept so that a large table is seldom counted as a whole.

A script counts or reads a bounded part of the table, because in IndexedDB writers wait for it.
After a full count only new rows are read. Rows that were removed since are noticed by the next
full count: at once if one part is the whole table, else in proportion to what a count costs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Generic, NamedTuple, TypeVar, cast

from mobstore.scripts.tables import (
    EVENTS,
    EVENTS_BY_MOB,
    RUNS_BY_MOB,
    RUNS_BY_NUMBER,
    EventRow,
    Index,
    RunRow,
)
from mobstore.scripts.transaction import Commit, Count, Engine, Scan, Script, fetch

R = TypeVar("R", EventRow, RunRow)

_COUNTS_AT_ONCE = 100
_COUNTED_AT_ONCE = 10_000  # rows, which takes as long as reading some hundreds
_WIDEST = 16  # times as many numbers, where a mob has few rows
_ROWS_AT_ONCE = 500
_MOST_NEW = 5000  # rows; counting is quicker than reading many
_REST = 50  # times as long as the last full count took, before the next one


class Place(NamedTuple):
    """The place where a count continues: rows of a mob after a number, then the next mobs."""

    mob_id: str
    after: int


class Counted(NamedTuple, Generic[R]):
    """A part of a full count, of the rows up to the `last` one of the table when it began."""

    counts: Mapping[str, int]
    last: R | None
    next: Place | None


class MobCounts(Generic[R]):
    """The number of rows of each mob in a table whose rows are numbered as they are added."""

    def __init__(self, by_number: Index[R], by_mob: Index[R], identity: tuple[str, ...]) -> None:
        """Create counts that have not counted anything.

        Args:
            by_number: an index ordered by number alone.
            by_mob: an index by mob, ordered by number.
            identity: columns that differ for a row of another table with the same number.
        """
        self._by_number: Index[R] = by_number
        self._by_mob: Index[R] = by_mob
        self._identity = by_number.table.getter(identity)
        self._counts = Counter[str]()
        self._last: R | None = None  # counted up to this row
        self._parts = 0  # of the last full count
        self._due = 0.0  # when the next full count is due
        self._exact = True
        self._lock = asyncio.Lock()

    @property
    def due_in(self) -> float | None:
        """Seconds until a full count is due; None if the last answer was one."""
        return None if self._exact else max(0, self._due - monotonic())

    async def follow(self, engine: Engine) -> Mapping[str, int]:
        """Count the rows that are new, or all; return the counts of mobs that have rows."""
        async with self._lock:
            self._exact = not (
                self._parts > 1 and monotonic() < self._due and await self._add_new(engine)
            )
            if self._exact:
                await self._count_all(engine)
            return self._counts.copy()

    async def _add_new(self, engine: Engine) -> bool:
        """Add new rows; return False if there are many, or the last known row is gone."""
        for _ in range(_MOST_NEW // _ROWS_AT_ONCE):
            if self._last is None:
                return False
            after = _number(self._by_number, self._last) - 1
            rows = await engine.read(partial(_next_rows, self._by_number, after))
            if not rows or self._identity(rows[0]) != self._identity(self._last):
                return False
            self._counts.update(row.mob_id for row in rows[1:])
            self._last = rows[-1]
            if len(rows) <= _ROWS_AT_ONCE:
                return True
        return False

    async def _count_all(self, engine: Engine) -> None:
        began = monotonic()
        part = await engine.read(partial(_begin, self._by_number, self._by_mob))
        counts, parts = Counter(part.counts), 1
        while part.next is not None:
            part = await engine.read(
                partial(_count, self._by_number, self._by_mob, part.last, part.next)
            )
            counts.update(part.counts)
            parts += 1
        self._counts, self._last, self._parts = counts, part.last, parts
        self._due = monotonic() + _REST * (monotonic() - began)


class StoreCounts:
    """The numbers of events and runs in a store, by mob."""

    def __init__(self) -> None:
        self.events = MobCounts(EVENTS, EVENTS_BY_MOB, ("cursor", "timestamp", "kind"))
        self.runs = MobCounts(RUNS_BY_NUMBER, RUNS_BY_MOB, ("number", "run_id"))

    @property
    def due_in(self) -> float | None:
        """Seconds until a full count is due; None if all counts are full ones."""
        return min(
            (due for due in (self.events.due_in, self.runs.due_in) if due is not None),
            default=None,
        )


def _next_rows(by_number: Index[R], after: int) -> Script[list[R]]:
    """Return the row after a number, which is known, and a page of new ones."""
    rows = yield from fetch(Scan(by_number, after=after, limit=_ROWS_AT_ONCE + 1))
    return Commit(list(rows))


def _begin(by_number: Index[R], by_mob: Index[R]) -> Script[Counted[R]]:
    """Count the first part."""
    last, first = yield from fetch(Scan(by_number, limit=1, backwards=True), Scan(by_mob, limit=1))
    if not last or not first:
        return Commit(Counted({}, None, None))
    place = Place(first[0].mob_id, _number(by_number, first[0]) - 1)
    return (yield from _count(by_number, by_mob, last[0], place))


def _count(
    by_number: Index[R], by_mob: Index[R], last: R | None, place: Place | None
) -> Script[Counted[R]]:
    """Count a part of the rows up to the last one, from a place on.

    The next row of the mob and the first one of the next mob are found by the index, so no mob
    has to be known, and gaps are skipped.
    """
    counts = Counter[str]()
    end = 0 if last is None else _number(by_number, last) + 1
    left, width = _COUNTED_AT_ONCE, _COUNTED_AT_ONCE
    for _ in range(_COUNTS_AT_ONCE):
        if place is None or left <= 0:
            break
        mob_id, after = place
        until = min(after + width, end - 1)
        number, more, others = yield from fetch(
            Count(Scan(by_mob, (mob_id,), after=after, before=until + 1)),
            Scan(by_mob, (mob_id,), after=until, before=end, limit=1),
            Scan(by_mob, after=mob_id, limit=1),
        )
        left -= number
        if number:
            counts[mob_id] += number
        if more:
            place = Place(mob_id, _number(by_number, more[0]) - 1)
            few = 4 * number < _COUNTED_AT_ONCE
            width = min(4 * width, _WIDEST * _COUNTED_AT_ONCE) if few else _COUNTED_AT_ONCE
        else:
            # All rows of the next mob may be new; then none is counted.
            following = [Place(row.mob_id, _number(by_number, row) - 1) for row in others]
            place = following[0] if following else None
            width = _COUNTED_AT_ONCE
    return Commit(Counted(counts, last, place))


def _number(by_number: Index[R], row: R) -> int:
    return cast("tuple[int]", by_number.table.getter(by_number.order)(row))[0]
