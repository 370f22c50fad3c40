"""The script that writes a whole store into an archive, as it stands at one moment."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from mobstore.errors import SerializationError
from mobstore.tables import (
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    RUNS,
    TABLES,
    Index,
    Key,
    LoopOutputRow,
    Row,
)
from mobstore.transaction import Commit, Count, Read, Scan, Script, fetch
from mobstore.transfer.archive import ArchiveWriter, TableWriter
from mobstore.transfer.checks import FILE_ORDER, Checks, Rows
from mobstore.transfer.lines import line_of
from mobstore.transfer.progress import Meter, Progress

_ROWS = 128  # of a group at once
_GROUPS = 8  # at once

_Part: TypeAlias = Generator[tuple[Read[Any], ...], tuple[Any, ...], None]


class _Group(NamedTuple):
    """The rows that one scan finds."""

    prefix: Key
    loop: LoopOutputRow | None = None


class Export:
    """One attempt at writing a store; an engine that begins anew makes another one."""

    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file, self._progress = file, progress
        self._meter: Meter
        self._checks: Checks

    def script(self) -> Script[Rows]:
        """Write everything into the file, whatever it holds; it must be able to seek.

        Raises:
            SerializationError: the store is damaged; table and key are named.
            WriteFailedError: the file cannot be written.
        """
        rows = yield from _count()
        self._meter = Meter(self._progress, sum(rows.values()))
        self._checks = Checks(rows)
        with ArchiveWriter(self._file) as archive:
            for index in FILE_ORDER:
                with archive.table(index.table.name) as writer:
                    if index.prefix:
                        yield from self._runs(index, writer)
                    else:
                        yield from self._groups(index, [_Group(())], writer)
            self._checks.end()
        return Commit(rows)

    def _runs(self, index: Index[Any], writer: TableWriter) -> _Part:
        """Write a table whose rows belong to runs."""
        after = None
        while runs := (yield from fetch(Scan(RUNS, after=after, limit=_GROUPS))):
            after = runs[-1].run_id
            groups: Iterable[_Group] = [_Group((run.run_id,)) for run in runs]
            if index.table is LOOP_STEP_OUTPUTS:
                loops = yield tuple(Scan(LOOP_OUTPUTS, group.prefix) for group in groups)
                groups = _iterations(chain.from_iterable(loops))
            waiting = iter(groups)
            while some := list(islice(waiting, _GROUPS)):
                yield from self._groups(index, some, writer)

    def _groups(self, index: Index[Any], groups: Sequence[_Group], writer: TableWriter) -> _Part:
        """Write the rows of some groups; the first ones of each are asked for together."""
        order = index.table.columns.index(index.order[0])
        pages = yield tuple(Scan(index, group.prefix, limit=_ROWS) for group in groups)
        for group, page in zip(groups, pages, strict=True):
            rows: Sequence[Row] = page
            while rows:
                writer.write([self._line(index, row, group.loop) for row in rows])
                self._meter.add(len(rows))
                if len(rows) < _ROWS:
                    break
                last = rows[-1][order]
                rows = yield from fetch(Scan(index, group.prefix, after=last, limit=_ROWS))

    def _line(self, index: Index[Any], row: Row, loop: LoopOutputRow | None) -> bytes:
        table = index.table
        try:
            line = line_of(table, row)
            self._checks.row(index, row, loop)
        except SerializationError as error:
            key = ", ".join(map(str, table.getter(table.key)(row)))
            raise SerializationError(f"table {table.name}, key {key}: {error.detail}") from error
        return line


def _count() -> Generator[tuple[Read[Any], ...], tuple[Any, ...], Rows]:
    rows: Rows = dict.fromkeys(TABLES, 0)
    of_runs = [table for table in TABLES if table.prefix]
    for table in TABLES:
        if not table.prefix:
            rows[table] = yield from fetch(Count(Scan(table)))
    after = None
    while runs := (yield from fetch(Scan(RUNS, after=after, limit=_GROUPS))):
        after = runs[-1].run_id
        for table in of_runs:
            rows[table] += sum((yield tuple(Count(Scan(table, (run.run_id,))) for run in runs)))
    return rows


def _iterations(loops: Iterable[LoopOutputRow]) -> Iterable[_Group]:
    return (
        _Group((loop.run_id, loop.loop_id, iteration), loop)
        for loop in loops
        for iteration in range(loop.iterations)
    )
