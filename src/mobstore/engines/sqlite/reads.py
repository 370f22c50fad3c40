"""Running scripts that write nothing: at once where they read little, or to their end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar, cast

from mobstore.engines.sqlite.interruption import Stoppable
from mobstore.engines.sqlite.rows import LONGEST, Rows, size_of
from mobstore.scripts.transaction import Commit, Count, Get, Read, Script, drive

T = TypeVar("T")

# To read more would hold up an event loop for milliseconds.
_FEW_ROWS = 1000
_FEW_CHARACTERS = 2**20
_SHORT = 2**16  # bytes of a single value; a part of a scan has 16 of them for each column


class NotAtOnce(Exception):  # noqa: N818 - not an error
    """The script reads much, or another process holds it up."""


def read(rows: Rows, make: Callable[[], Script[T]], work: Stoppable) -> T:
    """Run a script, however much it reads, until the work is stopped."""

    def answer(read: Read) -> object:
        work.check()
        return rows.answer(read)

    rows.limit_values(LONGEST)
    with rows.stoppable(work), rows.snapshot():
        return drive(make(), answer).result


def read_at_once(rows: Rows, make: Callable[[], Script[T]]) -> T:
    """Run a script that reads little.

    Raises:
        NotAtOnce: it reads many rows, or much text.
    """
    rows.limit_values(_SHORT)
    try:
        return _read_few(rows, make)
    except sqlite3.DataError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_TOOBIG:
            raise NotAtOnce from error
        raise


def _read_few(rows: Rows, make: Callable[[], Script[T]]) -> T:
    script = make()
    try:
        asked = next(script)
        if len(asked) == 1:  # a single read needs no snapshot around it
            script.send((_Few(rows).answer(asked[0]),))
    except StopIteration as end:
        return cast("Commit[T]", end.value).result
    finally:
        script.close()
    with rows.snapshot():
        return drive(make(), _Few(rows).answer).result


class _Few:
    """Answers reads as long as they are few rows and little text altogether."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._left, self._size = rows, _FEW_ROWS, _FEW_CHARACTERS

    def answer(self, read: Read) -> object:
        if isinstance(read, Count):
            raise NotAtOnce  # counts whatever there is
        if isinstance(read, Get):
            found = row = self._rows.answer(read)
            self._left -= 1
            self._size -= 0 if row is None else size_of(read.table, (row,))
        else:
            found, size = self._rows.few(read, self._left + 1, self._size)
            self._left -= len(found)
            self._size -= size
        if self._left < 0 or self._size < 0:
            raise NotAtOnce
        return found
