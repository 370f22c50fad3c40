"""The tables in SQL. Statements are built from the declarations in `tables`, never from data."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from itertools import chain, pairwise, starmap
from operator import ge, gt, itemgetter, le, lt
from typing import Any, NamedTuple, get_type_hints

from mobstore.engines.sqlite.connections import size_of_file
from mobstore.engines.sqlite.interruption import Interruption
from mobstore.scripts.tables import TABLES, Index, Key, Table, Value, getter_of
from mobstore.scripts.transaction import (
    Add,
    Count,
    Delete,
    DeleteRange,
    Get,
    Parts,
    Put,
    Read,
    Scan,
    Write,
    key_in_use,
)

LONGEST = 81 * 2**20
"""Bytes of the longest row: a document of at most 80 MiB, and its names."""

_STEPS = 10**5  # of SQLite's virtual machine, some hundredths of a second
_MANY = 1000  # rows; the size of further rows is checked
_PART = 16  # rows; smaller parts are slower


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _equal(columns: tuple[str, ...]) -> str:
    return " AND ".join(f'"{column}" = ?' for column in columns)


def _create(table: Table[Any]) -> list[str]:
    hints = get_type_hints(table.row)
    types = {str: "TEXT", int: "INTEGER"}
    columns = [f'"{column}" {types[hints[column]]} NOT NULL' for column in table.columns]
    columns.append(f"PRIMARY KEY ({_names(table.key)})")
    return [
        f'CREATE TABLE "{table.name}" ({", ".join(columns)})',
        *(
            f'CREATE INDEX "{table.name}_{index.name}" ON "{table.name}"'
            f" ({_names(index.prefix + index.order)})"
            for index in table.indexes
        ),
    ]


SCHEMA = tuple(statement for table in TABLES for statement in _create(table))


@cache
def _get(table: Table[Any]) -> str:
    return f'SELECT {_names(table.columns)} FROM "{table.name}" WHERE {_equal(table.key)}'


@cache
def _add(table: Table[Any]) -> str:
    values = ", ".join("?" * len(table.columns))
    return f'INSERT INTO "{table.name}" ({_names(table.columns)}) VALUES ({values})'


@cache
def _put(table: Table[Any]) -> str:
    others = [column for column in table.columns if column not in table.key]
    updates = ", ".join(f'"{column}" = excluded."{column}"' for column in others)
    return f"{_add(table)} ON CONFLICT ({_names(table.key)}) DO UPDATE SET {updates}"


@cache
def _delete(table: Table[Any]) -> str:
    return f'DELETE FROM "{table.name}" WHERE {_equal(table.key)}'


@cache
def _place(columns: tuple[str, ...], ordering: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return a function that extracts the columns that order rows; one alone not as a tuple."""
    if len(ordering) == 1:
        return itemgetter(columns.index(ordering[0]))
    return getter_of(columns, ordering)


@cache
def _texts(table: Table[Any], columns: tuple[str, ...]) -> Callable[[Any], Any]:
    texts = {name for name, kind in zip(table.columns, table.types, strict=True) if kind is str}
    return getter_of(columns, tuple(name for name in columns if name in texts))


def size_of(table: Table[Any], columns: tuple[str, ...], rows: Iterable[Any]) -> int:
    """Return the number of characters in some columns of rows."""
    return sum(map(len, chain.from_iterable(map(_texts(table, columns), rows))))


class _Shape(NamedTuple):
    """The parts of a scan that determine its statement."""

    by: Index[Any]
    given: int
    after: bool
    before: bool


@cache
def _range(shape: _Shape) -> str:
    index, given, after, before = shape
    conditions = [f'"{column}" = ?' for column in index.sorted_by[:given]]
    if after:
        conditions.append(f'"{index.sorted_by[given]}" > ?')
    if before:
        conditions.append(f'"{index.sorted_by[given]}" < ?')
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f'FROM "{index.table.name}"{where}'


@cache
def _select(shape: _Shape, columns: tuple[str, ...], backwards: bool) -> str:  # noqa: FBT001 - a cache's key
    direction = " DESC" if backwards else ""
    index, given, *_ = shape
    order = ", ".join(f'"{column}"{direction}' for column in index.sorted_by[given:])
    ordered = f" ORDER BY {order}" if order else ""
    return f"SELECT {_names(columns)} {_range(shape)}{ordered} LIMIT ?"


