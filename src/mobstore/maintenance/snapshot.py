"""A checked read of a snapshot of a whole store, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mobstore.errors import SerializationError
from mobstore.maintenance.consistency import ConsistencyCheck, RowCounts, RowNamer, row_name
from mobstore.maintenance.progress import Meter, Progress
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page
from mobstore.scripts.tables import TABLES, Index, Key, Row, Table
from mobstore.scripts.transaction import Count, Scan, ScriptPart


class SnapshotReader:
    """The reading part of a script that moves a whole store.

    It checks the consistency across rows, and that columns hold text and numbers as declared. It
    does not decode JSON, which would take longer than everything else.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._consistency = ConsistencyCheck()
        self._meter: Meter

    def begin(self) -> ScriptPart[None]:
        """Count the rows to read."""
        counts = yield tuple(Count(Scan(table)) for table in TABLES)
        self._meter = Meter(self._progress, sum(counts))

    def read_table(
        self, index: Index[Any], write: Callable[[Sequence[Row]], int]
    ) -> ScriptPart[None]:
        """Read a table.

        Args:
            index: the next one of `FILE_ORDER`.
            write: called with each page of rows; returns the number of bytes written for it.

        Raises:
            SerializationError: the store is corrupt; table and key are named.
        """
        place = index.table.getter(index.sorted_by)
        after: Key | None = None
        limit = FIRST_LIMIT
        while rows := (yield from page(index, after, limit)):
            name = _row_namer(index.table, rows)
            _check_types(index.table, rows, name)
            yield from self._consistency.check(index, rows, name)
            after, limit = place(rows[-1]), next_limit(limit, len(rows), write(rows))
            self._meter.add(len(rows))

    def end(self) -> RowCounts:
        """Check that no row is missing, and return the number of rows of each table.

        Raises:
            SerializationError: a row is missing.
        """
        self._consistency.check_complete()
        return self._consistency.rows


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
