"""The loading script that brings in a database of the reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias, cast

from mobstore.codec.arguments import record_text, text
from mobstore.codec.events import draft_event
from mobstore.codec.runs import RunRows
from mobstore.errors import ReadFailedError, SerializationError
from mobstore.maintenance.progress import Progress, cancellable
from mobstore.maintenance.target import check_empty
from mobstore.meerkat.database import source
from mobstore.meerkat.integrity import check_sound
from mobstore.meerkat.layout import CURSOR_KEY, newer
from mobstore.meerkat.pages import TooLong, count, pages
from mobstore.meerkat.report import ImportReport, leave_out, unreadable
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.extent import MAX_VALUES
from mobstore.model.json import I64_MAX, I64_MIN, parse
from mobstore.model.profile import Profile
from mobstore.model.record import validate
from mobstore.model.run import MobRun
from mobstore.model.timestamp import Timestamp
from mobstore.operations.runs import add_run
from mobstore.scripts.paging import Asking
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    NEXT_CURSOR,
    NEXT_RUN,
    REALM_PROFILES,
    RUNS,
    SPECS,
    CounterRow,
    EventRow,
    Key,
    RealmProfileRow,
    SpecRow,
    Table,
)
from mobstore.scripts.transaction import Add, Commit, Get, LoadingScript, Read, Write
from mobstore.stores.mob_stores import MobStores, check_stores

_LONGEST = 96 * 2**20  # bytes of a row: a document, and some room for names
_LONGEST_RUN = 2**28  # the reference keeps all parts of a run in one document
_RELEASES = {6: "0.6", 7: "0.7 or 0.8", 8: "0.7", 9: "0.8"}
_TWICE = "it stands there twice, or not in its order"
_Loading: TypeAlias = Generator[tuple[Read[Any] | Write, ...], tuple[Any, ...], None]


async def import_meerkat(
    source: str | PathLike[str],
    stores: MobStores,
    *,
    skip_unreadable: bool = False,
    check: bool = True,
    progress: Progress | None = None,
) -> ImportReport:
    """Copy all of a reference's database into an empty store.

    Args:
        source: the file; not one byte of it is changed.
        stores: where to; on any engine.
        skip_unreadable: leave out rows that cannot be read and list them in the report, instead
            of failing on the first.
        check: whether SQLite looks for damage in the whole file first. Otherwise a damaged page
            may hide rows, and nobody notices; and one that was forged may take very long.
        progress: told how far it is, every few hundred rows; and with no row done, while damage is
            looked for.

    Raises:
        SerializationError: a row cannot be read, or is there twice; its table and key are named.
            Nothing was imported.
        ReadFailedError: the file cannot be read, is damaged, holds anything that meerkat-mob 0.5.1
            and 0.5.2 do not make, or is of another release. Nothing was imported.
        InternalError: the store is not empty, or an argument is of another type. Nothing was
            imported.
        WriteFailedError: the store's medium failed.
    """
    check_stores(stores)
    path = Path(source)
    with cancellable(progress) as report:
        if check:
            await check_sound(path, report, lambda: stores.engine.read(check_empty))
        return await stores.engine.load(
            lambda: _Import(path, report, skip_unreadable=skip_unreadable).script()
        )


class _Plan(NamedTuple):
    """How a table of the reference is brought in.

    Attributes:
        columns: its columns, the key first.
        convert: makes writes of their values.
        target: the table with the same keys, where the order of rows does not show doubles.
    """

    columns: str
    convert: Callable[..., tuple[Write, ...]]
    target: Table[Any] | None = None


class _TwiceError(SerializationError):
    """Of two rows with one key nobody can say which is right, so neither is left out."""

    def __init__(self) -> None:
        super().__init__(_TWICE)


class _Import:
    def __init__(self, path: Path, progress: Progress, *, skip_unreadable: bool) -> None:
        self._path, self._progress, self._skip = path, progress, skip_unreadable
        self._report = ImportReport()
        self._counter: int | None = None
        self._last_cursor: int | None = None
        self._next_run = 1
        self._done = 0

    def script(self) -> LoadingScript[ImportReport]:
        yield from check_empty()
        with source(self._path) as (file, tables):
            yield from self._copy(file, tables)
        after = min(self._last_cursor or 0, I64_MAX - 1) + 1  # also after what was left out
        next_cursor = max(1, self._counter or 1, after)
        counters = (CounterRow(NEXT_CURSOR, next_cursor), CounterRow(NEXT_RUN, self._next_run))
        return Commit(self._report, (Add(COUNTERS, counters),))

    def _copy(self, file: sqlite3.Connection, tables: set[str]) -> _Loading:
        plans = {
            "mob_event_meta": _Plan("key, value", self._meta),
            "mob_events": _Plan("cursor, event_json", self._event),
            "mob_runs": _Plan("run_id, run_json", self._run, RUNS),
            "mob_specs": _Plan("mob_id, spec_json", self._spec, SPECS),
            "realm_profiles": _Plan(
                "name, profile_json, revision, created_at, updated_at",
                self._profile,
                REALM_PROFILES,
            ),
        }
        counts: dict[str, int] = {}
        total = 0
        for table in plans:
            if table in tables:
                counts[table] = count(file, self._path, table, partial(self._progress, 0, total))
                total += counts[table]
        for table, counted in counts.items():
            yield from self._table(file, table, plans[table], counted, total)

    def _table(
        self, file: sqlite3.Connection, table: str, plan: _Plan, counted: int, total: int
    ) -> _Loading:
        read = 0
        for page in pages(file, table, plan.columns, _longest(table)):
            read += len(page)
            writes: list[Write] = []
            keys: list[Key] = []
            for row in page:
                if made := self._converted(table, row, plan):  # none of what is left out
                    writes += made
                    keys.append(row[:1])
            if plan.target is not None and keys:
                yield from _refuse_doubles(table, plan.target, keys)
            yield _merged(writes)
            self._done += len(page)
            self._progress(self._done, total)
            if read > counted:
                break
        if read != counted:
            raise ReadFailedError(
                f"{self._path} is damaged: table {table} tells of {counted:,} rows, and"
                f" {read:,} were read; nothing was imported. Restore a backup"
            )

    def _converted(
        self, table: str, row: tuple[Any, ...] | TooLong, plan: _Plan
    ) -> tuple[Write, ...]:
        try:
            return (
                self._too_long(table, row) if isinstance(row, TooLong) else plan.convert(*row[:-1])
            )
        except SerializationError as error:
            key = row.key if isinstance(row, TooLong) else row[0]
            left_out = unreadable(table, key, error.detail)
            if not self._skip or isinstance(error, _TwiceError):
                raise SerializationError(f"{left_out}; nothing was imported") from error
            leave_out(self._report, left_out)
            return ()

    def _too_long(self, table: str, row: TooLong) -> NoReturn:
        if table == "mob_events":
            self._pass(row.rowid)
        raise SerializationError(f"it has more than {_longest(table) >> 20} MiB")

    def _meta(self, key: object, value: object) -> tuple[Write, ...]:
        if key != CURSOR_KEY:
            raise SerializationError(f"meerkat-mob keeps no counter but {CURSOR_KEY}")
        if self._counter is not None:
            raise _TwiceError
        # The reference takes a negative one for 0.
        self._counter = _counted(value, CURSOR_KEY, least=I64_MIN)
        return ()

    def _event(self, cursor: object, json: object) -> tuple[Write, ...]:
        if type(cursor) is not int:
            raise SerializationError("its cursor is not a whole number")
        self._pass(cursor)
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

    def _pass(self, cursor: int) -> None:
        if self._last_cursor is not None and cursor <= self._last_cursor:
            raise _TwiceError
        self._last_cursor = cursor

    def _run(self, run_id: object, json: object) -> tuple[Write, ...]:
        document = _document(json)
        version = document.get("schema_version")
        if type(version) is int and version > 4:
            self._refuse(version, f"a run of schema version {version}")
        if "flow_authority_inputs" in document:
            self._refuse(6, "a run with flow_authority_inputs")
        run = validate(MobRun, document)
        if str(run.run_id) != run_id:
            if isinstance(run_id, str) and run_id.lower() == str(run.run_id):
                raise SerializationError("meerkat-mob finds a run by its id in lower case only")
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


def _longest(table: str) -> int:
    return _LONGEST_RUN if table == "mob_runs" else _LONGEST


def _merged(writes: Iterable[Write]) -> tuple[Write, ...]:
    """The same writes with those to one table joined, which an engine applies much faster."""
    by_table: dict[Any, list[Any]] = {}
    for write in cast("Iterable[Add[Any]]", writes):
        by_table.setdefault(write.table, []).extend(write.rows)
    return tuple(Add(table, rows_) for table, rows_ in by_table.items())


def _refuse_doubles(table: str, target: Table[Any], keys: Sequence[Key]) -> Asking[None]:
    """Refuse a key that was there before: of two rows nobody can say which one is right."""
    found = yield tuple(Get(target, key) for key in keys)
    earlier: set[Key] = set()
    for key, held in zip(keys, found, strict=True):
        if held or key in earlier:
            there = unreadable(table, key[0], _TWICE)
            raise SerializationError(f"{there}; nothing was imported")
        earlier.add(key)


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
