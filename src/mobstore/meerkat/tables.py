"""The rows of a store, written into databases of the reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Generic, cast

from mobstore.codec.events import read_all
from mobstore.codec.specs import read_realm_profile, read_spec
from mobstore.engines.sqlite.connections import connect, resolve
from mobstore.engines.sqlite.driver_errors import translate
from mobstore.errors import SerializationError
from mobstore.maintenance.progress import Meter
from mobstore.meerkat.layout import CURSOR_KEY, SCHEMA
from mobstore.model.event_types import EVENT_TYPES
from mobstore.model.json import parse
from mobstore.model.record import Record, validate_exactly
from mobstore.model.run import MobRun
from mobstore.model.text import brief
from mobstore.model.timestamp import Timestamp
from mobstore.operations.run_reading import get_run
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page, size_of
from mobstore.scripts.tables import (
    EVENTS,
    EVENTS_BY_MOB,
    REALM_PROFILES,
    RUNS_BY_MOB,
    RUNS_BY_NUMBER,
    SPECS,
    Index,
    Key,
    R,
    SpecRow,
)
from mobstore.scripts.transaction import Get, ScriptPart, fetch

_MOST_BYTES = 10**9  # of a value, in the SQLite of the reference
_BEFORE_ALL = -1
"""Less than every cursor and every number of a run."""


@contextmanager
def new_database(path: Path, target: Path) -> Generator[sqlite3.Connection]:
    """Create the reference's tables in an empty file, and commit if the block succeeds.

    Args:
        path: the file.
        target: the path that it will have, for messages.

    Raises:
        WriteFailedError: the file cannot be written.
    """
    try:
        with closing(connect(resolve(path), "rw")) as file:
            # No other process opens it before it has its name, and a part of it is not kept.
            file.execute("PRAGMA journal_mode = OFF").fetchone()
            file.execute("PRAGMA synchronous = OFF")
            file.execute("BEGIN")
            for table, columns in SCHEMA.items():
                file.execute(f"CREATE TABLE {table} ({columns})")
            yield file
            file.execute("COMMIT")
            file.execute("PRAGMA journal_mode = WAL").fetchone()  # as in files of the reference
    except sqlite3.Error as error:
        raise translate(error, target, writing=True) from error


class _Pages(Generic[R]):
    """The rows of an index in pages. The size of a page bounds the length of the next."""

    def __init__(self, index: Index[R], mob_id: str | None = None) -> None:
        """Begin at the first row, or at the first one of a mob, after whose last the pages end."""
        self._index, self._mob_id = index, mob_id
        self._after: Key | None = None if mob_id is None else (mob_id, _BEFORE_ALL)
        self._limit = FIRST_LIMIT

    def next(self) -> ScriptPart[list[R]]:
        """Return the next rows; none after the last."""
        rows = yield from page(self._index, self._after, self._limit)
        if self._mob_id is not None:
            of_mob = self._index.table.getter(("mob_id",))
            rows = list(takewhile(lambda row: of_mob(row) == (self._mob_id,), rows))
        if rows:
            self._after = self._index.table.getter(self._index.sorted_by)(rows[-1])
            self._limit = next_limit(self._limit, len(rows), size_of(rows))
        return rows


def write_counter(file: sqlite3.Connection, next_cursor: int) -> None:
    """Write the cursor of the next event."""
    _insert(file, "mob_event_meta", [(CURSOR_KEY, next_cursor)])


def write_events(
    file: sqlite3.Connection, meter: Meter, mob_id: str | None = None
) -> ScriptPart[int]:
    """Write all events, or those of a mob; return how many are of a kind that is not known."""
    pages = _Pages(EVENTS if mob_id is None else EVENTS_BY_MOB, mob_id)
    unknown = 0
    while rows := (yield from pages.next()):
        unknown += sum(row.type not in EVENT_TYPES for row in rows)
        documents = ((event.cursor, event.to_json_bytes()) for event in read_all(rows))
        _insert(file, "mob_events", documents)
        meter.add(len(rows))
    return unknown


def write_runs(
    file: sqlite3.Connection, meter: Meter, mob_id: str | None = None
) -> ScriptPart[None]:
    """Write all runs, or those of a mob.

    They are written by their number: the reference lists runs in the order of insertion.
    """
    pages = _Pages(RUNS_BY_NUMBER if mob_id is None else RUNS_BY_MOB, mob_id)
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


def write_specs(file: sqlite3.Connection, meter: Meter) -> ScriptPart[None]:
    """Write all specs."""
    pages = _Pages(SPECS)
    while rows := (yield from pages.next()):
        for row in rows:
            _insert_spec(file, row)
        meter.add(len(rows))


def mobs_with_spec() -> ScriptPart[list[str]]:
    """Return the mobs that have a spec."""
    pages = _Pages(SPECS)
    mobs: list[str] = []
    while rows := (yield from pages.next()):
        mobs += [row.mob_id for row in rows]
    return mobs


def write_spec(file: sqlite3.Connection, meter: Meter, mob_id: str) -> ScriptPart[None]:
    """Write the spec of a mob, if it has one."""
    row = yield from fetch(Get(SPECS, (mob_id,)))
    if row is not None:
        _insert_spec(file, row)
        meter.add(1)


def _insert_spec(file: sqlite3.Connection, row: SpecRow) -> None:
    definition, revision = read_spec(row)
    document = b'{"definition":%b,"revision":%d}' % (_kept(row.definition, definition), revision)
    _insert(file, "mob_specs", [(row.mob_id, document)])


def _kept(stored: str, record: Record) -> bytes:
    """Return the JSON of a record; as it is stored, if it has unknown keys."""
    exact = validate_exactly(type(record), parse(stored, bounded=True))
    return stored.encode() if exact is None else record.to_json_bytes()


def write_profiles(file: sqlite3.Connection, meter: Meter) -> ScriptPart[None]:
    """Write all realm profiles."""
    pages = _Pages(REALM_PROFILES)
    while rows := (yield from pages.next()):
        for row in rows:
            stored = read_realm_profile(row)
            values = (
                stored.name,
                _kept(row.profile, stored.profile),
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
