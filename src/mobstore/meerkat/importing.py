"""The loading script that brings in a database of the reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

from mobstore.arguments import record_text, text
from mobstore.bundles import MobStores
from mobstore.bundles.base import check_stores
from mobstore.errors import SerializationError
from mobstore.meerkat.layout import CURSOR_KEY, SCHEMA, check_tables, newer, source
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.extent import MAX_VALUES
from mobstore.model.json import I64_MAX, I64_MIN, parse
from mobstore.model.profile import Profile
from mobstore.model.record import validate
from mobstore.model.run import MobRun
from mobstore.model.timestamp import Timestamp
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.runs import NEXT_RUN, add_run
from mobstore.progress import Progress, while_awaited
from mobstore.rows.events import draft_event
from mobstore.rows.runs import RunRows
from mobstore.tables import (
    COUNTERS,
    EVENTS,
    REALM_PROFILES,
    SPECS,
    CounterRow,
    EventRow,
    RealmProfileRow,
    SpecRow,
)
from mobstore.transaction import Add, Commit, LoadingScript, Write
from mobstore.transfer.importing import must_be_empty

_ROWS_AT_ONCE = 256
_RELEASES = {6: "0.6", 7: "0.7 or 0.8", 8: "0.7", 9: "0.8"}


class Unreadable(NamedTuple):
    """A row of the source that has no meaning to the reference either."""

    table: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"table {self.table}, key {self.key}: {self.reason}"


@dataclass
class ImportReport:
    """What an import brought, and what it left out because it could not be read."""

    events: int = 0
    runs: int = 0
    specs: int = 0
    realm_profiles: int = 0
    left_out: list[Unreadable] = field(default_factory=list[Unreadable])


async def import_meerkat(
    source: str | PathLike[str],
    stores: MobStores,
    *,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Copy all of a reference's database into an empty store.

    Args:
        source: the file; not one byte of it is changed.
        stores: where to; on any engine.
        skip_unreadable: leave out rows that cannot be read and list them in the report, instead
            of failing on the first.
        progress: told how far it is, every few hundred rows.

    Raises:
        SerializationError: a row cannot be read; its table and key are named. Nothing was imported.
        ReadFailedError: the file cannot be read, is damaged, or is none of meerkat-mob 0.5.1 or
            0.5.2. Nothing was imported.
        InternalError: the store is not empty, or an argument is of another type. Nothing was
            imported.
        WriteFailedError: the store's medium failed.
    """
    check_stores(stores)
    path = Path(source)
    with while_awaited(progress) as telling:
        return await stores.engine.load(
            lambda: _Import(path, telling, skip_unreadable=skip_unreadable).script()
        )


