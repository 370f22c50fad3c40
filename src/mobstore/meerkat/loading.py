"""The part of an import that loads the rows of one file."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from mobstore.errors import ReadFailedError, SerializationError, UsageError
from mobstore.maintenance.progress import Progress
from mobstore.meerkat.clashes import Arrivals
from mobstore.meerkat.conversion import Converter, DuplicateError, longest
from mobstore.meerkat.database import open_database
from mobstore.meerkat.layout import Tables
from mobstore.meerkat.pages import TooLong, count, pages
from mobstore.meerkat.report import ImportReport, add_table, leave_out, unreadable
from mobstore.scripts.transaction import Add, Read, Write

_Loading: TypeAlias = Generator[tuple[Read | Write, ...], tuple[Any, ...], None]


class RowMeter:
    """A counter of the rows of all files; how many these have in all is known file by file."""

    def __init__(self, progress: Progress, expected: int) -> None:
        """Begin at 0.

        Args:
            progress: receives the rows done, and the rows in all.
            expected: the number of rows in all, as far as it is known.
        """
        self._progress, self._total = progress, expected
        self._done = 0

    def correct(self, rows: int) -> None:
        """Add to the number of rows in all."""
        self._total += rows

    def add(self, rows: int = 0) -> None:
        """Count `rows` more rows."""
        self._done += rows
        self._progress(self._done, self._total)


class FileLoader:
    """The conversion of one file, in its own transaction, into writes."""

    def __init__(
        self,
        path: Path,
        converter: Converter,
        arrivals: Arrivals,
        report: ImportReport,
        *,
        name: str,
        skip_unreadable: bool,
    ) -> None:
        """Prepare to load a file.

        Args:
            path: the file.
            converter: converts its rows.
            arrivals: checks that they are new to the store.
            report: receives what is left out.
            name: the name of the file in messages about its rows; empty if it is the only one.
            skip_unreadable: whether to leave out rows that cannot be read.
        """
        self._path, self._converter, self._arrivals = path, converter, arrivals
        self._report, self._name, self._skip = report, name, skip_unreadable

    def load(self, meter: RowMeter, expected: int) -> _Loading:
        """Write all rows of the file.

        Args:
            meter: counts the rows.
            expected: the number of its rows that the meter expects.

        Raises:
            SerializationError: a row cannot be read, or is a duplicate; its table and key are
                named.
            ReadFailedError: the file cannot be read.
            InternalError: the cursors are used up, or too many names are in use.
        """
        with open_database(self._path) as (file, tables):
            counts = self._count(file, tables, meter)
            meter.correct(sum(counts.values()) - expected)
            for table, counted in counts.items():
                yield from self._load_table(file, table, counted, meter)

    def _count(self, file: sqlite3.Connection, tables: Tables, meter: RowMeter) -> dict[str, int]:
        """Return the number of rows of each table to read; report those of the others."""
        for table in tables.further:
            if rows := count(file, self._path, table, meter.add):
                add_table(self._report, table, rows)
        return {
            table: count(file, self._path, table, meter.add)
            for table in self._converter.plans
            if table in tables.own
        }

    def _load_table(
        self, file: sqlite3.Connection, table: str, counted: int, meter: RowMeter
    ) -> _Loading:
        read = 0
        columns = self._converter.plans[table].columns
        for page in pages(file, table, columns, longest(table)):
            read += len(page)
            writes: list[Write] = []
            for row in page:
                writes += self._convert(table, row)
            admitted = yield from self._arrivals.admit(_merged(writes))
            yield admitted
            meter.add(len(page))
            if read > counted:
                break
        if read != counted:
            raise ReadFailedError(
                f"{self._path} is damaged: of {counted:,} rows of table {table}, {read:,} were"
                " found; nothing was imported. Restore a backup"
            )

    def _convert(self, table: str, row: tuple[Any, ...] | TooLong) -> tuple[Write, ...]:
        """Return the writes for a row; none if it is left out."""
        try:
            return self._converter.convert(table, row)
        except (SerializationError, UsageError) as error:  # a value of another type
            key = row.key if isinstance(row, TooLong) else row[0]
            left_out = unreadable(table, key, error.detail, self._name)
            detail = f"{left_out}; nothing was imported"
            if isinstance(error, DuplicateError):
                raise DuplicateError(detail) from error
            if not self._skip:
                raise SerializationError(detail) from error
            leave_out(self._report, left_out)
            return ()


def _merged(writes: Iterable[Write]) -> Sequence[Add[Any]]:
    """Return the same writes, with those to one table joined, which engines apply much faster."""
    by_table: dict[Any, list[Any]] = {}
    for write in cast("Iterable[Add[Any]]", writes):
        by_table.setdefault(write.table, []).extend(write.rows)
    return [Add(table, rows) for table, rows in by_table.items()]
