"""What a store would hold if some writes were made: answers to reads, corrected by pending writes.

Each operation within an atomic call must see what those before it did, before any of it is
written.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any, TypeVar, cast

from mobstore.tables import Key, Row, Table
from mobstore.transaction import Commit, Count, Delete, Get, Put, Read, Scan, Script, Write

T = TypeVar("T")

_Gone = None


class Overlay:
    """Pending writes over a store.

    Attributes:
        writes: all of them, in their order.
    """

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self._rows: dict[Table[Any], dict[Key, Row | None]] = {}
        self._removed: dict[Table[Any], list[Scan[Any]]] = {}

    def run(
        self, script: Script[T]
    ) -> Generator[tuple[Read[Any], ...], tuple[Any, ...], Commit[T]]:
        """Run a script over the pending writes; those of its commit become pending, too."""
        try:
            asked = next(script)
            while True:
                answers = yield tuple([self._ask(read) for read in asked])
                asked = script.send(tuple(map(self._correct, asked, answers)))
        except StopIteration as end:
            commit = cast("Commit[T]", end.value)
        finally:
            script.close()
        for write in commit.writes:
            self._add(write)
        return commit

    def _add(self, write: Write) -> None:
        self.writes.append(write)
        if isinstance(write, Put):
            key_of = write.table.getter(write.table.key)
            pending = self._rows.setdefault(write.table, {})
            pending.update((key_of(row), row) for row in write.rows)
        elif isinstance(write, Delete):
            self._rows.setdefault(write.table, {})[write.key] = _Gone
        else:
            table = write.scan.index.table
            pending = self._rows.setdefault(table, {})
            for key, row in pending.items():
                if row is not None and _finds(write.scan, row):
                    pending[key] = _Gone
            self._removed.setdefault(table, []).append(write.scan)

    def _ask(self, read: Read[Any]) -> Read[Any]:
        """What has to be asked of the store, so that the answer can be corrected."""
        scan = read.scan if isinstance(read, Count) else read
        if not isinstance(scan, Scan):
            return read
        pending = self._rows.get(scan.index.table)
        if pending is None:
            return read
        whole = scan.limit is None or scan.index.table in self._removed
        return replace(scan, limit=None if whole else cast("int", scan.limit) + len(pending))

    def _correct(self, read: Read[Any], answer: Any) -> object:
        if isinstance(read, Get):
            get = cast("Get[Any]", read)
            pending = self._rows.get(get.table, {})
            return pending[get.key] if get.key in pending else self._left(get.table, [answer])[0]
        scan = cast("Scan[Any]", read.scan if isinstance(read, Count) else read)
        if scan.index.table not in self._rows:
            return answer
        found = self._merged(scan, answer)
        return len(found) if isinstance(read, Count) else found

    def _merged(self, scan: Scan[Any], stored: Iterable[Row]) -> list[Row]:
        table = scan.index.table
        pending, key_of = self._rows[table], table.getter(table.key)
        rows = [row for row in self._left(table, stored) if row is not None]
        rows = [row for row in rows if key_of(row) not in pending]
        rows += [row for row in pending.values() if row is not None and _finds(scan, row)]
        rows.sort(key=table.getter(_ordering(scan)), reverse=scan.backwards)
        return rows[: scan.limit]

    def _left(self, table: Table[Any], stored: Iterable[Row | None]) -> list[Row | None]:
        """The stored rows, None in the place of those that were removed as a range."""
        removed = self._removed.get(table, ())
        return [
            None if row is None or any(_finds(scan, row) for scan in removed) else row
            for row in stored
        ]


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


def _ordering(scan: Scan[Any]) -> tuple[str, ...]:
    return scan.index.sorted_by[len(scan.prefix) :]
