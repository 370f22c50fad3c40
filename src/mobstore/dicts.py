"""Records as flat dicts, which data frames and CSV writers take, and as a table to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, cast
from uuid import UUID

from mobstore.errors import InternalError
from mobstore.model.event import MobEvent
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.record import Record
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    StepLedgerEntry,
)
from mobstore.model.shown import Shown, count
from mobstore.model.timestamp import Timestamp

Tabular: TypeAlias = (
    MobEvent
    | MobRun
    | StepLedgerEntry
    | FailureLedgerEntry
    | LoopIterationLedgerEntry
    | StoredRealmProfile
)
"""What `to_dicts` takes."""

_OF_EVENTS = ("run_id", "flow_id", "step_id", "meerkat_id", "reason")


def to_dicts(records: Iterable[Tabular]) -> list[dict[str, object]]:
    """Records as flat dicts, for `pandas.DataFrame(...)`, polars or `csv.DictWriter`.

    Dicts of one kind of record have the same keys, in this order:

    * events: `cursor`, `timestamp`, `mob_id`, `type`; `run_id`, `flow_id`, `step_id`,
      `meerkat_id` and `reason`, None where the type has none; `more`, a dict of what else the
      type has;
    * runs: `run_id`, `mob_id`, `flow_id`, `status`, `created_at`, `completed_at`, and the numbers
      of entries and of parts `steps`, `failures`, `frames`, `loops`;
    * entries of ledgers: the fields of their models;
    * realm profiles: `name`, `revision`, `created_at`, `updated_at`, then the fields of `Profile`.

    Moments are datetimes in UTC, cut to the microsecond; those outside of the years 1 to 9999,
    which a datetime cannot hold, are RFC 3339 text. UUIDs are text. What is free JSON in a record,
    or a structure, is a Python value as `json.loads` gives it.

    Raises:
        InternalError: something is no such record.
    """
    return [_flat(record) for record in records]


class Listing(Shown):
    """Records that a notebook shows as a table: `Listing(await stores.events.poll(0, 1000))`.

    Its columns are those of `to_dicts`. Of many records the first and the last are shown.
    """

    def __init__(self, records: Iterable[Tabular]) -> None:
        self.records: list[Tabular] = list(records)

    def __repr__(self) -> str:
        return f"<Listing of {count(len(self.records), 'record')}>"


def _flat(record: Tabular) -> dict[str, object]:
    if isinstance(record, MobEvent):
        return _event(record)
    if isinstance(record, MobRun):
        return _run(record)
    if isinstance(record, StoredRealmProfile):
        fields = fields_of(record)
        fields.pop("profile")
        return {**fields, **fields_of(record.profile)}
    if isinstance(record, (StepLedgerEntry, FailureLedgerEntry, LoopIterationLedgerEntry)):
        return fields_of(record)
    raise InternalError(
        "events, runs, entries of ledgers and realm profiles become flat dicts,"
        f" not {type(record).__name__}"
    )


def _event(event: MobEvent) -> dict[str, object]:
    more = fields_of(event.kind)
    return {
        "cursor": event.cursor,
        "timestamp": _moment(event.timestamp),
        "mob_id": event.mob_id,
        "type": more.pop("type"),
        **{name: more.pop(name, None) for name in _OF_EVENTS},
        "more": more,
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


def fields_of(record: Record) -> dict[str, object]:
    """The fields of a record in their order, as plain Python values."""
    return {name: _plain(getattr(record, name)) for name in type(record).model_fields}


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return fields_of(value)
    if isinstance(value, Timestamp):
        return _moment(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return {name: _plain(part) for name, part in pairs}
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in cast("Sequence[object]", value)]
    return value


def _moment(at: Timestamp) -> datetime | str:
    try:
        return at.to_datetime()
    except ValueError:
        return str(at)
