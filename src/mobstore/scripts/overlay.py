"""Answers to reads, corrected by pending writes.

Each operation within an atomic call must see the writes of those before it, before any of them is
committed. It sees two sets of rows:

* the pending rows: those added or put, and not removed since;
* the stored rows except the hidden ones: those with a key that was put or removed, and those that a
  removed range finds. A hidden row stays hidden: a row written in its place is pending.

An added row hides nothing, because it must be new. If it is not, the whole commit fails.

Pending rows cause no reads of the store. A limited scan reads as many rows as its limit says, and
more only if some of them are hidden. Writes to a table that is not read later cost almost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from mobstore.scripts.memory_tables import MemoryTables, getter
from mobstore.scripts.tables import Index, Key, Row, Table, Value
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    Delete,
    Get,
    Now,
    Put,
    Read,
    Scan,
    Script,
    ScriptPart,
    Write,
)

T = TypeVar("T")

_Answer: TypeAlias = Generator[Read, Any, object]
"""Answers one read; it yields reads of the store."""


class Overlay:
    """Pending writes over a store.

    Attributes:
        writes: all pending writes, in order.
    """

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self._pending = MemoryTables(indexed=False)
        self._hidden: dict[Table[Any], _Hidden] = {}
        self._unread: dict[Table[Any], list[Write]] = {}  # in neither until their table is read

    def run(self, script: Script[T]) -> Script[T]:
        """Run a script over the pending writes; the writes of its commit become pending."""
        commit = yield from self._corrected(script) if self.writes else script
        for write in commit.writes:
            table = write.table if isinstance(write, (Add, Put, Delete)) else write.scan.index.table
            self._unread.setdefault(table, []).append(write)
        self.writes += commit.writes
        return commit

    def _hidden_from(self, read: Read) -> _Hidden | None:
        """Return the hidden rows of the table of a read, or None if it was not written to."""
        if isinstance(read, Now):
            return None
        table = read.table if isinstance(read, Get) else _scan_of(read).index.table
        for write in self._unread.pop(table, ()):
            self._add(table, write)
        return self._hidden.get(table)

    def _add(self, table: Table[Any], write: Write) -> None:
        hidden = self._hidden.get(table)
        if hidden is None:
            hidden = self._hidden[table] = _Hidden(table)
        hidden.add(write)
        # An `Add` of a stored row fails when everything is committed.
        self._pending.write((Put(table, write.rows) if isinstance(write, Add) else write,))
        self._pending.keep()

    def _corrected(self, script: Script[T]) -> Script[T]:
        try:
            asked = next(script)
            while True:
                asked = script.send((yield from self._answers(asked)))
        except StopIteration as end:
            return cast("Commit[T]", end.value)
        finally:
            script.close()

    def _answers(self, reads: tuple[Read, ...]) -> ScriptPart[tuple[Any, ...]]:
        """Return the answers to reads; reads of the store are yielded together."""
        hidden = [self._hidden_from(read) for read in reads]
        if hidden.count(None) == len(hidden):
            return (yield reads)
        answers: list[Any] = [None] * len(reads)
        going = [
            (place, self._answer(read, of), cast("Any", None))
            for place, (read, of) in enumerate(zip(reads, hidden, strict=True))
        ]
        while going:
            asked: list[tuple[int, _Answer, Read]] = []
            for place, answering, got in going:
                try:
                    asked.append((place, answering, answering.send(got)))
                except StopIteration as end:
                    answers[place] = end.value
            if not asked:
                break
            given = yield tuple([read for _, _, read in asked])
            going = [(place, one, got) for (place, one, _), got in zip(asked, given, strict=True)]
        return tuple(answers)

    def _answer(self, read: Read, hidden: _Hidden | None) -> _Answer:
        if hidden is None or isinstance(read, Now):
            return (yield read)
        if isinstance(read, Get):
            return (yield from self._get(read, hidden))
        if isinstance(read, Count) and not hidden:
            stored: int = yield read
            return stored + cast("int", self._pending.answer(read))
        scan = _scan_of(read)
        visible = [] if hidden.has_all(scan) else (yield from _visible(scan, hidden))
        found = _merged(scan, visible, cast("list[Row]", self._pending.answer(scan)))
        return len(found) if isinstance(read, Count) else found

    def _get(self, get: Get[Any], hidden: _Hidden) -> _Answer:
        pending = self._pending.answer(get)
        if pending is not None:
            return pending
        if hidden.has_key(get.key):
            return None
        stored = yield get
        return None if stored is None or hidden.has(stored) else stored


def _scan_of(read: Scan[Any] | Count) -> Scan[Any]:
    return read.scan if isinstance(read, Count) else read


def _visible(scan: Scan[Any], hidden: _Hidden) -> Generator[Read, Any, list[Row]]:
    """Return the visible stored rows of a scan; at least as many as its limit, if there are."""
    limit = scan.limit
    while True:
        stored: Sequence[Row] = yield scan if limit == scan.limit else replace(scan, limit=limit)
        visible = hidden.visible(stored)
        if limit is None or len(stored) < limit or len(visible) >= cast("int", scan.limit):
            return visible
        limit = 2 * limit + 16  # a scan cannot resume between rows that tie


def _merged(scan: Scan[Any], visible: list[Row], pending: list[Row]) -> list[Row]:
    """Return the rows of a scan from visible stored rows and pending ones."""
    if visible and pending:
        ordering = getter(scan.index.table, scan.index.sorted_by[len(scan.prefix) :])
        rows = sorted(visible + pending, key=ordering, reverse=scan.backwards)
    else:
        rows = visible or pending
    return rows[: scan.limit]


_Bounds: TypeAlias = tuple[Value | None, Value | None]  # after, before


class _Ranges(NamedTuple):
    """Removed ranges by the values that their scans select.

    Attributes:
        values_of: extracts the columns that the scans select, and the one that they bound.
        bounds: the bounds of the scans with the same values.
    """

    values_of: Callable[[Row], Key]
    bounds: dict[Key, list[_Bounds]]


class _Hidden:
    """The hidden stored rows of a table."""

    def __init__(self, table: Table[Any]) -> None:
        self._table, self._key_of = table, getter(table, table.key)
        self._keys: set[Key] = set()
        self._ranges: dict[tuple[Index[Any], int], _Ranges] = {}  # by number of values

    def __bool__(self) -> bool:
        return bool(self._keys or self._ranges)

    def add(self, write: Write) -> None:
        """Hide the rows that a write replaces or removes."""
        if isinstance(write, Put):
            self._keys.update(map(self._key_of, cast("Iterable[Row]", write.rows)))
        elif isinstance(write, Delete):
            self._keys.add(write.key)
        elif not isinstance(write, Add):
            scan, given = write.scan, len(write.scan.prefix)
            ranges = self._ranges.get((scan.index, given))
            if ranges is None:
                values_of = getter(self._table, scan.index.sorted_by[: given + 1])
                ranges = self._ranges[scan.index, given] = _Ranges(values_of, {})
            ranges.bounds.setdefault(scan.prefix, []).append((scan.after, scan.before))

    def visible(self, rows: Sequence[Row]) -> list[Row]:
        """Return the visible ones of some stored rows."""
        return [row for row in rows if not self.has(row)] if self else list(rows)

    def has(self, row: Row) -> bool:
        """Return whether a stored row is hidden."""
        if self._key_of(row) in self._keys:
            return True
        for (_, given), ranges in self._ranges.items():
            values = ranges.values_of(row)
            for bounds in ranges.bounds.get(values[:given], ()):
                if bounds == (None, None) or _is_within(values[given], bounds):
                    return True
        return False

    def has_key(self, key: Key) -> bool:
        """Return whether any stored row with this key is hidden."""
        return key in self._keys or self.has_all(Scan(self._table, key))

    def has_all(self, scan: Scan[Any]) -> bool:
        """Return whether one range removed all stored rows that a scan finds."""
        fixed = dict(zip(scan.index.sorted_by, scan.prefix, strict=False))
        for (index, given), ranges in self._ranges.items():
            columns = index.sorted_by[:given]
            if all(column in fixed for column in columns):
                same = index is scan.index and given == len(scan.prefix)
                for after, before in ranges.bounds.get(tuple([fixed[one] for one in columns]), ()):
                    if (after, before) == (None, None) or (
                        same
                        and (after is None or _at_least(scan.after, after))
                        and (before is None or _at_most(scan.before, before))
                    ):
                        return True
        return False


def _is_within(value: Any, bounds: _Bounds) -> bool:
    after, before = bounds
    return (after is None or value > after) and (before is None or value < before)


def _at_least(bound: Any, other: Any) -> bool:
    return bound is not None and bool(bound >= other)


def _at_most(bound: Any, other: Any) -> bool:
    return bound is not None and bool(bound <= other)
