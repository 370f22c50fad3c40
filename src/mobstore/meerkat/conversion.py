"""Conversion of the reference's rows into writes to the tables of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from mobstore.codec.arguments import json_text, kept_text, text
from mobstore.codec.events import event_of, event_row
from mobstore.codec.runs import RunRows
from mobstore.errors import InternalError, SerializationError
from mobstore.meerkat.archived_runs import split_run
from mobstore.meerkat.layout import CURSOR_KEY, newer
from mobstore.meerkat.pages import TooLong
from mobstore.meerkat.releases import newer_row, row_name
from mobstore.meerkat.report import ImportedFile
from mobstore.model.definition import MobDefinition
from mobstore.model.extent import MAX_VALUES
from mobstore.model.json import I64_MAX, I64_MIN, parse
from mobstore.model.profile import Profile
from mobstore.model.record import validate
from mobstore.model.run import MobRun
from mobstore.model.timestamp import Timestamp
from mobstore.operations.runs import add_run
from mobstore.scripts.tables import (
    EVENTS,
    REALM_PROFILES,
    RUN_EXTRAS,
    SPECS,
    RealmProfileRow,
    RunExtraRow,
    SpecRow,
)
from mobstore.scripts.transaction import Add, Write

_LONGEST = 96 * 2**20  # bytes of a row: a document, and some room for names
_LONGEST_RUN = 2**28  # the reference stores all parts of a run in one document


class Plan(NamedTuple):
    """The conversion of one table of the reference.

    Attributes:
        columns: its columns, the key first.
        convert: returns the writes for the values of one row.
    """

    columns: str
    convert: Callable[..., tuple[Write, ...]]


class DuplicateError(SerializationError):
    """Two rows with one key. Neither is known to be right, so neither may be left out."""

    def __init__(self, detail: str = "duplicate or out-of-order row") -> None:
        super().__init__(detail)


class Start(NamedTuple):
    """Where the rows of a file begin in the store.

    Attributes:
        offset: what is added to the cursors of its events.
        run: the number of its first run.
    """

    offset: int
    run: int


class Converter:
    """The conversion of a whole database, in the order of its rows.

    Attributes:
        plans: the conversion of each table.
        releases: those after 0.5.2 that wrote rows.
    """

    def __init__(self, path: Path, now: str, start: Start) -> None:
        self._path, self._now, self._start = path, now, start
        self._counter: int | None = None
        self._last_cursor: int | None = None  # of the rows that were read
        self._first_event = self._last_event = 0
        self._next_run = start.run
        self._events = self._specs = self._profiles = 0
        self.releases: set[str] = set()
        self.plans: dict[str, Plan] = {
            "mob_event_meta": Plan("key, value", self._meta),
            "mob_events": Plan("cursor, event_json", self._event),
            "mob_runs": Plan("run_id, run_json", self._run),
            "mob_specs": Plan("mob_id, spec_json", self._spec),
            "realm_profiles": Plan(
                "name, profile_json, revision, created_at, updated_at", self._profile
            ),
        }

    def convert(self, table: str, row: tuple[Any, ...] | TooLong) -> tuple[Write, ...]:
        """Return the writes for a row.

        Raises:
            SerializationError: the row cannot be read, or is a duplicate.
            ReadFailedError: the row was written by a release after 0.8.
        """
        if not isinstance(row, TooLong):
            return self.plans[table].convert(*row[:-1])
        if table == "mob_events":
            self._pass_cursor(row.rowid)
        raise SerializationError(f"it has more than {longest(table) >> 20} MiB")

    def end(self) -> Start:
        """Return where the next file begins, after the last row.

        The next cursor is above all cursors of the database, including those left out.
        """
        after = min(self._last_cursor or 0, I64_MAX - 1) + 1
        next_cursor = max(1, self._counter or 1, after)
        return Start(min(self._start.offset + next_cursor, I64_MAX) - 1, self._next_run)

    def imported(self) -> ImportedFile:
        """Return what was converted so far."""
        return ImportedFile(
            str(self._path),
            self._start.offset,
            self._first_event,
            self._last_event,
            self._events,
            self._next_run - self._start.run,
            self._specs,
            self._profiles,
        )

    def _meta(self, key: object, value: object) -> tuple[Write, ...]:
        if key != CURSOR_KEY:
            raise SerializationError(f"meerkat-mob keeps no counter but {CURSOR_KEY}")
        if self._counter is not None:
            raise DuplicateError
        # The reference reads a negative counter as 0.
        self._counter = _whole_number(value, CURSOR_KEY, least=I64_MIN)
        return ()

    def _event(self, cursor: object, json: object) -> tuple[Write, ...]:
        if type(cursor) is not int:
            raise SerializationError("its cursor is not a whole number")
        self._pass_cursor(cursor)
        document = self._document("mob_events", cursor, json)
        if "cursor" not in document and isinstance(document.get("event"), dict):
            document = cast("dict[str, Any]", document["event"])  # since 0.6
        event = event_of(document)
        if event.cursor != cursor:
            raise SerializationError(f"its JSON has another cursor: {event.cursor}")
        if not 1 <= cursor < I64_MAX:
            raise SerializationError("a cursor is within 1 ... 2**63-2")
        row = event_row(event)
        moved = cursor + self._start.offset
        if moved >= I64_MAX:
            raise InternalError(
                f"{row_name('mob_events', cursor)} of {self._path} would have a cursor above"
                " 2**63-2 in this store; nothing was imported. Import the file into a store of its"
                " own"
            )
        self._events += 1
        self._first_event, self._last_event = self._first_event or cursor, cursor
        return (Add(EVENTS, (row._replace(cursor=moved),)),)

    def _pass_cursor(self, cursor: int) -> None:
        if self._last_cursor is not None and cursor <= self._last_cursor:
            raise DuplicateError
        self._last_cursor = cursor

    def _run(self, run_id: object, json: object) -> tuple[Write, ...]:
        document = self._document("mob_runs", run_id, json)
        document, extra = split_run(document)
        run = validate(MobRun, document)
        if str(run.run_id) != run_id:
            if isinstance(run_id, str) and run_id.lower() == str(run.run_id):
                raise SerializationError("meerkat-mob finds a run by its id in lower case only")
            raise SerializationError(f"its JSON has another run_id: {run.run_id}")
        encoded = RunRows(run)
        number, self._next_run = self._next_run, self._next_run + 1
        adds = add_run(encoded, number, self._now)
        if not extra:
            return adds
        return (*adds, Add(RUN_EXTRAS, (RunExtraRow(str(run.run_id), json_text(extra, "extra")),)))

    def _spec(self, mob_id: object, json: object) -> tuple[Write, ...]:
        document = self._document("mob_specs", mob_id, json)
        definition: object = document.get("definition")
        revision = _whole_number(document.get("revision"), "revision", least=1)
        encoded = kept_text(cast("object", definition), MobDefinition, "definition")
        row = SpecRow(_text(mob_id, "mob_id"), revision, encoded)
        self._specs += 1
        return (Add(SPECS, (row,)),)

    def _profile(
        self, name: object, json: object, revision: object, created: object, updated: object
    ) -> tuple[Write, ...]:
        document = self._document("realm_profiles", name, json)
        encoded = kept_text(document, Profile, "profile")
        row = RealmProfileRow(
            _text(name, "name"),
            _whole_number(revision, "revision", least=1),
            encoded,
            _sortable(created, "created_at"),
            _sortable(updated, "updated_at"),
        )
        self._profiles += 1
        return (Add(REALM_PROFILES, (row,)),)

    def _document(self, table: str, key: object, json: object) -> dict[str, Any]:
        """Return the JSON of a row.

        Raises:
            SerializationError: it cannot be read.
            ReadFailedError: a release after 0.8 wrote the row.
        """
        if not isinstance(json, (bytes, str)):
            raise SerializationError(f"its JSON is stored as {type(json).__name__}")
        # With the limits of arguments, except that a run is one document with all its parts.
        parsed = parse(json, bounded=True, most=4 * MAX_VALUES)
        if not isinstance(parsed, dict):
            raise SerializationError("its JSON is not an object")
        document = cast("dict[str, Any]", parsed)
        if found := newer_row(table, document):
            if not found.is_readable:
                raise newer(self._path, found.release, f"{row_name(table, key)} has {found.sign}")
            self.releases.add(found.release)
        return document


def longest(table: str) -> int:
    """Return the most bytes of a row of a table."""
    return _LONGEST_RUN if table == "mob_runs" else _LONGEST


def _text(value: object, what: str) -> str:
    return text(cast("str", value), what)


def _whole_number(value: object, what: str, *, least: int) -> int:
    if type(value) is not int or value > I64_MAX:
        raise SerializationError(f"{what} is not a whole number within 64 bits")
    if value < least:
        raise SerializationError(f"{what} is less than {least}")
    return value


def _sortable(value: object, what: str) -> str:
    try:
        return Timestamp(cast("str", value)).sortable
    except ValueError as error:
        raise SerializationError(f"{what}: {error}") from error