def _bounds(scan: Scan[Any]) -> tuple[_Shape, list[Value]]:
    values: list[Value] = list(scan.prefix)
    given = len(values)
    if scan.after is not None:
        values.append(scan.after)
    if scan.before is not None:
        values.append(scan.before)
    return _Shape(scan.index, given, scan.after is not None, scan.before is not None), values


class DisorderError(sqlite3.DatabaseError):
    """Rows repeat, or are not in the order of their index: a tree of pages is corrupt."""

    sqlite_errorcode: int = sqlite3.SQLITE_CORRUPT
    sqlite_errorname: str = "SQLITE_CORRUPT"


def _least_size(table: Table[Any], columns: tuple[str, ...], rows: Sequence[Any]) -> int:
    """Return the least number of bytes that rows take in a file."""
    try:
        return 4 * len(rows) + size_of(table, columns, rows)
    except TypeError:  # the file holds values that mobstore did not write
        return 4 * len(rows)


def _check_order(scan: Scan[Any], places: Sequence[Value | Key]) -> None:
    """Raise unless rows are in the order of their index.

    Otherwise a caller that continues after the last of them might read for ever.

    Args:
        scan: the scan that found the rows.
        places: the values of the columns that order them.

    Raises:
        DisorderError: they are not.
    """
    ordered: Callable[[Any, Any], bool]
    if scan.index is scan.index.table:  # keys are unique
        ordered = gt if scan.backwards else lt
    else:
        ordered = ge if scan.backwards else le
    try:
        sound = all(starmap(ordered, pairwise(places)))
    except TypeError:  # SQLite sorts values of several types by their types
        sound = all(starmap(ordered, pairwise(map(_sorted_by_type, places))))
    if not sound:
        raise DisorderError("rows are not in the order of their index")


def _sorted_by_type(place: Value | Key) -> list[tuple[int, object]]:
    ranks = {int: 1, float: 1, str: 2, bytes: 3}
    values = place if isinstance(place, tuple) else (place,)
    return [(ranks.get(type(value), 0), value) for value in values]


