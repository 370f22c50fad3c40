"""The part of a script that reads a whole store, as it stands at one moment, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mobstore.errors import SerializationError
from mobstore.tables import TABLES, Index, Key, Row, Table
from mobstore.transaction import Count, Scan, fetch
from mobstore.transfer.checks import Asking, Checks, Naming, Rows, row_name
from mobstore.transfer.progress import Meter, Progress

_MOST_ROWS = 256  # of a page
_BYTES = 2**20  # of a page, about: it is as long as the one before it suggests
_FIRST_ROWS = 64  # of a table's first page


class Reading:
    """One attempt at reading a store.

    Rows are checked for what they are to each other, and for being text and numbers where these
    belong. JSON is not decoded: that would take longer than everything else.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._checks = Checks()
        self._meter: Meter

    def begin(self) -> Asking[None]:
        """Count what there is to read."""
        counts = yield tuple(Count(Scan(table)) for table in TABLES)
        self._meter = Meter(self._progress, sum(counts))

    def table(self, index: Index[Any], put: Callable[[Sequence[Row]], int]) -> Asking[None]:
        """Read a table.

        Args:
            index: the next one of `FILE_ORDER`.
            put: takes the rows, page by page; tells how many bytes it made of them.

        Raises:
            SerializationError: the store is damaged; table and key are named.
        """
        place = index.table.getter(index.sorted_by)
        last: Key = ()
        depth = 0
        limit = _FIRST_ROWS
        # On from a key (a, b): what else begins with a, then what is after a.
        while depth >= 0:
            after = last[depth] if last else None
            rows = yield from fetch(Scan(index, last[:depth], after=after, limit=limit))
            if len(rows) == limit:
                last = place(rows[-1])
                depth = len(last)
            depth -= 1
            if rows:
                name = _naming(index.table, rows)
                _check_types(index.table, rows, name)
                yield from self._checks.see(index, rows, name)
                each = put(rows) // len(rows) + 1
                limit = max(1, min(_MOST_ROWS, 4 * limit, _BYTES // each))
                self._meter.add(len(rows))

    def end(self) -> Rows:
        """See that nothing was missing; give the rows of each table.

        Raises:
            SerializationError: something was.
        """
        self._checks.end()
        return self._checks.rows


def _naming(table: Table[Any], rows: Sequence[Row]) -> Naming:
    return lambda place: row_name(table, rows[place])


def _check_types(table: Table[Any], rows: Sequence[Row], name: Naming) -> None:
    for column, kind, values in zip(
        table.columns, table.types, zip(*rows, strict=True), strict=True
    ):
        if set(map(type, values)) != {kind}:
            wrong = next(n for n, value in enumerate(values) if type(value) is not kind)
            raise SerializationError(f"{name(wrong)}: its {column} is not {_WORDS[kind]}")


_WORDS: dict[type, str] = {str: "text", int: "a number"}
