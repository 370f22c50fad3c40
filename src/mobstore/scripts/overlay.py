"""Answers to reads, corrected by pending writes.

Each operation within an atomic call must see the writes of those before it, before any of them is
committed. It sees two sets of rows:

* the pending rows: those added or put, and not removed since;
* the stored rows except the hidden ones: those with a key that was put or removed, and those that a
  removed range finds. A hidden row stays hidden: a row written in its place is pending.

An added row hides nothing, because it must be new. If it is not, the whole commit fails.

Pending rows cause no reads of the store. A limited scan reads as many rows as its limit says, and
more only if some of them are hidden; `hidden_rows.py` keeps what it read. Writes to a table that is
not read later cost almost nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from mobstore.scripts.hidden_rows import Beginning, HiddenRows, start_of
from mobstore.scripts.memory_tables import MemoryTables, getter
from mobstore.scripts.tables import Row, Table
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
        self._hidden: dict[Table[Any], HiddenRows] = {}
        self._unread: dict[Table[Any], list[Write]] = {}  # in neither until their table is read

    def run(self, script: Script[T]) -> Script[T]:
        """Run a script over the pending writes; the writes of its commit become pending."""
        commit = yield from self._corrected(script) if self.writes else script
        for write in commit.writes:
            table = write.table if isinstance(write, (Add, Put, Delete)) else write.scan.index.table
            self._unread.setdefault(table, []).append(write)
        self.writes += commit.writes
        return commit

    def _hidden_from(self, read: Read) -> HiddenRows | None:
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
            hidden = self._hidden[table] = HiddenRows(table)
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

    def _answer(self, read: Read, hidden: HiddenRows | None) -> _Answer:
        if hidden is None or isinstance(read, Now):
            return (yield read)
        if isinstance(read, Get):
            return (yield from self._get(read, hidden))
        if isinstance(read, Count) and not hidden:
            stored: int = yield read
            return stored + cast("int", self._pending.answer(read))
        scan = _scan_of(read)
        visible = [] if hidden.has_all(scan) else (yield from _visible(scan, hidden))
        if isinstance(read, Count):
            return len(visible) + cast("int", self._pending.answer(read))
        return _merged(scan, visible, cast("list[Row]", self._pending.answer(scan)))

    def _get(self, get: Get[Any], hidden: HiddenRows) -> _Answer:
        pending = self._pending.answer(get)
        if pending is not None:
            return pending
        if hidden.has_key(get.key):
            return None
        stored = yield get
        return None if stored is None or hidden.has(stored) else stored


def _scan_of(read: Scan[Any] | Count) -> Scan[Any]:
    return read.scan if isinstance(read, Count) else read


def _visible(scan: Scan[Any], hidden: HiddenRows) -> Generator[Read, Any, list[Row]]:
    """Return the visible ones of the stored rows that a scan finds."""
    start = start_of(scan)
    beginning = hidden.beginnings.get(start)
    if beginning is None:
        stored: Sequence[Row] = yield scan
        visible = hidden.visible(stored)
        if len(visible) == len(stored):
            return visible
        beginning = hidden.beginnings[start] = Beginning(scan, stored)
    while (found := beginning.visible(scan, hidden)) is None:
        further = beginning.further(scan)
        beginning.keep(further, (yield further))
    return found


def _merged(scan: Scan[Any], visible: list[Row], pending: list[Row]) -> list[Row]:
    """Return the rows of a scan from visible stored rows and pending ones."""
    if visible and pending:
        ordering = getter(scan.index.table, scan.index.sorted_by[len(scan.prefix) :])
        rows = sorted(visible + pending, key=ordering, reverse=scan.backwards)
    else:
        rows = visible or pending
    return rows[: scan.limit]
