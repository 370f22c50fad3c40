"""The rows of all tables in memory: reads, writes, and undo.

Each change is recorded before it is made, with the previous row. A list, a dictionary or an
attribute changes atomically, and undoing a change twice equals undoing it once. So all changes
since `keep` can be undone, whichever instruction was interrupted, and an interrupted undo can be
repeated.

A branch shares its rows with its origin until either of the two changes a table, or is released.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

from mobstore.scripts.sorted_rows import SortedRows
from mobstore.scripts.tables import Index, Key, Row, Table
from mobstore.scripts.transaction import (
    Add,
    Count,
    Delete,
    DeleteRange,
    Get,
    Put,
    Read,
    Scan,
    Write,
    key_in_use,
)


@cache
def getter(table: Table[Any], columns: tuple[str, ...]) -> Callable[[Row], Key]:
    """Return a cached function that extracts these columns of a row as a tuple."""
    return table.getter(columns)


class TableRows:
    """The rows of one table, by key and by index.

    Attributes:
        table: the table.
        by_key: all rows; do not change it from outside.
        holders: marks of the `MemoryTables` that share the rows; while there are several, the rows
            must not change. A set of them, not their number: threads change it without a lock, and
            a holder that is interrupted may only leave its mark, which costs a copy.
    """

    def __init__(
        self, table: Table[Any], by_key: dict[Key, Row], indexes: dict[Index[Any], SortedRows]
    ) -> None:
        self.by_key: dict[Key, Row] = by_key
        self.holders: set[object] = set()
        self.key_of: Callable[[Row], Key] = getter(table, table.key)
        self.table: Table[Any] = table
        self._indexes = indexes
        self._others = [rows for index, rows in indexes.items() if index is not table]

    def copy(self) -> TableRows:
        """Return an independent copy."""
        indexes = {index: rows.copy() for index, rows in self._indexes.items()}
        return TableRows(self.table, self.by_key.copy(), indexes)

    def index(self, index: Index[Any]) -> SortedRows:
        """Return the rows of an index; build it at its first use."""
        rows = self._indexes.get(index)
        if rows is None:
            rows = SortedRows(index)
            for key, row in self.by_key.items():
                rows.add(row, key)
            self._indexes[index] = rows
            if index is not self.table:
                self._others.append(rows)
        return rows

    def find(self, scan: Scan[Any]) -> list[Any]:
        """Return the rows a scan finds."""
        by_key = self.by_key
        return [by_key[key] for key in self.index(scan.index).find(scan)]

    def put(self, row: Row, key: Key, old: Row | None) -> None:
        """Add a row, or replace the old one with the same key."""
        self.by_key[key] = row
        if old is None:
            for index in self._indexes.values():
                index.add(row, key)
        else:
            for index in self._others:  # its key, so its position there, stays
                index.move(old, row, key)

    def remove(self, rows: dict[Key, Row]) -> None:
        """Remove stored rows."""
        for key in rows:
            del self.by_key[key]
        for index in self._indexes.values():
            index.remove(rows)

    def restore(self, changes: Sequence[_Change]) -> None:
        """Restore the rows before some changes, whether these were made, or in part."""
        before: dict[Key, Row | None] = {}
        rows: list[tuple[Key, Row]] = []
        for _, key, old, new in changes:
            before.setdefault(key, old)
            rows += [(key, row) for row in (old, new) if row is not None]
        there = {key: row for key, row in before.items() if row is not None}
        for index in self._indexes.values():
            index.restore(rows, there)
        self.by_key.update(there)
        for key in before.keys() - there.keys():
            self.by_key.pop(key, None)


_Change = tuple[TableRows, Key, Row | None, Row | None]
"""The table's rows, the key, the previous row, the new row."""


