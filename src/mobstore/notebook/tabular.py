"""Records as flat dicts, which data frames and CSV writers take, and as a table to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, cast
from uuid import UUID

from mobstore.errors import InternalError
from mobstore.model.display import Displayed
from mobstore.model.event import MobEvent
from mobstore.model.json import encode_json
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
"""What `to_dicts` takes."""

Cell: TypeAlias = str | int | datetime | None
"""What it gives of a field."""

_OF_EVENTS = ("run_id", "flow_id", "step_id", "meerkat_id", "reason")
_AS_JSON = {
    *("more", "activation_params", "output"),
    *("skills", "tools", "output_schema", "provider_params"),
}


def to_dicts(records: Iterable[Tabular]) -> list[dict[str, Cell]]:
    """Records as flat dicts, for `pandas.DataFrame(...)`, `polars.DataFrame(...)` or a CSV writer.

    Dicts of one kind of record have the same keys, in this order:

    * events: `cursor`, `timestamp`, `mob_id`, `type`; `run_id`, `flow_id`, `step_id`,
      `meerkat_id` and `reason`, None where the type has none; `more`: what else the type has;
    * runs: `run_id`, `mob_id`, `flow_id`, `status`, `created_at`, `completed_at`, and the numbers
      of entries and of parts `steps`, `failures`, `frames`, `loops`;
    * headers of runs, entries of ledgers: the fields of their models;
    * realm profiles: `name`, `revision`, `created_at`, `updated_at`, then the fields of `Profile`.

    Moments are datetimes in UTC, cut to the microsecond; those outside of the years 1 to 9999,
    which a datetime cannot hold, are RFC 3339 text. UUIDs are text. `more`, parameters, outputs,
    schemas, skills and tools are JSON text, None if there are none; a JSON null counts as none.

    Raises:
        InternalError: something is no such record.
    """
    return [_flat(record) for record in records]


class Listing(Displayed):
    """Records that a notebook shows as a table: `Listing(await stores.events.poll(0, 1000))`.

    Its columns are those of `to_dicts`. Of many records the first and the last are shown.
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
    """What `to_dicts` gives of a record, with Python values in place of JSON text.

    Raises:
        InternalError: it is no such record.
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
            raise InternalError(
                "events, runs and their headers, entries of ledgers and realm profiles become flat"
                f" dicts, not {type(record).__name__}"
            )


def _event(event: MobEvent) -> dict[str, object]:
    more = fields_of(event.kind)
    return {
        "cursor": event.cursor,
        "timestamp": _moment(event.timestamp),
        "mob_id": event.mob_id,
        "type": more.pop("type"),
        **{name: more.pop(name, None) for name in _OF_EVENTS},
        "more": more or None,
    }


def _run(run: MobRun) -> dict[str, object]:
    return {
        "run_id": str(run.run_id),
        "mob_id": run.mob_id,
        "flow_id": run.flow_id,
        "status": run.status,
        "created_at": _moment(run.created_at),
        "completed_at": run.completed_at and _moment(run.completed_at),
        "steps": len(run.step_ledger),
        "failures": len(run.failure_ledger),
        "frames": len(run.frames),
        "loops": len(run.loops),
    }


def fields_of(record: Record, without: Sequence[str] = ()) -> dict[str, object]:
    """The fields of a record in their order; structures as `json.loads` would give them."""
    names = (name for name in type(record).model_fields if name not in without)
    return {name: _plain(getattr(record, name)) for name in names}


def _plain(value: object) -> object:
    match value:
        case Record():
            return fields_of(value)
        case Timestamp():
            return _moment(value)
        case UUID():
            return str(value)
        case Mapping():
            pairs = cast("Mapping[str, object]", value).items()
            return {name: _plain(part) for name, part in pairs}
        case tuple() | list():
            return [_plain(part) for part in cast("Sequence[object]", value)]
        case _:
            return value


def _moment(at: Timestamp) -> datetime | str:
    try:
        return at.to_datetime()
    except ValueError:
        return str(at)
