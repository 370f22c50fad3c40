"""Pages of rows of a database of the reference, in bounded memory and bounded steps.

Tables are read in the order of row numbers, not by the indexes of their keys: an index may be
damaged, and SQLite does not compare it with its table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mobstore.engines.sqlite.connections import size_of_file
from mobstore.errors import ReadFailedError
from mobstore.meerkat.layout import KEY_INDEXES
from mobstore.model.json import I64_MAX, I64_MIN
from mobstore.model.text import brief

_ROWS = 256  # of a page
_BYTES = 2**20  # of a page, or one row that is longer
_COUNTED = 10_000  # rows of a step
_SHORTEST = 4  # bytes of a row: its offset, its length, its number


class TooLong(NamedTuple):
    """A placeholder for a row with a value that is too long; it was not read."""

    rowid: int
    key: str


def count(
    file: sqlite3.Connection, path: Path, table: str, step: Callable[[], None] = lambda: None
) -> int:
    """Count the rows of a table, by the index of its keys if it has one.

    Args:
        file: the file.
        path: its path, for messages.
        table: the table's name.
        step: called every ten thousand rows.

    Raises:
        ReadFailedError: there are more rows than fit into the file, so pages have several parents.
    """
    size = size_of_file(file)
    by = f"INDEXED BY {KEY_INDEXES[table]}" if table in KEY_INDEXES else "NOT INDEXED"
    quoted = table.replace('"', '""')  # a table that is not the reference's may have any name
    counted = 0
    found = file.execute(f'SELECT 1 FROM "{quoted}" {by}')  # noqa: S608 - constants, and a name
    while rows := found.fetchmany(_COUNTED):
        counted += len(rows)
        if counted > size // _SHORTEST:
            raise ReadFailedError(
                f"{path} is damaged: table {brief(table)} has more rows than the file has room for;"
                " nothing was imported. Restore a backup"
            )
        step()
    return counted


def pages(
    file: sqlite3.Connection, table: str, columns: str, longest: int
) -> Iterator[list[tuple[Any, ...] | TooLong]]:
    """Yield all rows of a table, in pages of about a megabyte.

    Args:
        file: the file.
        table: the table's name.
        columns: the columns to read, the key first. The row number comes after them.
        longest: the most bytes of a value, and of a row.
    """
    page: list[tuple[Any, ...] | TooLong] = []
    size = 0
    for row in _rows(file, table, columns, longest):
        page.append(row)
        for value in row:
            if isinstance(value, (bytes, str)):
                size += len(value)
        if len(page) == _ROWS or size >= _BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _rows(
    file: sqlite3.Connection, table: str, columns: str, longest: int
) -> Iterator[tuple[Any, ...] | TooLong]:
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)  # checked before it is read
    select = f"SELECT {columns}, rowid FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid"  # noqa: S608 - constant names
    start = I64_MIN
    # Python reads one row ahead, so the error for a long row comes in place of the row before it.
    one_by_one = False
    while start <= I64_MAX:
        read = False
        try:
            for row in file.execute(f"{select} LIMIT 1" if one_by_one else select, (start,)):
                yield row
                start = row[-1] + 1
                read = True
        except sqlite3.DataError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_TOOBIG:
                raise
            if one_by_one:
                found = _too_long(file, table, columns, start)
                yield found
                start = found.rowid + 1
            one_by_one = not one_by_one
        else:
            if not one_by_one or not read:
                return


def _too_long(file: sqlite3.Connection, table: str, columns: str, start: int) -> TooLong:
    first = f"FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1"
    # Another process may have deleted the row since; the caller notices that at the end.
    (rowid,) = file.execute(f"SELECT rowid {first}", (start,)).fetchone() or (I64_MAX,)
    named = f"of row {rowid}"
    with suppress(sqlite3.DataError):  # the key itself may be too long
        key, *_ = columns.split(", ")
        (named,) = file.execute(f"SELECT {key} {first}", (start,)).fetchone() or (named,)
    return TooLong(rowid, brief(named) if isinstance(named, str) else str(rowid))