class MemoryTables:
    """The rows of all tables.

    Attributes:
        changes: the changes since `keep`, made or about to be made.
    """

    def __init__(
        self, tables: dict[Table[Any], TableRows] | None = None, *, indexed: bool = True
    ) -> None:
        """Start with some rows, or with none.

        Args:
            tables: the rows of each table that has any.
            indexed: build every index at the start, as several threads may read; otherwise at the
                first use of the index.
        """
        self.changes: list[_Change] = []
        self._indexed = indexed
        self._tables: dict[Table[Any], TableRows] = {} if tables is None else tables
        self._mark = object()
        for rows in self._tables.values():
            rows.holders.add(self._mark)

    def branch(self) -> MemoryTables:
        """Return the same rows, to be read and changed independently; release it after use."""
        return type(self)(self._tables.copy(), indexed=self._indexed)

    def release(self) -> None:
        """Drop all rows, so that others which share them need not copy them before a change."""
        tables, self._tables = self._tables, {}
        for rows in tables.values():
            rows.holders.discard(self._mark)

    def rows(self, table: Table[Any]) -> TableRows | None:
        """Return the rows of a table, or None if it never had any."""
        return self._tables.get(table)

    def answer(self, read: Read) -> object:
        """Answer a read."""
        if isinstance(read, Get):
            rows = self._tables.get(read.table)
            return None if rows is None else rows.by_key.get(read.key)
        if isinstance(read, Scan):
            rows = self._tables.get(read.index.table)
            return [] if rows is None else rows.find(read)
        if isinstance(read, Count):
            scan = read.scan
            rows = self._tables.get(scan.index.table)
            return 0 if rows is None else rows.index(scan.index).count(scan)
        raise TypeError(f"{type(read).__name__} cannot be yielded by a script")

    def answer_or_write(self, asked: Read | Write) -> object:
        """Answer a read, or make a write."""
        if isinstance(asked, (Add, Put, Delete, DeleteRange)):
            self.write((asked,))
            return None
        return self.answer(asked)

    def write(self, writes: Sequence[Write]) -> None:
        """Make writes in order; batch the removals of single rows of one table.

        Raises:
            WriteFailedError: a row to add exists. The caller must undo the other writes.
        """
        place = 0
        while place < len(writes):
            write = writes[place]
            place += 1
            if isinstance(write, (Add, Put)):
                self._put(write)
            elif isinstance(write, Delete):
                keys = [write.key]
                while place < len(writes):
                    other = writes[place]
                    if not isinstance(other, Delete) or other.table is not write.table:
                        break
                    keys.append(other.key)
                    place += 1
                self._remove(write.table, keys)
            else:
                rows = self._tables.get(write.scan.index.table)
                if rows is not None:
                    self._remove(
                        write.scan.index.table, rows.index(write.scan.index).find(write.scan)
                    )

    def size(self, writes: Iterable[Write]) -> int:
        """Return how many rows writes would add, replace or remove, each by itself."""
        size = 0
        for write in writes:
            if isinstance(write, (Add, Put)):
                size += len(write.rows)
            elif isinstance(write, Delete):
                size += 1
            else:
                size += cast("int", self.answer(Count(write.scan)))
        return size

    def in_parts(self, writes: Iterable[Write], most: int) -> Iterator[tuple[Write, ...]]:
        """Yield the same writes in parts of at most `most` rows."""
        for write in writes:
            if isinstance(write, (Add, Put)):
                for start in range(0, len(write.rows), most):
                    yield (replace(write, rows=write.rows[start : start + most]),)
            elif isinstance(write, Delete):
                yield (write,)
            else:
                table = write.scan.index.table
                rows = self._tables.get(table)
                keys = [] if rows is None else rows.index(write.scan.index).find(write.scan)
                for start in range(0, len(keys), most):
                    yield tuple([Delete(table, key) for key in keys[start : start + most]])

    def keep(self) -> None:
        """Make the changes so far permanent; `undo` affects only later ones."""
        self.changes = []

    def undo(self) -> None:
        """Undo all writes since `keep`."""
        of_tables: dict[TableRows, list[_Change]] = {}
        for change in self.changes:
            of_tables.setdefault(change[0], []).append(change)
        for rows, changes in of_tables.items():
            rows.restore(changes)
        self.keep()

    def _own(self, table: Table[Any]) -> TableRows:
        """Return the rows of a table for changing; copy shared ones."""
        stored = self._tables.get(table)
        if stored is not None and len(stored.holders) == 1:
            return stored
        if stored is None:
            indexes = (table, *table.indexes) if self._indexed else ()
            rows = TableRows(table, {}, {index: SortedRows(index) for index in indexes})
        else:
            rows = stored.copy()
        rows.holders.add(self._mark)
        self._tables[table] = rows
        if stored is not None:
            stored.holders.discard(self._mark)  # from now on, another holder may change it
        return rows

    def _put(self, write: Add[Any] | Put[Any]) -> None:
        table: Table[Any] = write.table
        rows = self._own(table)
        key_of, by_key, changes = rows.key_of, rows.by_key, self.changes
        adding = isinstance(write, Add)
        for row in write.rows:
            key = key_of(row)
            old = by_key.get(key)
            if adding and old is not None:
                raise key_in_use(table, key)
            changes.append((rows, key, old, row))
            rows.put(row, key, old)

    def _remove(self, table: Table[Any], keys: Iterable[Key]) -> None:
        rows = self._own(table)
        by_key = rows.by_key
        found = {key: row for key in keys if (row := by_key.get(key)) is not None}
        if found:
            self.changes.extend([(rows, key, row, None) for key, row in found.items()])
            rows.remove(found)
