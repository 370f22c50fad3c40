"""The part of a script that reads a whole store, as it stands at one moment, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mobstore.errors import SerializationError
from mobstore.maintenance.consistency import ConsistencyCheck, RowCounts, RowNamer, row_name
from mobstore.maintenance.progress import Meter, Progress
from mobstore.scripts.paging import FIRST_LIMIT, Asking, next_limit, page
from mobstore.scripts.tables import TABLES, Index, Key, Row, Table
from mobstore.scripts.transaction import Count, Scan


class SnapshotReader:
    """One attempt at reading a store.

    Rows are checked for what they are to each other, and for being text and numbers where these
    belong. JSON is not decoded: that would take longer than everything else.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._checks = ConsistencyCheck()
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
        after: Key | None = None
        limit = FIRST_LIMIT
        while rows := (yield from page(index, after, limit)):
            name = _row_namer(index.table, rows)
            _check_types(index.table, rows, name)
            yield from self._checks.see(index, rows, name)
            after, limit = place(rows[-1]), next_limit(limit, len(rows), put(rows))
            self._meter.add(len(rows))

    def end(self) -> RowCounts:
        """See that nothing was missing; give the rows of each table.

        Raises:
            SerializationError: something was.
        """
        self._checks.end()
        return self._checks.rows


def _row_namer(table: Table[Any], rows: Sequence[Row]) -> RowNamer:
    return lambda place: row_name(table, rows[place])


def _check_types(table: Table[Any], rows: Sequence[Row], name: RowNamer) -> None:
    for column, kind, values in zip(
        table.columns, table.types, zip(*rows, strict=True), strict=True
    ):
        if set(map(type, values)) != {kind}:
            wrong = next(n for n, value in enumerate(values) if type(value) is not kind)
            raise SerializationError(f"{name(wrong)}: its {column} is not {_WORDS[kind]}")


_WORDS: dict[type, str] = {str: "text", int: "a number"}
