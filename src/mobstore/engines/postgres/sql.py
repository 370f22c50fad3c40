"""The tables in SQL. Statements are built from the declarations in `tables`, never from data.

Every name is qualified with the schema of the store, so no search path matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from mobstore.engines.postgres.values import Parameter, array, scalar
from mobstore.engines.postgres.wire import Statement
from mobstore.scripts.tables import TABLES, Index, Key, Row, Table
from mobstore.scripts.transaction import Add, Count, DeleteRange, Put, Scan

_TYPES: dict[type, str] = {str: "text", int: "bigint"}
_NOW = (
    "SELECT pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC',"
    ' \'YYYY-MM-DD"T"HH24:MI:SS.US"000Z"\')'
)
_MOST_BYTES = 2**26  # of the rows of one statement, unless one row is longer; the limit is 1 GiB


def quoted(name: str) -> str:
    """Return a name as an identifier."""
    return '"{}"'.format(name.replace('"', '""'))


def names(columns: Sequence[str]) -> str:
    """Return column names as a list."""
    return ", ".join(f'"{column}"' for column in columns)


def key_constraint(table: Table[Any]) -> str:
    """Return the name of the constraint that keeps the keys of a table unique."""
    return f"{table.name}_pkey"


class _Shape(NamedTuple):
    """The parts of a scan that determine its statement."""

    by: Index[Any]
    given: int
    after: bool
    before: bool
    limited: bool = False
    backwards: bool = False


class Sql:
    """The statements of one store."""

    def __init__(
        self, schema: str, guard: str = "", clock: Callable[[], str] | None = None
    ) -> None:
        """Prepare the statements.

        Args:
            schema: the name of the schema.
            guard: a condition of all reads; none while the store is not known to exist.
            clock: a clock for tests; None: the server's.
        """
        self.clock: Callable[[], str] | None = clock
        self.schema: str = quoted(schema)
        self._guard = [guard] if guard else []
        # Methods are not cached by `functools`, which would keep every store alive.
        self._get = cache(self._make_get)
        self._get_many = cache(self._make_get_many)
        self._range = cache(self._make_range)
        self._select = cache(self._make_select)
        self._insert = cache(self._make_insert)
        self._upsert = cache(self._make_upsert)
        self._delete = cache(self._make_delete)

    def table(self, name: str) -> str:
        """Return the qualified name of a table."""
        return f"{self.schema}.{quoted(name)}"

    # Reads -------------------------------------------------------------------------------------

    def get(self, table: Table[Any], key: Key) -> Statement:
        """Return the statement that finds one row."""
        return Statement(self._get(table), tuple(map(scalar, key)))

    def get_many(self, table: Table[Any], keys: Sequence[Key]) -> Statement:
        """Return the statement that finds rows by their keys, in any order."""
        return Statement(self._get_many(table), _columns(table, table.key, keys))

    def scan(self, scan: Scan[Any]) -> Statement:
        """Return the statement of a scan."""
        shape, values = _bounds(scan)
        if scan.limit is not None:
            shape = shape._replace(limited=True)
            values += (scalar(scan.limit),)
        return Statement(self._select(shape._replace(backwards=scan.backwards)), values)

    def count(self, count: Count) -> Statement:
        """Return the statement that counts the rows of a scan."""
        shape, values = _bounds(count.scan)
        return Statement(f"SELECT count(*) {self._range(shape)}", values)

    def now(self) -> Statement:
        """Return the statement that reads the clock, after all locks are taken."""
        if self.clock is not None:
            return Statement("SELECT $1::text", (scalar(self.clock()),))
        return Statement(_NOW)

    def _make_get(self, table: Table[Any]) -> str:
        tests = [
            f'"{column}" = ${n}::{_type(table, column)}' for n, column in enumerate(table.key, 1)
        ]
        return f"SELECT {names(table.columns)} FROM {self._where(table, tests)}"

    def _make_get_many(self, table: Table[Any]) -> str:
        columns = ", ".join(f't."{column}"' for column in table.columns)
        same = [f't."{column}" = k."{column}"' for column in table.key]
        return (
            f"SELECT {columns} FROM unnest({_arrays(table, table.key)}) AS k({names(table.key)}),"
            f" {self._where(table, same, ' AS t')}"
        )

    def _where(self, table: Table[Any], tests: Sequence[str], alias: str = "") -> str:
        where = " AND ".join([*tests, *self._guard])
        return f"{self.table(table.name)}{alias}" + (f" WHERE {where}" if where else "")

    def _make_range(self, shape: _Shape) -> str:
        table, columns = shape.by.table, shape.by.sorted_by
        tests = [(column, "=") for column in columns[: shape.given]]
        if shape.after:
            tests.append((columns[shape.given], ">"))
        if shape.before:
            tests.append((columns[shape.given], "<"))
        where = [
            f'"{column}" {test} ${n}::{_type(table, column)}'
            for n, (column, test) in enumerate(tests, 1)
        ]
        return f"FROM {self._where(table, where)}"

    def _make_select(self, shape: _Shape) -> str:
        index = shape.by
        direction = " DESC" if shape.backwards else ""
        order = ", ".join(f'"{column}"{direction}' for column in index.sorted_by[shape.given :])
        number = shape.given + shape.after + shape.before + 1
        return (
            f"SELECT {names(index.table.columns)}"
            f" {self._range(shape._replace(limited=False, backwards=False))}"
            + (f" ORDER BY {order}" if order else "")
            + (f" LIMIT ${number}::bigint" if shape.limited else "")
        )

    # Writes ------------------------------------------------------------------------------------

    def write(self, write: Add[Any] | Put[Any]) -> Iterator[Statement]:
        """Yield the statements that write rows with different keys."""
        table: Table[Any] = write.table
        sql = self._insert(table) if isinstance(write, Add) else self._upsert(table)
        for rows in _parts(write.rows):
            yield Statement(sql, _columns(table, table.columns, rows))

    def delete(self, table: Table[Any], keys: Sequence[Key]) -> Statement:
        """Return the statement that removes rows by their keys."""
        return Statement(self._delete(table), _columns(table, table.key, keys))

    def delete_range(self, write: DeleteRange) -> Statement:
        """Return the statement that removes the rows of a scan."""
        shape, values = _bounds(write.scan)
        return Statement(f"DELETE {self._range(shape)}", values)

    def _make_insert(self, table: Table[Any]) -> str:
        return (
            f"INSERT INTO {self.table(table.name)} ({names(table.columns)})"
            f" SELECT * FROM unnest({_arrays(table, table.columns)})"
        )

    def _make_upsert(self, table: Table[Any]) -> str:
        others = [column for column in table.columns if column not in table.key]
        updates = ", ".join(f'"{column}" = excluded."{column}"' for column in others)
        return f"{self._insert(table)} ON CONFLICT ({names(table.key)}) DO UPDATE SET {updates}"

    def _make_delete(self, table: Table[Any]) -> str:
        same = " AND ".join(f't."{column}" = k."{column}"' for column in table.key)
        return (
            f"DELETE FROM {self.table(table.name)} AS t"
            f" USING unnest({_arrays(table, table.key)}) AS k({names(table.key)}) WHERE {same}"
        )

    # The layout --------------------------------------------------------------------------------

    def create(self, compression: str) -> Iterator[str]:
        """Yield the statements that create the tables; `compression` belongs to each text."""
        for table in TABLES:
            columns = [
                f'"{column}" ' + (f'text{compression} COLLATE "C"' if kind is str else "bigint")
                for column, kind in zip(table.columns, table.types, strict=True)
            ]
            parts = ", ".join(f"{column} NOT NULL" for column in columns)
            constraint = f"CONSTRAINT {quoted(key_constraint(table))}"
            yield (
                f"CREATE TABLE {self.table(table.name)}"
                f" ({parts}, {constraint} PRIMARY KEY ({names(table.key)}))"
            )
            for index in table.indexes:
                yield (
                    f"CREATE INDEX {quoted(f'{table.name}_{index.name}')}"
                    f" ON {self.table(table.name)} ({names(index.sorted_by)})"
                )


def _type(table: Table[Any], column: str) -> str:
    return _TYPES[table.types[table.columns.index(column)]]


def _arrays(table: Table[Any], columns: Sequence[str]) -> str:
    return ", ".join(f"${n}::{_type(table, column)}[]" for n, column in enumerate(columns, 1))


def _columns(
    table: Table[Any], columns: tuple[str, ...], rows: Sequence[Row]
) -> tuple[Parameter, ...]:
    """Return the columns of rows as arrays; the rows have these columns only."""
    return tuple(map(array, _kinds(table, columns), zip(*rows, strict=True)))


@cache
def _kinds(table: Table[Any], columns: tuple[str, ...]) -> tuple[type, ...]:
    return tuple(table.types[table.columns.index(column)] for column in columns)


def _bounds(scan: Scan[Any]) -> tuple[_Shape, tuple[Parameter, ...]]:
    bounds = [bound for bound in (scan.after, scan.before) if bound is not None]
    values = tuple(map(scalar, chain(scan.prefix, bounds)))
    given = len(scan.prefix)
    return _Shape(scan.index, given, scan.after is not None, scan.before is not None), values


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows in parts of at most `_MOST_BYTES`, measured in characters of four bytes."""
    start = size = 0
    for place, row in enumerate(rows):
        more = sum(4 * len(value) for value in row if isinstance(value, str))
        if size and size + more > _MOST_BYTES:
            yield rows[start:place]
            start, size = place, 0
        size += more
    if start < len(rows):
        yield rows[start:]
