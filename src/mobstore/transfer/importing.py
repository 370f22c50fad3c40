"""The loading script that brings an archive into an empty store."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias, TypeVar, cast

from mobstore.errors import InternalError, SerializationError
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.runs import NEXT_RUN
from mobstore.tables import (
    COUNTERS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUNS,
    RUNS_BY_MOB,
    SPECS,
    TABLES,
    Index,
    Key,
    LoopOutputRow,
    Row,
    Table,
)
from mobstore.transaction import Commit, Get, LoadingScript, Put, Read, Scan, Script, Write
from mobstore.transfer.archive import ArchiveReader
from mobstore.transfer.checks import FILE_ORDER, Checks, Rows
from mobstore.transfer.lines import row_of
from mobstore.transfer.progress import Meter, Progress

T = TypeVar("T")

_ROWS = 256  # at once
_BYTES = 2**20  # at once, or one line that is longer

_PARENTS: Mapping[Table[Any], Table[Any]] = {
    **{table: RUNS for table in TABLES if table.key[0] == "run_id" and table is not RUNS},
    LOOP_STEP_OUTPUTS: LOOP_OUTPUTS,
}
"""Where the row lies that a row belongs to, under the columns of that table's key."""

_ALSO_UNIQUE: Mapping[Table[Any], Index[Any]] = {
    RUNS: RUNS_BY_MOB,
    ROOT_STEP_OUTPUTS: ROOT_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS: LOOP_STEP_OUTPUTS,
}
"""What no two rows share, where the order of the file does not show it."""

_Asking: TypeAlias = Generator[tuple[Read[Any], ...], tuple[Any, ...], T]


class Import:
    """One attempt at reading a file; an engine that begins anew makes another one."""

    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file, self._progress = file, progress
        self._archive: ArchiveReader
        self._meter: Meter
        self._checks: Checks

    def script(self) -> LoadingScript[Rows]:
        """Bring in everything; gives the rows of each table.

        Raises:
            InternalError: the store is not empty.
            ReadFailedError: the file cannot be read, is not one of ours, damaged, or newer.
            SerializationError: no store would have written it; table and line are named.
        """
        yield from must_be_empty()
        self._archive = ArchiveReader(self._file)
        rows = {table: self._archive.parts[table.name].rows for table in TABLES}
        self._meter = Meter(self._progress, sum(rows.values()))
        self._checks = Checks(rows)
        try:
            for index in FILE_ORDER:
                yield from self._table(index)
            self._checks.end()
        except SerializationError as error:
            raise SerializationError(f"{error.detail}; nothing was imported") from error
        return Commit(rows)

    def _table(
        self, index: Index[Any]
    ) -> Generator[tuple[Read[Any] | Write, ...], tuple[Any, ...], None]:
        table = index.table
        lines = enumerate(self._archive.lines(table.name), 1)
        while some := _some(lines):
            rows: list[Row] = []
            for number, line in some:
                with _naming(table, number):
                    rows.append(row_of(table, line))
            parents = yield from _parents(table, rows)
            taken = yield from _taken(table, rows)
            for (number, _), row, parent, is_taken in zip(some, rows, parents, taken, strict=True):
                with _naming(table, number):
                    self._check(index, row, parent, is_taken=is_taken)
            yield (Put(table, rows),)
            self._meter.add(len(rows))

    def _check(self, index: Index[Any], row: Row, parent: Row | None, *, is_taken: bool) -> None:
        if parent is None and index.table in _PARENTS:
            raise SerializationError(f"it belongs to nothing in {_PARENTS[index.table].name}")
        if is_taken:
            raise SerializationError("it stands there twice")
        self._checks.row(index, row, cast("LoopOutputRow | None", parent))


@contextmanager
def _naming(table: Table[Any], line: int) -> Generator[None]:
    try:
        yield
    except SerializationError as error:
        raise SerializationError(f"table {table.name}, line {line}: {error.detail}") from error


def must_be_empty() -> Script[None]:
    """Refuse a store that holds anything, or whose cursors are not all free.

    Raises:
        InternalError: it does.
    """
    held = yield (
        Get(COUNTERS, (NEXT_CURSOR,)),
        Get(COUNTERS, (NEXT_RUN,)),
        Scan(SPECS, limit=1),
        Scan(REALM_PROFILES, limit=1),
    )
    if any(held):
        raise InternalError("the store is not empty; import into a new one")
    return Commit(None)


def _some(lines: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The next lines, as many as may be held at once."""
    some: list[tuple[int, bytes]] = []
    size = 0
    for number, line in lines:
        some.append((number, line))
        size += len(line)
        if len(some) == _ROWS or size >= _BYTES:
            break
    return some


def _parents(table: Table[Any], rows: Sequence[Row]) -> _Asking[Sequence[Row | None]]:
    """The row that each row belongs to."""
    parent = _PARENTS.get(table)
    if parent is None:
        return [None] * len(rows)
    keys = list(map(table.getter(parent.key), rows))
    distinct = list(dict.fromkeys(keys))
    found = yield tuple(Get(parent, key) for key in distinct)
    by_key: dict[Key, Row | None] = dict(zip(distinct, found, strict=True))
    return [by_key[key] for key in keys]


def _taken(table: Table[Any], rows: Sequence[Row]) -> _Asking[Sequence[bool]]:
    """Whether what no two rows share is another one's already."""
    index = _ALSO_UNIQUE.get(table)
    if index is None:
        return [False] * len(rows)
    keys = list(map(table.getter(index.prefix + index.order), rows))
    found = yield tuple(_having(index, key) for key in keys)
    taken: list[bool] = []
    earlier: set[Key] = set()
    for key, held in zip(keys, found, strict=True):
        taken.append(bool(held) or key in earlier)
        earlier.add(key)
    return taken


def _having(index: Index[Any], key: Key) -> Read[Any]:
    if index is index.table:
        return Get(index.table, key)
    number = cast("int", key[-1])
    return Scan(index, key[:-1], after=number - 1, before=number + 1, limit=1)
