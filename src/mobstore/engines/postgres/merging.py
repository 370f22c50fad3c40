"""The writes of several scripts as few writes with the same effect.

Each row is written once. So a batch of 64 appends updates the counter once, and adds its events in
one statement. The order of writes to different tables does not matter, because no table refers to
another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from mobstore.scripts.tables import Key, Row, Table
from mobstore.scripts.transaction import Add, Delete, DeleteRange, Put, Write


class DeleteKeys(NamedTuple):
    """The removal of the rows with these keys."""

    table: Table[Any]
    keys: Sequence[Key]


Merged: TypeAlias = Add[Any] | Put[Any] | DeleteKeys | DeleteRange


def merge(writes: Iterable[Write]) -> Iterator[Merged]:
    """Yield few writes with the effect of many, in order."""
    tables: dict[Table[Any], _Rows] = {}
    for write in writes:
        table: Table[Any]
        table = write.scan.index.table if isinstance(write, DeleteRange) else write.table
        rows = tables.get(table)
        if rows is None:
            rows = tables[table] = _Rows(table)
        if isinstance(write, DeleteRange):
            yield from rows.take()
            yield write
        elif isinstance(write, Delete):
            if write.key in rows.added:  # must be found to be new before it is removed
                yield from rows.take()
            rows.put.pop(write.key, None)
            rows.removed[write.key] = None
        elif isinstance(write, Put):
            for row in write.rows:
                key = rows.key_of(row)
                (rows.added if key in rows.added else rows.put)[key] = row
                rows.removed.pop(key, None)
        else:
            for row in write.rows:
                key = rows.key_of(row)
                if key in rows.added or key in rows.put:  # the server is to find the clash
                    yield from rows.take()
                if key in rows.removed:  # its place is free, whether there was a row or not
                    del rows.removed[key]
                    rows.put[key] = row
                else:
                    rows.added[key] = row
    # First the rows that exist: with serializable isolation, two processes that append conflict at
    # the counter then, which can be retried, and not at the key of an event.
    for rows in tables.values():
        yield from rows.take_changes()
    for rows in tables.values():
        yield from rows.take()


class _Rows:
    """The rows of one table that are still to be written."""

    def __init__(self, table: Table[Any]) -> None:
        self._table = table
        self.key_of: Callable[[Row], Key] = table.getter(table.key)
        self.added: dict[Key, Row] = {}
        self.put: dict[Key, Row] = {}
        self.removed: dict[Key, None] = {}

    def take_changes(self) -> Iterator[Merged]:
        """Yield the writes of rows that may exist, whose keys differ, and forget them."""
        if self.removed:
            yield DeleteKeys(self._table, list(self.removed))
        if self.put:
            yield Put(self._table, list(self.put.values()))
        self.put, self.removed = {}, {}

    def take(self) -> Iterator[Merged]:
        """Yield the writes of all rows, whose keys differ, and forget them."""
        yield from self.take_changes()
        if self.added:
            yield Add(self._table, list(self.added.values()))
        self.added = {}
