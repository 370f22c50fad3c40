"""What a store would hold if some writes were made: answers to reads, corrected by pending writes.

Each operation within an atomic call must see what those before it did, before any of it is
written. Only what was written to is corrected: the first operation is run as if it were alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar, cast

from mobstore.tables import Key, Row, Table
from mobstore.transaction import Add, Commit, Count, Delete, Get, Put, Read, Scan, Script, Write

T = TypeVar("T")


class Overlay:
    """Pending writes over a store.

    Attributes:
        writes: all of them, in their order.
    """

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self._pending: dict[Table[Any], _Pending] = {}
        self._latest: tuple[Write, ...] = ()  # not in `_pending` until somebody reads after them

    def run(
        self, script: Script[T]
    ) -> Generator[tuple[Read[Any], ...], tuple[Any, ...], Commit[T]]:
        """Run a script over the pending writes; those of its commit become pending, too."""
        for write in self._latest:
            self._add(write)
        self._latest = ()
        commit = yield from self._corrected(script) if self._pending else script
        self._latest = commit.writes
        self.writes += commit.writes
        return commit

    def _corrected(self, script: Script[T]) -> Script[T]:
        try:
            asked = next(script)
            while True:
                answers = yield tuple([self._ask(read) for read in asked])
                asked = script.send(tuple(map(self._correct, asked, answers)))
        except StopIteration as end:
            return cast("Commit[T]", end.value)
        finally:
            script.close()

    def _add(self, write: Write) -> None:
        table = write.table if isinstance(write, (Add, Put, Delete)) else write.scan.index.table
        pending = self._pending.get(table)
        if pending is None:
            pending = self._pending[table] = _Pending(table)
        if isinstance(write, (Add, Put)):
            pending.put(write.rows)
        elif isinstance(write, Delete):
            pending.rows[write.key] = None
        else:
            pending.remove(write.scan)

    def _ask(self, read: Read[Any]) -> Read[Any]:
        """What has to be asked of the store, so that the answer can be corrected."""
        if isinstance(read, Get):
            return cast("Get[Any]", read)
        scan = _scan_of(read)
        pending = self._pending.get(scan.index.table)
        return read if pending is None else pending.widened(scan)

    def _correct(self, read: Read[Any], answer: Any) -> object:
        if isinstance(read, Get):
            get = cast("Get[Any]", read)
            of_table = self._pending.get(get.table)
            return answer if of_table is None else of_table.row(get.key, answer)
        scan = _scan_of(read)
        pending = self._pending.get(scan.index.table)
        if pending is None:
            return answer
        found = pending.merged(scan, answer)
        return len(found) if isinstance(read, Count) else found


class _Pending:
    """The pending writes to one table.

    Attributes:
        rows: those that were written since, by key; None is one that was removed.
    """

    def __init__(self, table: Table[Any]) -> None:
        self.rows: dict[Key, Row | None] = {}
        self._removed: list[Scan[Any]] = []
        self._table, self._key_of = table, _key_of(table)

    def put(self, rows: Iterable[Row]) -> None:
        key_of = self._key_of
        self.rows.update({key_of(row): row for row in rows})

    def remove(self, scan: Scan[Any]) -> None:
        """Remove what a scan finds, here and in the store."""
        for key, row in self.rows.items():
            if row is not None and _finds(scan, row):
                self.rows[key] = None
        self._removed.append(scan)

    def widened(self, scan: Scan[Any]) -> Scan[Any]:
        """A scan of the store that finds enough, whatever of it is not there any more."""
        whole = scan.limit is None or self._removed
        return replace(scan, limit=None if whole else cast("int", scan.limit) + len(self.rows))

    def row(self, key: Key, stored: Row | None) -> Row | None:
        """The row with a key, of which the store has this one."""
        if key in self.rows:
            return self.rows[key]
        return stored if stored is not None and self._stays(stored) else None

    def merged(self, scan: Scan[Any], stored: Iterable[Row]) -> list[Row]:
        """The rows of a scan, of which the store has these."""
        pending, key_of = self.rows, self._key_of
        rows = [row for row in stored if key_of(row) not in pending and self._stays(row)]
        rows += [row for row in pending.values() if row is not None and _finds(scan, row)]
        ordering = scan.index.sorted_by[len(scan.prefix) :]
        rows.sort(key=self._table.getter(ordering), reverse=scan.backwards)
        return rows[: scan.limit]

    def _stays(self, row: Row) -> bool:
        return not any(_finds(scan, row) for scan in self._removed)


@cache
def _key_of(table: Table[Any]) -> Callable[[Row], Key]:
    return table.getter(table.key)


def _finds(scan: Scan[Any], row: Row) -> bool:
    """Whether a scan, without its limit, finds a row."""
    values = scan.index.table.getter(scan.index.sorted_by)(row)
    given = len(scan.prefix)
    if values[:given] != scan.prefix:
        return False
    if scan.after is None and scan.before is None:
        return True
    first: Any = values[given]
    return (scan.after is None or first > scan.after) and (
        scan.before is None or first < scan.before
    )


def _scan_of(read: Read[Any]) -> Scan[Any]:
    return cast("Scan[Any]", read.scan if isinstance(read, Count) else read)
