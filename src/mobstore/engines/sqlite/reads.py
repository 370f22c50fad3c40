"""Scripts that write nothing: run them on the event loop if they read little, or on a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar, cast

from mobstore.engines.sqlite.interruption import Interruption
from mobstore.engines.sqlite.rows import LONGEST, Rows, size_of
from mobstore.scripts.transaction import (
    Commit,
    Count,
    Get,
    Now,
    Parts,
    PartsScript,
    Read,
    Scan,
    drive,
)

T = TypeVar("T")

# Larger reads would block an event loop for milliseconds.
_FEW_ROWS = 1000
_FEW_CHARACTERS = 2**21
SHORT = 2**16
"""Bytes of a single value that is read at once; a part of a scan has 16 of them a column."""


class _Deferred(Enum):
    DEFERRED = "deferred"


Deferred: TypeAlias = _Deferred
DEFERRED: Final = _Deferred.DEFERRED
"""The result of a script that has to run on a thread: it reads much, or another process holds a
lock."""


def read(
    rows: Rows,
    make: Callable[[], PartsScript[T]],
    now: Callable[[], str],
    interruption: Interruption,
) -> T:
    """Run a script, however much it reads, unless it is interrupted."""

    def answer(read: Read | Parts[Any]) -> object:
        interruption.check()
        return rows.answer(read)

    rows.limit_values(LONGEST)
    with rows.interrupted_by(interruption), rows.snapshot():
        return drive(make(), answer, now).result


def read_at_once(
    rows: Rows, make: Callable[[], PartsScript[T]], now: Callable[[], str]
) -> T | Deferred:
    """Run a script that reads little; return `DEFERRED` if it reads many rows or much text."""
    rows.limit_values(SHORT)
    try:
        return _read_little(rows, make, now)
    except TooMuchError:
        return DEFERRED
    except sqlite3.DataError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_TOOBIG:
            return DEFERRED
        raise


def _read_little(rows: Rows, make: Callable[[], PartsScript[T]], now: Callable[[], str]) -> T:
    script = make()
    try:
        asked = next(script)
        if len(asked) == 1 and type(asked[0]) is not Now:  # one read needs no snapshot around it
            one = asked[0]
            # The values of a row are short, so it is within the budget.
            answer = rows.answer if type(one) is Get else Budget(rows).answer
            script.send((answer(one),))
    except StopIteration as end:
        return cast("Commit[T]", end.value).result
    finally:
        script.close()
    with rows.snapshot():
        return drive(make(), Budget(rows).answer, now).result


class TooMuchError(Exception):
    """A script has read more than its budget."""


class Budget:
    """The rows and characters that one script may still read."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._left, self._size = rows, _FEW_ROWS, _FEW_CHARACTERS

    def answer(self, read: Read | Parts[Any]) -> object:
        if isinstance(read, Count):
            raise TooMuchError  # SQLite counts row by row
        if isinstance(read, Get):
            found = self._rows.answer(read)
            self._spend(
                1, 0 if found is None else size_of(read.table, read.table.columns, (found,))
            )
            return found
        if isinstance(read, Parts):
            return [read.convert(self._few(read.scan, read.columns))]
        scan = cast("Scan[Any]", read)
        make: Callable[[Any], Any] = scan.index.table.make
        return list(map(make, self._few(scan, scan.index.table.columns)))

    def _few(self, scan: Scan[Any], columns: tuple[str, ...]) -> list[Any]:
        if (scan.limit or 0) > self._left and self._rows.finds_more(scan, self._left):
            raise TooMuchError  # a hundredth of the time that reading them takes
        found, size = self._rows.few(scan, columns, self._left + 1, self._size)
        self._spend(len(found), size)
        return found

    def _spend(self, rows: int, size: int) -> None:
        self._left -= rows
        self._size -= size
        if self._left < 0 or self._size < 0:
            raise TooMuchError
