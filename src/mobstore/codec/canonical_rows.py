"""The canonical form of each kind of row.

Imported rows are read through the models, like arguments. The result is a row that a store would
have written, or an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeAlias, cast
from uuid import UUID

from mobstore.codec.arguments import (
    choice,
    document_text,
    json_text,
    kept_text,
    number,
    output_text,
    state_text,
    text,
)
from mobstore.codec.claims import LONGEST_TTL, claim_name
from mobstore.codec.decoding import UNREADABLE
from mobstore.codec.events import event_of, event_row, run_text, type_text
from mobstore.codec.kinds import read_kinds
from mobstore.codec.runs import RUN_STATUSES, failure_row, iteration_row, run_key, step_row
from mobstore.errors import MobStoreError, SerializationError, UsageError
from mobstore.model.claim import RUN_PREFIX
from mobstore.model.definition import MobDefinition
from mobstore.model.json import I64_MAX
from mobstore.model.kernel import KernelState
from mobstore.model.profile import Profile
from mobstore.model.record import validate
from mobstore.model.run import FailureLedgerEntry, LoopIterationLedgerEntry, StepLedgerEntry
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    FAILURE_LEDGER,
    FRAMES,
    IDENTITY,
    IMPORTED_FROM,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    META,
    NEXT_CURSOR,
    NEXT_EPOCH,
    NEXT_RUN,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUN_EXTRAS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    ClaimRow,
    ConsumerRow,
    CounterRow,
    EventKeyRow,
    EventRow,
    FailureLedgerRow,
    FrameRow,
    LoopIterationRow,
    LoopOutputRow,
    LoopRow,
    LoopStepOutputRow,
    MetaRow,
    R,
    RealmProfileRow,
    RootStepOutputRow,
    Row,
    RunClaimRow,
    RunExtraRow,
    RunRow,
    RunStateRow,
    SpecRow,
    StepLedgerRow,
    Table,
)

JSON_COLUMNS = frozenset(
    {
        "activation_params",
        "definition",
        "extra",
        "flow_state",
        "kernel_state",
        "kind",
        "output",
        "profile",
    }
)
"""The columns that hold JSON."""

NOT_AS_STORED = "is not in canonical form"

_RELEASES = re.compile(r"[0-9a-z., ]{1,100}")

_Columns: TypeAlias = Mapping[str, Any]


def stored_row(table: Table[R], columns: Mapping[str, Any]) -> R:
    """Return the row that a store would have written.

    Args:
        table: its table.
        columns: its columns, with JSON parsed (see `mobstore.model.json.parse`).

    Raises:
        SerializationError: no store would have written such a row.
    """
    try:
        return cast("R", _READERS[table](columns))
    except MobStoreError as error:
        raise SerializationError(error.detail) from error


def are_stored_events(rows: Sequence[EventRow]) -> bool:
    """Return whether a store would have written all of these rows; False if that is not certain.

    Kinds are decoded in one call, and encoded one by one: equal texts leave nothing to find, and no
    document across two rows. Mobs and times that repeat are checked once. This takes a third of the
    time of `stored_row`, which names what is wrong.
    """
    try:
        cursors, mob_ids, times, types, run_ids, documents = zip(*rows, strict=True)
        kinds = read_kinds(documents)
        return (
            set(map(type, cursors)) == {int}
            and 0 < min(cursors) <= max(cursors) < I64_MAX
            and all(text(mob_id, "mob_id") == mob_id for mob_id in set(mob_ids))
            and all(_canonical_timestamp(time).sortable == time for time in set(times))
            and list(types) == list(map(type_text, kinds))
            and list(run_ids) == list(map(run_text, kinds))
            and list(documents) == [document_text(kind, "kind") for kind in kinds]
        )
    except (MobStoreError, *UNREADABLE):
        return False


def _meta(row: _Columns) -> MetaRow:
    name = choice(row["name"], frozenset({IDENTITY, IMPORTED_FROM}), "name")
    if name == IMPORTED_FROM:
        if not _RELEASES.fullmatch(text(row["value"], "value")):
            raise SerializationError("value names no releases")
        return MetaRow(name, row["value"])
    with _naming_column("value"):
        return MetaRow(name, str(UUID(text(row["value"], "value"))))


def _counter(row: _Columns) -> CounterRow:
    name = choice(row["name"], frozenset({NEXT_CURSOR, NEXT_RUN, NEXT_EPOCH}), "name")
    return CounterRow(name, _counted(row, "value"))


def _event(row: _Columns) -> EventRow:
    event = event_of({**row, "timestamp": _timestamp(row, "timestamp")})
    _counted(row, "cursor", most=I64_MAX - 1)  # the next one must fit as well
    return event_row(event)


def _event_key(row: _Columns) -> EventKeyRow:
    return EventKeyRow(
        text(row["key"], "key"), _counted(row, "cursor"), _timestamp_text(row, "timestamp")
    )


def _consumer(row: _Columns) -> ConsumerRow:
    return ConsumerRow(
        text(row["name"], "name"),
        number(row["cursor"], "cursor", most=I64_MAX - 1),
        _timestamp_text(row, "updated_at"),
    )


def _run(row: _Columns) -> RunRow:
    return RunRow(
        _run_id(row),
        _counted(row, "number", most=I64_MAX - 1),
        text(row["mob_id"], "mob_id"),
        text(row["flow_id"], "flow_id"),
        choice(row["status"], RUN_STATUSES, "status"),
        output_text(row["activation_params"], "activation_params"),
        _timestamp_text(row, "created_at"),
        "" if row["completed_at"] == "" else _timestamp_text(row, "completed_at"),
        number(row["schema_version"], "schema_version", most=2**32 - 1),
    )


def _run_state(row: _Columns) -> RunStateRow:
    return RunStateRow(_run_id(row), _state(row["flow_state"]))


def _run_claim(row: _Columns) -> RunClaimRow:
    return RunClaimRow(
        _run_id(row),
        _counted(row, "number", most=I64_MAX - 1),
        text(row["mob_id"], "mob_id"),
        text(row["flow_id"], "flow_id"),
        choice(row["status"], RUN_STATUSES, "status"),
        *_claimed(row),
    )


def _claim(row: _Columns) -> ClaimRow:
    name = claim_name(row["name"])
    if name.startswith(RUN_PREFIX):
        raise SerializationError(f"name is that of a run's claim, which is in {RUN_CLAIMS.name}")
    return ClaimRow(name, *_claimed(row))


def _claimed(row: _Columns) -> tuple[str, str, int, int]:
    """Return the columns that claims on names and on runs share."""
    holder = text(row["holder"], "holder")
    for column in ("epoch", "ttl"):
        number(row[column], column, most=I64_MAX - 1 if column == "epoch" else LONGEST_TTL)
        if holder and row[column] == 0:
            raise SerializationError(f"{column} is 0, but the claim is held")
    return _timestamp_text(row, "due_at"), holder, row["epoch"], row["ttl"]


def _step(row: _Columns) -> StepLedgerRow:
    entry = validate(StepLedgerEntry, {**row, "timestamp": _timestamp(row, "timestamp")})
    return step_row(_run_id(row), _position(row), entry)


def _failure(row: _Columns) -> FailureLedgerRow:
    entry = validate(FailureLedgerEntry, {**row, "timestamp": _timestamp(row, "timestamp")})
    return failure_row(_run_id(row), _position(row), entry)


def _frame(row: _Columns) -> FrameRow:
    return FrameRow(_run_id(row), text(row["frame_id"], "frame_id"), _state(row["kernel_state"]))


def _loop(row: _Columns) -> LoopRow:
    loop_id = text(row["loop_instance_id"], "loop_instance_id")
    return LoopRow(_run_id(row), loop_id, _state(row["kernel_state"]))


def _iteration(row: _Columns) -> LoopIterationRow:
    with _naming_column("iteration"):
        iteration = int(text(row["iteration"], "iteration"))
    entry = validate(LoopIterationLedgerEntry, {**row, "iteration": iteration})
    return iteration_row(_run_id(row), _position(row), entry)


def _root_step_output(row: _Columns) -> RootStepOutputRow:
    step_id = text(row["step_id"], "step_id")
    output = output_text(row["output"], "output")
    return RootStepOutputRow(_run_id(row), step_id, _position(row), output)


def _loop_output(row: _Columns) -> LoopOutputRow:
    iterations = number(row["iterations"], "iterations")
    return LoopOutputRow(_run_id(row), text(row["loop_id"], "loop_id"), iterations)


def _loop_step_output(row: _Columns) -> LoopStepOutputRow:
    return LoopStepOutputRow(
        _run_id(row),
        text(row["loop_id"], "loop_id"),
        number(row["iteration"], "iteration"),
        text(row["step_id"], "step_id"),
        _position(row),
        output_text(row["output"], "output"),
    )


def _run_extra(row: _Columns) -> RunExtraRow:
    if not isinstance(row["extra"], dict):
        raise SerializationError("extra is not an object")
    return RunExtraRow(_run_id(row), json_text(cast("object", row["extra"]), "extra"))


def _spec(row: _Columns) -> SpecRow:
    return SpecRow(
        text(row["mob_id"], "mob_id"),
        _counted(row, "revision"),
        kept_text(row["definition"], MobDefinition, "definition"),
    )


def _realm_profile(row: _Columns) -> RealmProfileRow:
    return RealmProfileRow(
        text(row["name"], "name"),
        _counted(row, "revision"),
        kept_text(row["profile"], Profile, "profile"),
        _timestamp_text(row, "created_at"),
        _timestamp_text(row, "updated_at"),
    )


def _run_id(row: _Columns) -> str:
    with _naming_column("run_id"):
        return run_key(UUID(text(row["run_id"], "run_id")))


def _position(row: _Columns) -> int:
    return number(row["position"], "position")


def _counted(row: _Columns, column: str, *, most: int = I64_MAX) -> int:
    """Return a number that starts at 1."""
    if number(row[column], column, most=most) == 0:
        raise SerializationError(f"{column} is 0")
    return cast("int", row[column])


def _state(wire: object) -> str:
    return state_text(validate(KernelState, wire), "kernel state")


def _timestamp(row: _Columns, column: str) -> Timestamp:
    """Return the timestamp; its `sortable` must equal the column, as comparing the row shows."""
    with _naming_column(column):
        return _canonical_timestamp(row[column])


def _canonical_timestamp(stored: str) -> Timestamp:
    timestamp = Timestamp.from_sortable(stored)
    try:
        datetime.fromisoformat(stored[:19])
    except ValueError:  # another year or second than a datetime has, or no time
        return Timestamp(str(timestamp))
    return timestamp


def _timestamp_text(row: _Columns, column: str) -> str:
    return _timestamp(row, column).sortable


@contextmanager
def _naming_column(column: str) -> Generator[None]:
    try:
        yield
    except UsageError:
        raise
    except ValueError:  # its text may quote the value
        raise SerializationError(f"{column} {NOT_AS_STORED}") from None


_READERS: Mapping[Table[Any], Callable[[_Columns], Row]] = {
    META: _meta,
    COUNTERS: _counter,
    EVENTS: _event,
    EVENT_KEYS: _event_key,
    CONSUMERS: _consumer,
    RUNS: _run,
    RUN_STATES: _run_state,
    RUN_CLAIMS: _run_claim,
    STEP_LEDGER: _step,
    FAILURE_LEDGER: _failure,
    FRAMES: _frame,
    LOOPS: _loop,
    LOOP_ITERATIONS: _iteration,
    ROOT_STEP_OUTPUTS: _root_step_output,
    LOOP_OUTPUTS: _loop_output,
    LOOP_STEP_OUTPUTS: _loop_step_output,
    RUN_EXTRAS: _run_extra,
    SPECS: _spec,
    REALM_PROFILES: _realm_profile,
    CLAIMS: _claim,
}
