"""The tables in SQL. Statements are built from the declarations in `tables`, never from data."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from itertools import chain, pairwise, starmap
from operator import ge, gt, le, lt
from typing import Any, NamedTuple, cast, get_type_hints

from mobstore.engines.sqlite.connections import size_of_file
from mobstore.engines.sqlite.interruption import Interruption
from mobstore.scripts.tables import TABLES, Index, Key, Table, Value
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
def _texts(table: Table[Any]) -> Callable[[Any], Any]:
    columns = zip(table.columns, table.types, strict=True)
    return table.getter(tuple(name for name, kind in columns if kind is str))


def size_of(table: Table[Any], rows: Iterable[Any]) -> int:
    """Return the number of characters in rows."""
    return sum(map(len, chain.from_iterable(map(_texts(table), rows))))


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
def _select(shape: _Shape, backwards: bool) -> str:  # noqa: FBT001 - a cache's key
    direction = " DESC" if backwards else ""
    index, given, *_ = shape
    order = ", ".join(f'"{column}"{direction}' for column in index.sorted_by[given:])
    ordered = f" ORDER BY {order}" if order else ""
    return f"SELECT {_names(index.table.columns)} {_range(shape)}{ordered} LIMIT ?"


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


def _least_size(row: tuple[object, ...]) -> int:
    """Return the least number of bytes that a row takes in a file."""
    return 4 + sum(len(value) for value in row if isinstance(value, (str, bytes)))


def _check_order(scan: Scan[Any], rows: Sequence[Any]) -> None:
    """Raise unless rows are in the order of their index.

    Otherwise a caller that continues after the last of them might read for ever.

    Raises:
        DisorderError: they are not.
    """
    index = scan.index
    place = index.table.getter(index.sorted_by)
    ordered: Callable[[Any, Any], bool]
    if index is index.table:  # keys are unique
        ordered = gt if scan.backwards else lt
    else:
        ordered = ge if scan.backwards else le
    try:
        sound = all(starmap(ordered, pairwise(map(place, rows))))
    except TypeError:  # SQLite sorts values of several types by their types
        typed = map(_sorted_by_type, map(place, rows))
        sound = all(starmap(ordered, pairwise(typed)))
    if not sound:
        raise DisorderError("rows are not in the order of their index")


def _sorted_by_type(place: Key) -> list[tuple[int, object]]:
    ranks = {int: 1, float: 1, str: 2, bytes: 3}
    return [(ranks.get(type(value), 0), value) for value in place]


class Rows:
    """The rows behind one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self.limit_values(LONGEST)

    def answer(self, read: Read) -> object:
        """Answer one read."""
        if isinstance(read, Get):
            table = read.table
            found = self._execute(_get(table), read.key).fetchone()
            return None if found is None else table.row._make(found)
        if isinstance(read, Scan):
            return self.scan(read)
        if isinstance(read, Count):
            shape, values = _bounds(read.scan)
            return self._execute(f"SELECT count(*) {_range(shape)}", values).fetchone()[0]
        raise TypeError(f"{type(read).__name__} cannot be yielded by a script")

    def scan(self, scan: Scan[Any]) -> list[Any]:
        """Return the rows of a scan."""
        make: Callable[[Any], Any] = scan.index.table.row._make
        # Closed, because the traceback of an interruption would keep the file open.
        with closing(self._select(scan, scan.limit)) as cursor:
            rows = list(map(make, cursor.fetchmany(_MANY)))
            if len(rows) == _MANY:
                rows += self._further(scan.index.table, cursor)
        if len(rows) > 1:
            _check_order(scan, rows)
        return rows

    def _further(self, table: Table[Any], cursor: sqlite3.Cursor) -> Generator[Any]:
        """Yield the further rows; raise if they are more than the file can hold.

        A forged tree may lead to the same rows again and again.
        """
        left = size_of_file(self._connection)
        while part := cursor.fetchmany(_MANY):
            left -= sum(map(_least_size, part))
            if left < 0:
                raise DisorderError("there are more rows than the file can hold")
            yield from map(cast("Any", table.row)._make, part)

    def few(self, scan: Scan[Any], most: int, size: int) -> tuple[list[Any], int]:
        """Return the first rows of a scan, and the number of their characters.

        Reading ends after `most` rows, and soon after more than `size` characters.
        """
        limit = most if scan.limit is None else min(scan.limit, most)
        cursor = self._select(scan, limit)
        make: Callable[[Any], Any] = scan.index.table.row._make
        rows: list[Any] = []
        found = 0
        try:
            while found <= size and (part := cursor.fetchmany(_PART)):
                found += size_of(scan.index.table, part)
                rows += map(make, part)
        finally:
            cursor.close()  # an unfinished statement would keep its snapshot
        return rows, found

    def _select(self, scan: Scan[Any], limit: int | None) -> sqlite3.Cursor:
        shape, values = _bounds(scan)
        values.append(-1 if limit is None else limit)
        return self._execute(_select(shape, scan.backwards), values)

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
        if len(rows) == 1:
            self._execute(statement, rows[0])
        else:
            self._connection.executemany(statement, rows)

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
