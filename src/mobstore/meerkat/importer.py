"""Import of a database of the reference, and the loading script that does it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, cast

from mobstore.codec.arguments import check_flags
from mobstore.errors import ReadFailedError, SerializationError, UsageError
from mobstore.maintenance.progress import Progress, cancellable
from mobstore.maintenance.target import check_empty
from mobstore.meerkat.conversion import DUPLICATE, Converter, DuplicateError, longest
from mobstore.meerkat.database import open_database, to_path
from mobstore.meerkat.integrity import check_integrity
from mobstore.meerkat.layout import Tables
from mobstore.meerkat.pages import TooLong, count, pages
from mobstore.meerkat.report import ImportReport, leave_out, unreadable
from mobstore.model.text import brief
from mobstore.scripts.tables import Key, Table
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Get,
    LoadingScript,
    Now,
    Read,
    ScriptPart,
    Write,
    fetch,
)
from mobstore.stores.mob_stores import MobStores, check_stores

_Loading: TypeAlias = Generator[tuple[Read | Write, ...], tuple[Any, ...], None]


async def import_meerkat(
    source: str | PathLike[str],
    stores: MobStores,
    *,
    skip_unreadable: bool = False,
    check: bool = True,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a database of the reference into an empty store, all or nothing.

    Args:
        source: the path of the file. It is not changed.
        stores: the empty store to fill, on any engine.
        skip_unreadable: leave out rows that cannot be read and list them in the report, instead
            of failing on the first.
        check: whether SQLite first checks the whole file for damage. Without the check, a damaged
            page may hide rows unnoticed, and a forged one may take very long to read.
        progress: called every few hundred rows, and with no row done during the check.

    Raises:
        SerializationError: a row cannot be read, or is a duplicate; its table and key are named.
        ReadFailedError: the file cannot be read, is damaged, holds something that meerkat-mob 0.5.1
            and 0.5.2 do not create, or is of another release.
        InternalError: the store is not empty.
        UsageError: an argument is of another type.
        WriteFailedError: the store's medium failed.
    """
    check_stores(stores)
    check_flags(skip_unreadable=skip_unreadable, check=check)
    path = to_path(source)
    with cancellable(progress) as report:
        if check:
            await check_integrity(path, report, lambda: stores.engine.read(check_empty))
        return await stores.engine.load(
            lambda: _Import(path, report, skip_unreadable=skip_unreadable).script()
        )


class _Import:
    """One attempt to import a database. An engine that runs the script again makes a new one."""

    def __init__(self, path: Path, progress: Progress, *, skip_unreadable: bool) -> None:
        self._path, self._progress, self._skip = path, progress, skip_unreadable
        self._converter: Converter
        self._done = 0

    def script(self) -> LoadingScript[ImportReport]:
        yield from check_empty()
        self._converter = Converter(self._path, (yield from fetch(Now())))
        with open_database(self._path) as (file, tables):
            yield from self._import_tables(file, tables)
        return Commit(self._converter.report, (self._converter.counters(),))

    def _import_tables(self, file: sqlite3.Connection, tables: Tables) -> _Loading:
        counts: dict[str, int] = {}
        total = 0
        for table in self._converter.plans:
            if table in tables.own:
                counts[table] = count(file, self._path, table, partial(self._progress, 0, total))
                total += counts[table]
        for table in tables.further:
            if rows := count(file, self._path, table, partial(self._progress, 0, total)):
                self._converter.report.other_tables[brief(table)] = rows
        for table, counted in counts.items():
            yield from self._import_table(file, table, counted, total)

    def _import_table(
        self, file: sqlite3.Connection, table: str, counted: int, total: int
    ) -> _Loading:
        plan = self._converter.plans[table]
        read = 0
        for page in pages(file, table, plan.columns, longest(table)):
            read += len(page)
            writes: list[Write] = []
            keys: list[Key] = []
            for row in page:
                if converted := self._convert(table, row):  # empty if the row is left out
                    writes += converted
                    keys.append(row[:1])
            if plan.target is not None and keys:
                yield from _check_unique(table, plan.target, keys)
            yield _merged(writes)
            self._done += len(page)
            self._progress(self._done, total)
            if read > counted:
                break
        if read != counted:
            raise ReadFailedError(
                f"{self._path} is damaged: of {counted:,} rows of table {table}, {read:,} were"
                " found; nothing was imported. Restore a backup"
            )

    def _convert(self, table: str, row: tuple[Any, ...] | TooLong) -> tuple[Write, ...]:
        try:
            return self._converter.convert(table, row)
        except (SerializationError, UsageError) as error:  # a value of another type
            key = row.key if isinstance(row, TooLong) else row[0]
            left_out = unreadable(table, key, error.detail)
            if not self._skip or isinstance(error, DuplicateError):
                raise SerializationError(f"{left_out}; nothing was imported") from error
            leave_out(self._converter.report, left_out)
            return ()


def _merged(writes: Iterable[Write]) -> tuple[Write, ...]:
    """Return the same writes, with those to one table joined, which engines apply much faster."""
    by_table: dict[Any, list[Any]] = {}
    for write in cast("Iterable[Add[Any]]", writes):
        by_table.setdefault(write.table, []).extend(write.rows)
    return tuple(Add(table, rows) for table, rows in by_table.items())


def _check_unique(table: str, target: Table[Any], keys: Sequence[Key]) -> ScriptPart[None]:
    """Check that no key was imported before. Of two rows, neither is known to be right."""
    stored = yield tuple(Get(target, key) for key in keys)
    earlier: set[Key] = set()
    for key, found in zip(keys, stored, strict=True):
        if found or key in earlier:
            duplicate = unreadable(table, key[0], DUPLICATE)
            raise SerializationError(f"{duplicate}; nothing was imported")
        earlier.add(key)