class Rows:
    """The rows behind one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self.limit_values(LONGEST)

    def answer(self, read: Read | Parts[Any]) -> object:
        """Answer one read."""
        if isinstance(read, Get):
            table = read.table
            found = self._execute(_get(table), read.key).fetchone()
            return None if found is None else table.make(found)
        if isinstance(read, Scan):
            return self.scan(read)
        if isinstance(read, Count):
            shape, values = _bounds(read.scan)
            return self._execute(f"SELECT count(*) {_range(shape)}", values).fetchone()[0]
        if isinstance(read, Parts):
            with closing(self._parts(read.scan, read.columns)) as parts:
                return list(map(read.convert, parts))
        raise TypeError(f"{type(read).__name__} cannot be yielded by a script")

    def scan(self, scan: Scan[Any]) -> list[Any]:
        """Return the rows of a scan."""
        table = scan.index.table
        make: Callable[[Any], Any] = table.make
        with closing(self._parts(scan, table.columns)) as parts:
            return list(map(make, chain.from_iterable(parts)))

    def _parts(self, scan: Scan[Any], columns: tuple[str, ...]) -> Generator[list[Any]]:
        """Yield some columns of the rows of a scan, in parts.

        A forged tree may lead to the same rows again and again. Keys that repeat are not in order.
        Those of an index may tie, so its rows must not be more than the file can hold.
        """
        index, left = scan.index, -1
        place = _place(columns, index.sorted_by[len(scan.prefix) :])
        last: list[Any] = []
        # Closed, because the traceback of an interruption would keep the file open.
        with closing(self._select(scan, columns, scan.limit)) as cursor:
            while part := cursor.fetchmany(_MANY):
                _check_order(scan, list(map(place, chain(last, part))))
                if last and index is not index.table:
                    left = size_of_file(self._connection) if left < 0 else left
                    left -= _least_size(index.table, columns, part)
                    if left < 0:
                        raise DisorderError("there are more rows than the file can hold")
                last = part[-1:]
                yield part

    def few(
        self, scan: Scan[Any], columns: tuple[str, ...], most: int, size: int
    ) -> tuple[list[Any], int]:
        """Return some columns of the first rows of a scan, and the number of their characters.

        Reading ends after `most` rows, and soon after more than `size` characters.
        """
        limit = most if scan.limit is None else min(scan.limit, most)
        cursor = self._select(scan, columns, limit)
        rows: list[Any] = []
        found = 0
        try:
            while found <= size and (part := cursor.fetchmany(_PART)):
                found += size_of(scan.index.table, columns, part)
                rows += part
        finally:
            cursor.close()  # an unfinished statement would keep its snapshot
        return rows, found

    def finds_more(self, scan: Scan[Any], rows: int) -> bool:
        """Return whether a scan, without its limit, finds more than this many rows."""
        shape, values = _bounds(scan)
        found = self._execute(f"SELECT 1 {_range(shape)} LIMIT 1 OFFSET ?", (*values, rows))
        return found.fetchone() is not None

    def _select(
        self, scan: Scan[Any], columns: tuple[str, ...], limit: int | None
    ) -> sqlite3.Cursor:
        shape, values = _bounds(scan)
        values.append(-1 if limit is None else limit)
        return self._execute(_select(shape, columns, scan.backwards), values)

    def limit_values(self, size: int) -> None:
        """Limit the bytes of a single value; a longer one raises SQLITE_TOOBIG when it is read.

        SQLite checks the length before it reads the value.
        """
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, size)

    def answer_or_write(self, asked: Read | Write) -> object:
        """Answer one read or apply one write of a loading script."""
        if isinstance(asked, (Add, Put, Delete, DeleteRange)):
            self.write(asked)
            return None
        return self.answer(asked)

    def write(self, write: Write) -> None:
        """Apply one write within the open transaction."""
        if isinstance(write, Add):
            self._add(write)
        elif isinstance(write, Put):
            self._insert(_put(write.table), write.rows)
        elif isinstance(write, Delete):
            self._execute(_delete(write.table), write.key)
        else:
            shape, values = _bounds(write.scan)
            self._execute(f"DELETE {_range(shape)}", values)

    def _add(self, write: Add[Any]) -> None:
        before = self._connection.total_changes
        try:
            self._insert(_add(write.table), write.rows)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
                raise
            failed = write.rows[self._connection.total_changes - before]
            key = write.table.getter(write.table.key)(failed)
            raise key_in_use(write.table, key) from error

    def _insert(self, statement: str, rows: Sequence[Any]) -> None:
        # sqlite3 binds plain tuples in two thirds of the time that named ones take.
        if len(rows) == 1:
            self._execute(statement, tuple(rows[0]))
        else:
            self._connection.executemany(statement, map(tuple, rows))

    def begin(self) -> None:
        """Begin a write transaction. A deferred one might not get the lock after it has read."""
        self._execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit the open transaction."""
        self._execute("COMMIT")

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one."""
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    @property
    def idle(self) -> bool:
        """True if no transaction is open."""
        return not self._connection.in_transaction

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Read one snapshot within the context."""
        self._execute("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    def data_version(self) -> int:
        """Return a number that changes only when another connection has committed."""
        return int(self._execute("PRAGMA data_version").fetchone()[0])

    def touch(self) -> None:
        """Write within the open transaction without a change."""
        (version,) = self._execute("PRAGMA user_version").fetchone()
        self._execute(f"PRAGMA user_version = {version}")

    def limit_log(self, size: int) -> None:
        """Truncate the log's file to this many bytes whenever a commit restarts it."""
        self._execute(f"PRAGMA journal_size_limit = {size}").fetchone()

    def interrupted_by(self, interruption: Interruption) -> AbstractContextManager[None]:
        """Return a context in which an interruption ends the statements of this connection."""
        return interruption.of(self._connection)

    def vacuum(self, cancelled: Callable[[], bool]) -> None:
        """Rewrite the file without the space of deleted rows, outside a transaction.

        Args:
            cancelled: is called repeatedly; once it returns True, the file stays as it was.
        """
        self._connection.set_progress_handler(cancelled, _STEPS)
        try:
            self._execute("VACUUM")
        finally:
            self._connection.set_progress_handler(None, 0)

    def close(self) -> None:
        """Close the connection; the last connection to a file removes its side files."""
        self._connection.close()
