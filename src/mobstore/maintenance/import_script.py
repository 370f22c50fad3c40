"""The loading script that brings an archive into an empty store."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from mobstore.errors import SerializationError
from mobstore.maintenance.archive import ArchiveReader
from mobstore.maintenance.consistency import FILE_ORDER, ConsistencyCheck, RowCounts, RowNamer
from mobstore.maintenance.json_lines import row_of
from mobstore.maintenance.progress import Meter, Progress
from mobstore.maintenance.target import add_rows, check_empty
from mobstore.scripts.paging import Asking
from mobstore.scripts.tables import (
    LOOP_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS,
    RUNS,
    RUNS_BY_NUMBER,
    TABLES,
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
    Read,
    Scan,
    Write,
)

_ROWS = 256  # at once
_BYTES = 2**20  # at once, or one line that is longer

_ALSO_UNIQUE: Mapping[Table[Any], Index[Any]] = {
    RUNS: RUNS_BY_NUMBER,
    ROOT_STEP_OUTPUTS: ROOT_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS: LOOP_STEP_OUTPUTS,
}
"""What no two rows share, where the order of the file does not show it."""


def import_script(file: BinaryIO, progress: Progress | None) -> LoadingScript[RowCounts]:
    """Bring in everything; gives the rows of each table.

    Raises:
        InternalError: the store is not empty.
        ReadFailedError: the file cannot be read, is not one of ours, damaged, or newer.
        SerializationError: no store would have written it; table and line are named.
    """
    yield from check_empty()
    archive = ArchiveReader(file)
    rows = {table: archive.parts[table.name].rows for table in TABLES}
    meter, checks = Meter(progress, sum(rows.values())), ConsistencyCheck()
    try:
        for index in FILE_ORDER:
            yield from _table(index, archive, checks, meter)
        checks.end()
    except SerializationError as error:
        raise SerializationError(f"{error.detail}; nothing was imported") from error
    return Commit(rows)


def _table(
    index: Index[Any], archive: ArchiveReader, checks: ConsistencyCheck, meter: Meter
) -> Generator[tuple[Read[Any] | Write, ...], tuple[Any, ...], None]:
    table = index.table
    lines = archive.lines(table.name)
    first = 1
    while some := _some(lines):
        name = _row_namer(table, first)
        rows = [_row(table, line, name(place)) for place, line in enumerate(some)]
        yield from _refuse_doubles(table, rows, name)
        yield from checks.see(index, rows, name)
        yield (add_rows(table, rows),)
        meter.add(len(rows))
        first += len(rows)


def _row_namer(table: Table[Any], first: int) -> RowNamer:
    return lambda place: f"table {table.name}, line {first + place}"


def _row(table: Table[R], line: bytes, name: str) -> R:
    try:
        return row_of(table, line)
    except SerializationError as error:
        raise SerializationError(f"{name}: {error.detail}") from error


def _some(lines: Iterator[bytes]) -> list[bytes]:
    """The next lines, as many as may be held at once."""
    some: list[bytes] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if len(some) == _ROWS or size >= _BYTES:
            break
    return some


def _refuse_doubles(table: Table[Any], rows: Sequence[Row], name: RowNamer) -> Asking[None]:
    """Refuse rows with what no two rows share, where their order does not show it."""
    index = _ALSO_UNIQUE.get(table)
    if index is None:
        return
    keys = list(map(table.getter(index.sorted_by), rows))
    found = yield tuple(_having(index, key) for key in keys)
    earlier: set[Key] = set()
    for place, (key, held) in enumerate(zip(keys, found, strict=True)):
        if held or key in earlier:
            raise SerializationError(f"{name(place)}: it stands there twice")
        earlier.add(key)


def _having(index: Index[Any], key: Key) -> Read[Any]:
    return Get(index.table, key) if index is index.table else Scan(index, key, limit=1)
