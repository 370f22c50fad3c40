"""The rows of a database of the reference, read in bounded memory and bounded steps.

Tables are read in the order of their row numbers and not by the indexes of their keys: an index may
be damaged, and nothing compares it with its table.
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
_COUNTED = 10_000  # rows at once
_SMALLEST = 4  # bytes of a row: its place, its length, its number


class TooLong(NamedTuple):
    """Stands for a row that has a value longer than was asked for; it was not read."""

    rowid: int
    key: str


def count(
    file: sqlite3.Connection, path: Path, table: str, step: Callable[[], None] = lambda: None
) -> int:
    """Count the rows of a table; where it has an index of keys, the rows that this knows of.

    Args:
        file: the file.
        path: where it is, for messages.
        table: the table's name.
        step: called every few thousand rows.

    Raises:
        ReadFailedError: there are more than the file has room for: its pages lead to each other.
    """
    size = size_of_file(file)
    by = f"INDEXED BY {KEY_INDEXES[table]}" if table in KEY_INDEXES else "NOT INDEXED"
    counted = 0
    found = file.execute(f"SELECT 1 FROM {table} {by}")  # noqa: S608 - ours
    while some := found.fetchmany(_COUNTED):
        counted += len(some)
        if counted > size // _SMALLEST:
            raise ReadFailedError(
                f"{path} is damaged: table {table} has more rows than the file has room for;"
                " nothing was imported. Restore a backup"
            )
        step()
    return counted


def pages(
    file: sqlite3.Connection, table: str, columns: str, longest: int
) -> Iterator[list[tuple[Any, ...] | TooLong]]:
    """All rows of a table, as many at once as may be held.

    Args:
        file: the file.
        table: the table's name.
        columns: which ones, the key first; a row has its number after them.
        longest: bytes of a value, and of a row.
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
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)  # SQLite asks before it reads
    select = f"SELECT {columns}, rowid FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid"  # noqa: S608 - ours
    start = I64_MIN
    one_by_one = False  # a row that is too long hides the one before it: Python looks ahead
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
    # What another process writes meanwhile may be there no more; that is noticed in the end.
    (rowid,) = file.execute(f"SELECT rowid {first}", (start,)).fetchone() or (I64_MAX,)
    named = f"of row {rowid}"
    with suppress(sqlite3.DataError):  # the key itself is too long
        key, *_ = columns.split(", ")
        (named,) = file.execute(f"SELECT {key} {first}", (start,)).fetchone() or (named,)
    return TooLong(rowid, brief(named) if isinstance(named, str) else str(rowid))
