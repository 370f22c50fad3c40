"""The rows of one transaction of several scripts: single rows are kept, and written together.

A group of 64 appends then adds its 64 events by one `executemany`, and writes its counter once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mobstore.engines.sqlite.rows import Rows
from mobstore.scripts.tables import Key, Row, Table
from mobstore.scripts.transaction import Add, Get, Put, Read, Write

_FEW = 64  # rows; to keep more at once gains nothing


class _Kept(NamedTuple):
    key_of: Callable[[Row], Key]
    added: dict[Key, Row]
    put: dict[Key, Row]


class KeptRows:
    """Reads and writes within one transaction; call `flush` before its commit.

    Rows to add and rows to put are kept by key until they are needed by anything but a `Get`. The
    order of writes to different tables does not matter, because no table refers to another.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._tables: dict[Table[Any], _Kept] = {}

    def answer(self, read: Read) -> object:
        """Answer one read, as if all writes were made."""
        if isinstance(read, Get):
            kept = self._tables.get(read.table)
            if kept is not None:
                row = kept.put.get(read.key) or kept.added.get(read.key)
                if row is not None:
                    return row
        elif self._tables:
            self.flush()
        return self._rows.answer(read)

    def write(self, write: Write) -> None:
        """Keep a few rows; make any other write at once.

        Raises:
            WriteFailedError: a row to add exists. The transaction must be rolled back.
        """
        if not isinstance(write, (Add, Put)) or len(write.rows) > _FEW:
            self.flush()
            self._rows.write(write)
            return
        table: Table[Any] = write.table
        kept = self._tables.get(table)
        if kept is None:
            kept = self._tables[table] = _Kept(table.getter(table.key), {}, {})
        key_of, added, put = kept
        adding = isinstance(write, Add)
        for place, row in enumerate(write.rows):
            key = key_of(row)
            if not adding:
                (added if key in added else put)[key] = row
            elif key in added or key in put:  # SQLite is to find the first clash of several
                self.flush()
                self._rows.write(Add(table, write.rows[place:]))
            else:
                added[key] = row

    def flush(self) -> None:
        """Write all that is kept.

        Raises:
            WriteFailedError: a row to add exists. The transaction must be rolled back.
        """
        for table, kept in self._tables.items():
            if kept.added:
                self._rows.write(Add(table, [*kept.added.values()]))
            if kept.put:
                self._rows.write(Put(table, [*kept.put.values()]))
        self._tables = {}
