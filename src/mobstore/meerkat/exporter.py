"""Export to a database of the reference, and the script that does it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Generic, cast

from mobstore.codec.arguments import check_flags
from mobstore.codec.events import read_all
from mobstore.codec.specs import read_realm_profile, read_spec
from mobstore.engines.sqlite.connections import connect, resolve
from mobstore.engines.sqlite.driver_errors import translate
from mobstore.errors import SerializationError
from mobstore.maintenance.output_file import new_file
from mobstore.maintenance.progress import Meter, Progress, cancellable
from mobstore.meerkat.layout import CURSOR_KEY, SCHEMA
from mobstore.meerkat.report import ExportReport
from mobstore.meerkat.sources import to_path
from mobstore.model.run import MobRun
from mobstore.model.text import brief, count
from mobstore.model.timestamp import Timestamp
from mobstore.operations.overview import count_claims
from mobstore.operations.run_reading import get_run
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page, size_of
from mobstore.scripts.tables import (
    CONSUMERS,
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    NEXT_CURSOR,
    REALM_PROFILES,
    RUNS,
    RUNS_BY_NUMBER,
    SPECS,
    Index,
    Key,
    R,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, ScriptPart, fetch
from mobstore.stores.mob_stores import MobStores, check_stores

_MOST_BYTES = 10**9  # of a value, in the SQLite of the reference


async def export_meerkat(
    stores: MobStores,
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a snapshot of a whole store to a database of meerkat-mob 0.5.2.

    Claims, consumers and event keys are left out, since meerkat-mob has none; the report counts
    them. The file appears at `path` once it is complete. Memory is needed for the largest run,
    which the reference stores in one piece.

    Args:
        stores: the store to export, on any engine. Other writers may continue.
        path: the path of the file.
        overwrite: whether to replace an existing file.
        progress: called every few hundred rows.

    Raises:
        SerializationError: a row cannot be read, or does not fit into the reference's layout: a
            realm profile with a year outside 0 to 9999, a run of more than 10**9 bytes. Table and
            key are named; no file was written.
        ReadFailedError: the store's medium failed.
        WriteFailedError: the file exists, or cannot be written.
        UsageError: an argument is of another type.
    """
    check_stores(stores)
    check_flags(overwrite=overwrite)
    target = to_path(path)
    with cancellable(progress) as report, new_file(target, overwrite=overwrite) as file:
        return await stores.engine.read(lambda: _script(file, target, report))


def _script(path: Path, target: Path, progress: Progress) -> Script[ExportReport]:
    try:
        with path.open("r+b") as opened:
            opened.truncate()  # of an earlier attempt
        with closing(connect(resolve(path), "rw")) as file:
            # No other process opens it before it has its name, and a part of it is not kept.
            file.execute("PRAGMA journal_mode = OFF").fetchone()
            file.execute("PRAGMA synchronous = OFF")
            file.execute("BEGIN")
            for table, columns in SCHEMA.items():
                file.execute(f"CREATE TABLE {table} ({columns})")
            summary = yield from _export(file, progress)
            file.execute("COMMIT")
            file.execute("PRAGMA journal_mode = WAL").fetchone()  # as in files of the reference
    except sqlite3.Error as error:
        raise translate(error, target, writing=True) from error
    return Commit(summary)


def _export(file: sqlite3.Connection, progress: Progress) -> ScriptPart[ExportReport]:
    counter, *counts = yield (
        Get(COUNTERS, (NEXT_CURSOR,)),
        *(Count(Scan(table)) for table in (EVENTS, RUNS, SPECS, REALM_PROFILES)),
    )
    meter = Meter(progress, sum(counts))
    claims = yield from count_claims()
    consumers, keys = yield from fetch(Count(Scan(CONSUMERS)), Count(Scan(EVENT_KEYS)))
    left_out = ((claims, "claim"), (consumers, "consumer"), (keys, "event key"))
    if counter is not None:
        _insert(file, "mob_event_meta", [(CURSOR_KEY, counter.value)])
    yield from _events(file, meter)
    yield from _runs(file, meter)
    yield from _specs(file, meter)
    yield from _profiles(file, meter)
    events, runs, specs, profiles = counts
    words = tuple(count(number, noun) for number, noun in left_out if number)
    return ExportReport(events, runs, specs, profiles, words)


