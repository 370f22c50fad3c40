"""The loading script that writes an archive into an empty store."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from mobstore.codec.runs import unclaimed
from mobstore.errors import SerializationError
from mobstore.maintenance.archive import ArchiveReader
from mobstore.maintenance.consistency import FILE_ORDER, ConsistencyCheck, RowCounts, RowNamer
from mobstore.maintenance.json_lines import from_line
from mobstore.maintenance.progress import Meter, Progress
from mobstore.maintenance.target import add_rows, check_empty
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page, size_of
from mobstore.scripts.tables import (
    LOOP_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUNS,
    RUNS_BY_NUMBER,
    Index,
    Key,
    R,
    Row,
    Table,
)
from mobstore.scripts.transaction import (
    Commit,
    Get,
    LoadingScript,
    Now,
    Read,
    Scan,
    ScriptPart,
    Write,
    fetch,
)

_MOST_ROWS = 256  # of a page
_MOST_BYTES = 2**20  # of a page, unless one line is longer

_ALSO_UNIQUE: Mapping[Table[Any], Index[Any]] = {
    RUNS: RUNS_BY_NUMBER,
    ROOT_STEP_OUTPUTS: ROOT_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS: LOOP_STEP_OUTPUTS,
}
"""Unique indexes in whose order the file does not come, so that its order reveals no duplicates."""


def import_script(file: BinaryIO, progress: Progress | None) -> LoadingScript[RowCounts]:
    """Write all rows of an archive into the store.

    Returns:
        The number of rows of each table.

    Raises:
        InternalError: the store is not empty.
        ReadFailedError: the file cannot be read, is damaged, is not a mobstore export, or has a
            newer format.
        SerializationError: no store would have written a row; its table and line are named.
    """
    yield from check_empty()
    archive = ArchiveReader(file)
    has_claims = RUN_CLAIMS.name in archive.tables
    rows = sum(table.rows for table in archive.tables.values())
    meter = Meter(progress, rows if has_claims else rows + archive.tables[RUNS.name].rows)
    consistency = ConsistencyCheck()
    try:
        for index in FILE_ORDER:
            if index.table.name in archive.tables:
                yield from _import_table(index, archive, consistency, meter)
            elif index.table is RUN_CLAIMS:
                yield from _add_run_claims(consistency, meter)
        consistency.check_complete()
    except SerializationError as error:
        raise SerializationError(f"{error.detail}; nothing was imported") from error
    return Commit(consistency.rows)


def _import_table(
    index: Index[Any], archive: ArchiveReader, consistency: ConsistencyCheck, meter: Meter
) -> Generator[tuple[Read | Write, ...], tuple[Any, ...], None]:
    table = index.table
    lines = archive.lines(table.name)
    first = 1
    while some := _next_lines(lines):
        name = _row_namer(table, first)
        rows = [_decode(table, line, name(place)) for place, line in enumerate(some)]
        yield from _check_unique(table, rows, name)
        yield from consistency.check(index, rows, name)
        yield (add_rows(table, rows),)
        meter.add(len(rows))
        first += len(rows)


def _add_run_claims(
    consistency: ConsistencyCheck, meter: Meter
) -> Generator[tuple[Read | Write, ...], tuple[Any, ...], None]:
    """Let every run that has not ended be claimed; an archive of version 1 has no claims."""
    now = yield from fetch(Now())
    after: Key | None = None
    limit = FIRST_LIMIT
    while runs := (yield from page(RUNS, after, limit)):
        after, limit = (runs[-1].run_id,), next_limit(limit, len(runs), size_of(runs))
        claims = [claim for run in runs if (claim := unclaimed(run, now))]
        yield from consistency.check(RUN_CLAIMS, claims, _row_namer(RUN_CLAIMS, 1))
        yield (add_rows(RUN_CLAIMS, claims),)
        meter.add(len(runs))


def _row_namer(table: Table[Any], first: int) -> RowNamer:
    return lambda place: f"table {table.name}, line {first + place}"


def _decode(table: Table[R], line: bytes, name: str) -> R:
    try:
        return from_line(table, line)
    except SerializationError as error:
        raise SerializationError(f"{name}: {error.detail}") from error


def _next_lines(lines: Iterator[bytes]) -> list[bytes]:
    """Return the next lines, as many as may be in memory at once."""
    some: list[bytes] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if len(some) == _MOST_ROWS or size >= _MOST_BYTES:
            break
    return some


def _check_unique(table: Table[Any], rows: Sequence[Row], name: RowNamer) -> ScriptPart[None]:
    """Check rows against the unique indexes that the order of the file does not cover."""
    index = _ALSO_UNIQUE.get(table)
    if index is None:
        return
    keys = list(map(table.getter(index.sorted_by), rows))
    stored = yield tuple(_row_with(index, key) for key in keys)
    earlier: set[Key] = set()
    for place, (key, found) in enumerate(zip(keys, stored, strict=True)):
        if found or key in earlier:
            raise SerializationError(f"{name(place)}: duplicate row")
        earlier.add(key)


def _row_with(index: Index[Any], key: Key) -> Read:
    return Get(index.table, key) if index is index.table else Scan(index, key, limit=1)
