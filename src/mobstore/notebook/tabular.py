"""Records as flat dicts, for data frames and CSV writers, and as a table for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, cast
from uuid import UUID

from mobstore.errors import UsageError
from mobstore.model.display import Displayed
from mobstore.model.event import MobEvent
from mobstore.model.json import encode_json
from mobstore.model.other_event import OtherEvent
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.record import Record
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    RunHeader,
    StepLedgerEntry,
)
from mobstore.model.text import count
from mobstore.model.timestamp import Timestamp

Tabular: TypeAlias = (
    MobEvent
    | MobRun
    | RunHeader
    | StepLedgerEntry
    | FailureLedgerEntry
    | LoopIterationLedgerEntry
    | StoredRealmProfile
)
"""The records that `to_dicts` converts."""

Cell: TypeAlias = str | int | datetime | None
"""The value of a column in the dicts of `to_dicts`."""

_OF_EVENTS = ("run_id", "flow_id", "step_id", "meerkat_id", "reason")
_AS_JSON = {
    *("more", "activation_params", "output"),
    *("skills", "tools", "output_schema", "provider_params"),
}


def to_dicts(records: Iterable[Tabular]) -> list[dict[str, Cell]]:
    """Return records as flat dicts, for `pandas.DataFrame`, `polars.DataFrame` or a CSV writer.

    The dicts of one kind of record have the same keys, in this order:

    * events: `cursor`, `timestamp`, `mob_id`, `type`; `run_id`, `flow_id`, `step_id`,
      `meerkat_id` and `reason`, None if the type has no such field; `more`: its other fields;
    * runs: `run_id`, `mob_id`, `flow_id`, `status`, `created_at`, `completed_at`, and the counts
      `steps`, `failures`, `frames`, `loops`;
    * run headers and ledger entries: the fields of their models;
    * realm profiles: `name`, `revision`, `created_at`, `updated_at`, then the fields of `Profile`.

    Times are datetimes in UTC, cut to the microsecond. Times outside of the years 1 to 9999 have no
    datetime and are RFC 3339 text. UUIDs are text. `more`, parameters, outputs, schemas, skills
    and tools are JSON text; None if there are none, or if the JSON is null.

    Raises:
        UsageError: a record is of another type.
    """
    return [_flat(record) for record in records]


class Listing(Displayed):
    """Records that a notebook shows as a table: `Listing(await stores.events.poll(0, 1000))`.

    Its columns are those of `to_dicts`. A long listing shows its first and last records.
    """

    def __init__(self, records: Iterable[Tabular]) -> None:
        self.records: list[Tabular] = list(records)

    def __repr__(self) -> str:
        return f"<Listing of {count(len(self.records), 'record')}>"


def _flat(record: Tabular) -> dict[str, Cell]:
    return {
        name: encode_json(part) if name in _AS_JSON and part is not None else cast("Cell", part)
        for name, part in columns_of(record).items()
    }


def columns_of(record: Tabular) -> dict[str, object]:
    """Return the columns of a record as in `to_dicts`, with Python values instead of JSON text.

    Raises:
        UsageError: the record is of another type.
    """
    match record:
        case MobEvent():
            return _event(record)
        case MobRun():
            return _run(record)
        case StoredRealmProfile():
            return fields_of(record, without=("profile",)) | fields_of(record.profile)
        case RunHeader() | StepLedgerEntry() | FailureLedgerEntry() | LoopIterationLedgerEntry():
            return fields_of(record)
        case _:
            raise UsageError(
                f"a record of type {type(record).__name__} has no flat dict; pass events, runs, run"
                " headers, ledger entries or realm profiles"
            )


def _event(event: MobEvent) -> dict[str, object]:
    more = fields_of(event.kind)
    # A field of another event may have any value.
    named = {name: more.pop(name) for name in _OF_EVENTS if isinstance(more.get(name), str)}
    return {
        "cursor": event.cursor,
        "timestamp": _to_datetime(event.timestamp),
        "mob_id": event.mob_id,
        "type": more.pop("type"),
        **{name: named.get(name) for name in _OF_EVENTS},
        "more": more or None,
    }


def _run(run: MobRun) -> dict[str, object]:
    return {
        "run_id": str(run.run_id),
        "mob_id": run.mob_id,
        "flow_id": run.flow_id,
        "status": run.status,
        "created_at": _to_datetime(run.created_at),
        "completed_at": run.completed_at and _to_datetime(run.completed_at),
        "steps": len(run.step_ledger),
        "failures": len(run.failure_ledger),
        "frames": len(run.frames),
        "loops": len(run.loops),
    }


def fields_of(record: Record, without: Sequence[str] = ()) -> dict[str, object]:
    """Return the fields of a record in their order; nested values as `json.loads` returns them."""
    if isinstance(record, OtherEvent):
        fields = record.json_fields()
    else:
        fields = {name: getattr(record, name) for name in type(record).model_fields}
    return {name: _plain(part) for name, part in fields.items() if name not in without}


def _plain(value: object) -> object:
    match value:
        case Record():
            return fields_of(value)
        case Timestamp():
            return _to_datetime(value)
        case UUID():
            return str(value)
        case Mapping():
            pairs = cast("Mapping[str, object]", value).items()
            return {name: _plain(part) for name, part in pairs}
        case tuple() | list():
            return [_plain(part) for part in cast("Sequence[object]", value)]
        case _:
            return value


def _to_datetime(time: Timestamp) -> datetime | str:
    try:
        return time.to_datetime()
    except ValueError:
        return str(time)
