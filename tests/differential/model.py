"""A store in plain dicts.

It finds rows by filtering and sorting all of them, and shares no code with the engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias, cast, get_type_hints

from mobstore.scripts.tables import TABLES, Key, Row, Table
from mobstore.scripts.transaction import Add, Count, Delete, Get, Now, Put, Read, Scan, Write

_TYPES = {table.name: tuple(get_type_hints(table.row).values()) for table in TABLES}
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_MOST_SHOWN = 700  # characters of an answer in a message

AllRows: TypeAlias = dict[tuple[str, str], list[Row]]
"""All rows of a store by table and index, in the index's order."""


class Clash(NamedTuple):
    """An `Add` whose key is taken."""

    table: Table[Any]
    key: Key

    def __str__(self) -> str:
        """Return a part of the engine's message."""
        named = ", ".join(str(value) for value in self.key)
        return f"table {self.table.name} already has a row with the key {named},"


class Model:
    """The state of a store.

    Attributes:
        tables: the rows of each table by their keys.
    """

    def __init__(self, tables: dict[str, dict[Key, Row]]) -> None:
        self.tables = tables

    @classmethod
    def holding(cls, rows: AllRows) -> Model:
        return cls({
            table.name: {_values(row, table.key): row for row in rows[table.name, table.name]}
            for table in TABLES
        })  # fmt: skip

    def copy(self) -> Model:
        return Model({name: dict(rows) for name, rows in self.tables.items()})

    def find(self, scan: Scan[Any]) -> list[Row]:
        """Return the rows of a scan in its order, without its limit."""
        columns, given = scan.index.prefix + scan.index.order, len(scan.prefix)
        found: list[Row] = []
        for row in self.tables[scan.index.table.name].values():
            values = _values(row, columns)
            if values[:given] != tuple(scan.prefix):
                continue
            if scan.after is not None and not cast("Any", values[given]) > scan.after:
                continue
            if scan.before is not None and not cast("Any", values[given]) < scan.before:
                continue
            found.append(row)
        return sorted(found, key=lambda row: _values(row, columns), reverse=scan.backwards)

    def apply(self, writes: Iterable[Write]) -> list[Clash]:
        """Make writes, and return the first clash of each table; its row is replaced here.

        An engine names one of them: it need not write its tables in a script's order.
        """
        clashes: dict[str, Clash] = {}
        for write in writes:
            if isinstance(write, (Add, Put)):
                table: Table[Any] = write.table
                rows = self.tables[table.name]
                for row in write.rows:
                    key = _values(row, table.key)
                    if isinstance(write, Add) and key in rows:
                        clashes.setdefault(table.name, Clash(table, key))
                    rows[key] = row
            elif isinstance(write, Delete):
                self.tables[write.table.name].pop(write.key, None)
            else:
                table = write.scan.index.table
                for row in self.find(write.scan):
                    del self.tables[table.name][_values(row, table.key)]
        return list(clashes.values())

    def wrong(self, read: Read, answer: Any) -> str | None:
        """Describe what is wrong with an answer; rows that tie may come in any order."""
        if isinstance(read, Now):
            return None if is_time(answer) else f"{answer!r} is not a time"
        if isinstance(read, Get):
            expected = self.tables[read.table.name].get(read.key)
            if answer == expected and (answer is None or _is_row(read.table, answer)):
                return None
            return _difference(read, answer, expected)
        if isinstance(read, Count):
            number = len(self.find(read.scan))
            return None if answer == number else _difference(read, answer, number)
        return _wrong_rows(read, answer, self.find(read))

    def wrong_final(self, final: AllRows) -> str | None:
        """Describe what is wrong with all rows of a store."""
        for table in TABLES:
            for index in (table, *table.indexes):
                scan = Scan(index)
                if wrong := _wrong_rows(scan, final[table.name, index.name], self.find(scan)):
                    return wrong
        return None


def is_time(answer: object) -> bool:
    """Return whether an answer is the text of a time of this century."""
    return isinstance(answer, str) and bool(_TIME.fullmatch(answer))


def _wrong_rows(scan: Scan[Any], answer: Sequence[Row], found: list[Row]) -> str | None:
    """Describe what is wrong with the rows of a scan: order, surplus, or difference."""
    columns = scan.index.prefix + scan.index.order
    expected = found[: scan.limit]
    in_order = [_values(row, columns) for row in answer]
    if (
        in_order == [_values(row, columns) for row in expected]
        and len(set(answer)) == len(answer)
        and set(answer) <= set(found)
        and all(_is_row(scan.index.table, row) for row in answer)
    ):
        return None
    return _difference(scan, list(answer), expected)


def _is_row(table: Table[Any], row: object) -> bool:
    types = tuple([type(value) for value in cast("Row", row)])
    return type(row) is table.row and types == _TYPES[table.name]


def _values(row: Row, columns: tuple[str, ...]) -> Key:
    return tuple([getattr(row, column) for column in columns])


def _difference(read: Read, answer: object, expected: object) -> str:
    lines = [show(read)]
    if isinstance(answer, list) and isinstance(expected, list):
        one, other = cast("list[object]", answer), cast("list[object]", expected)
        lines.append(f"{len(one)} rows instead of {len(other)}")
        lines.append(f"extra: {[row for row in one if row not in other]!r:.{_MOST_SHOWN}}")
        lines.append(f"missing: {[row for row in other if row not in one]!r:.{_MOST_SHOWN}}")
    lines.append(f"answered: {answer!r:.{_MOST_SHOWN}}")
    lines.append(f"expected: {expected!r:.{_MOST_SHOWN}}")
    return "\n  ".join(lines)


def show(asked: Read | Write) -> str:
    """Return a read or a write in a line; tables and indexes have no text of their own."""
    one = cast("Any", asked)
    if isinstance(asked, (Get, Delete)):
        text = f"{one.table.name} {one.key}"
    elif isinstance(asked, (Add, Put)):
        text = f"{one.table.name} {[tuple(row) for row in one.rows]!r:.{_MOST_SHOWN}}"
    else:
        text = _show_scan(one if isinstance(asked, Scan) else one.scan)
    return f"{type(one).__name__} {text}"


def _show_scan(scan: Scan[Any]) -> str:
    bounds = {
        name: getattr(scan, name)
        for name in ("after", "before", "limit", "backwards")
        if getattr(scan, name) is not None and getattr(scan, name) is not False
    }
    return f"{scan.index.table.name}.{scan.index.name} {scan.prefix} {bounds or ''}"