class _Pages(Generic[R]):
    """The rows of an index in pages. The size of a page bounds the length of the next."""

    def __init__(self, index: Index[R]) -> None:
        self._index = index
        self._after: Key | None = None
        self._limit = FIRST_LIMIT

    def next(self) -> ScriptPart[list[R]]:
        """Return the next rows; none after the last."""
        rows = yield from page(self._index, self._after, self._limit)
        if rows:
            self._after = self._index.table.getter(self._index.sorted_by)(rows[-1])
            self._limit = next_limit(self._limit, len(rows), size_of(rows))
        return rows


def _events(file: sqlite3.Connection, meter: Meter) -> ScriptPart[None]:
    pages = _Pages(EVENTS)
    while rows := (yield from pages.next()):
        documents = ((event.cursor, event.to_json_bytes()) for event in read_all(rows))
        _insert(file, "mob_events", documents)
        meter.add(len(rows))


def _runs(file: sqlite3.Connection, meter: Meter) -> ScriptPart[None]:
    # By their number: the reference lists runs in the order of insertion.
    pages = _Pages(RUNS_BY_NUMBER)
    while rows := (yield from pages.next()):
        for row in rows:
            run = (yield from get_run(row.run_id)).result
            _insert(file, "mob_runs", [(row.run_id, _document(cast("MobRun", run)))])
            meter.add(1)


def _document(run: MobRun) -> bytes:
    try:
        return run.to_json_bytes()
    except SerializationError as error:  # states are decoded here
        raise SerializationError(f"run {run.run_id} has a state that cannot be read") from error


def _specs(file: sqlite3.Connection, meter: Meter) -> ScriptPart[None]:
    pages = _Pages(SPECS)
    while rows := (yield from pages.next()):
        for row in rows:
            definition, revision = read_spec(row)
            document = b'{"definition":%b,"revision":%d}' % (definition.to_json_bytes(), revision)
            _insert(file, "mob_specs", [(row.mob_id, document)])
        meter.add(len(rows))


def _profiles(file: sqlite3.Connection, meter: Meter) -> ScriptPart[None]:
    pages = _Pages(REALM_PROFILES)
    while rows := (yield from pages.next()):
        for row in rows:
            stored = read_realm_profile(row)
            values = (
                stored.name,
                stored.profile.to_json_bytes(),
                stored.revision,
                _with_offset(stored.created_at, stored.name),
                _with_offset(stored.updated_at, stored.name),
            )
            _insert(file, "realm_profiles", [values])
        meter.add(len(rows))


def _insert(
    file: sqlite3.Connection, table: str, rows: Iterable[tuple[str | int | bytes, ...]]
) -> None:
    for row in rows:
        if any(isinstance(value, bytes) and len(value) > _MOST_BYTES for value in row):
            raise SerializationError(
                f"table {table}, key {brief(str(row[0]))}: its JSON has more than"
                f" {_MOST_BYTES:,} bytes, which SQLite cannot hold in one piece; no file was"
                " written"
            )
        places = ", ".join("?" * len(row))
        file.execute(f"INSERT INTO {table} VALUES ({places})", row)  # noqa: S608 - constant names


def _with_offset(timestamp: Timestamp, name: str) -> str:
    """Return a time as the reference writes those of realm profiles, with a numeric offset."""
    text = str(timestamp)
    if text[0] in "+-":
        raise SerializationError(
            f"table realm_profiles, key {brief(name)}: {text} is not within the years 0 to 9999,"
            " and meerkat-mob could not read it; no file was written"
        )
    return f"{text.removesuffix('Z')}+00:00"