class _Import:
    def __init__(self, path: Path, progress: Progress, *, skip_unreadable: bool) -> None:
        self._path, self._progress, self._skip = path, progress, skip_unreadable
        self._report = ImportReport()
        self._next_cursor = self._next_run = 1

    def script(self) -> LoadingScript[ImportReport]:
        yield from must_be_empty()
        with source(self._path) as file:
            yield from self._copy(file)
        counters = (
            CounterRow(NEXT_CURSOR, self._next_cursor),
            CounterRow(NEXT_RUN, self._next_run),
        )
        return Commit(self._report, (Add(COUNTERS, counters),))

    def _copy(self, file: sqlite3.Connection) -> Generator[tuple[Write, ...], Any, None]:
        present = check_tables(file, self._path)
        counts = {
            table: file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
            for table in SCHEMA
            if table in present
        }
        total, done = sum(counts.values()), 0
        for table, key, sql, convert in (
            ("mob_event_meta", "key", "key, value", self._meta),
            ("mob_events", "cursor", "cursor, event_json", self._event),
            ("mob_runs", "rowid", "run_id, run_json", self._run),
            ("mob_specs", "mob_id", "mob_id, spec_json", self._spec),
            (
                "realm_profiles",
                "name",
                "name, profile_json, revision, created_at, updated_at",
                self._profile,
            ),
        ):
            if table not in counts:
                continue
            found = file.execute(f"SELECT {sql} FROM {table} ORDER BY {key}")  # noqa: S608 - ours
            while batch := found.fetchmany(_ROWS_AT_ONCE):
                writes = [self._converted(table, row, convert) for row in batch]
                yield _merged(write for of_row in writes for write in of_row)
                done += len(batch)
                self._progress(done, total)

    def _converted(
        self, table: str, row: tuple[Any, ...], convert: Callable[..., tuple[Write, ...]]
    ) -> tuple[Write, ...]:
        try:
            return convert(*row)
        except SerializationError as error:
            key = row[0] if isinstance(row[0], (str, int)) else type(row[0]).__name__
            unreadable = Unreadable(table, str(key), error.detail)
            if not self._skip:
                raise SerializationError(f"{unreadable}; nothing was imported") from error
            self._report.left_out.append(unreadable)
            return ()

    def _meta(self, key: object, value: object) -> tuple[Write, ...]:
        if key == CURSOR_KEY:
            # The reference takes a negative one for 0.
            self._next_cursor = max(1, _counted(value, "next_cursor", least=I64_MIN))
        return ()

    def _event(self, cursor: object, json: object) -> tuple[Write, ...]:
        if type(cursor) is not int:
            raise SerializationError("its cursor is not a whole number")
        self._next_cursor = max(self._next_cursor, min(cursor, I64_MAX - 1) + 1)
        document = _document(json)
        if "event" in document and "schema_version" in document and "cursor" not in document:
            self._refuse(document["schema_version"], "events lie in envelopes")
        event = validate(MobEvent, document)
        if event.cursor != cursor:
            raise SerializationError(f"its JSON has another cursor: {event.cursor}")
        if not 1 <= cursor < I64_MAX:
            raise SerializationError("a cursor is within 1 ... 2**63-2")
        row = EventRow(cursor, *draft_event(event.mob_id, event.timestamp, event.kind))
        self._report.events += 1
        return (Add(EVENTS, (row,)),)

    def _run(self, run_id: object, json: object) -> tuple[Write, ...]:
        document = _document(json)
        version = document.get("schema_version")
        if type(version) is int and version > 4:
            self._refuse(version, f"a run of schema version {version}")
        if "flow_authority_inputs" in document:
            self._refuse(6, "a run with flow_authority_inputs")
        run = validate(MobRun, document)
        if str(run.run_id) != run_id:
            raise SerializationError(f"its JSON has another run_id: {run.run_id}")
        encoded = RunRows(run)
        number, self._next_run = self._next_run, self._next_run + 1
        self._report.runs += 1
        return add_run(encoded, number)

    def _spec(self, mob_id: object, json: object) -> tuple[Write, ...]:
        document = _document(json)
        definition: object = document.get("definition")
        if isinstance(definition, dict):
            for sign in ("owner_bridge_session_id", "models", "source_identity"):
                if sign in definition:
                    self._refuse(6, f"a definition with {sign}")
        revision = _counted(document.get("revision"), "revision", least=1)
        model = validate(MobDefinition, cast("object", definition))
        encoded = record_text(model, MobDefinition, "definition")
        row = SpecRow(_text(mob_id, "mob_id"), revision, encoded)
        self._report.specs += 1
        return (Add(SPECS, (row,)),)

    def _profile(
        self, name: object, json: object, revision: object, created: object, updated: object
    ) -> tuple[Write, ...]:
        document = _document(json)
        for sign in ("provider", "resume_overrides"):
            if sign in document:
                self._refuse(7, f"a realm profile with {sign}")
        encoded = record_text(validate(Profile, document), Profile, "profile")
        row = RealmProfileRow(
            _text(name, "name"),
            _counted(revision, "revision", least=1),
            encoded,
            _moment(created, "created_at"),
            _moment(updated, "updated_at"),
        )
        self._report.realm_profiles += 1
        return (Add(REALM_PROFILES, (row,)),)

    def _refuse(self, version: object, sign: str) -> NoReturn:
        release = _RELEASES.get(version) if type(version) is int else None
        raise newer(self._path, release or "0.6 or newer", sign)


def _merged(writes: Iterable[Write]) -> tuple[Write, ...]:
    """The same writes with those to one table joined, which an engine applies much faster."""
    by_table: dict[Any, list[Any]] = {}
    for write in cast("Iterable[Add[Any]]", writes):
        by_table.setdefault(write.table, []).extend(write.rows)
    return tuple(Add(table, rows_) for table, rows_ in by_table.items())


def _document(json: object) -> dict[str, Any]:
    if not isinstance(json, (bytes, str)):
        raise SerializationError(f"its JSON is stored as {type(json).__name__}")
    # As parts are encoded, they are bounded; a run is one document with all that it holds.
    document = parse(json, bounded=True, most=4 * MAX_VALUES)
    if not isinstance(document, dict):
        raise SerializationError("its JSON is not an object")
    return cast("dict[str, Any]", document)


def _text(value: object, what: str) -> str:
    return text(cast("str", value), what)


def _counted(value: object, what: str, *, least: int = 0) -> int:
    if type(value) is not int or value > I64_MAX:
        raise SerializationError(f"{what} is not a whole number within 64 bits")
    if value < least:
        raise SerializationError(f"{what} is less than {least}")
    return value


def _moment(value: object, what: str) -> str:
    try:
        return Timestamp(cast("str", value)).sortable
    except ValueError as error:
        raise SerializationError(f"{what}: {error}") from error
