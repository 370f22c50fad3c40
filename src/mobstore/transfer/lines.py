"""One row as one line of JSON, and back.

A line is an object of the row's columns. A column that holds JSON stands in it as JSON, not as
text. Lines from outside are read through the models, as arguments are: what comes out is what a
store would have written, or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, cast
from uuid import UUID

from mobstore.arguments import choice, number, output_text, record_text, run_key, state_text, text
from mobstore.errors import MobStoreError, SerializationError
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.json import I64_MAX, encode_string, parse
from mobstore.model.kernel import KernelState
from mobstore.model.profile import Profile
from mobstore.model.record import validate
from mobstore.model.run import FailureLedgerEntry, LoopIterationLedgerEntry, StepLedgerEntry
from mobstore.model.timestamp import Timestamp
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.runs import NEXT_RUN
from mobstore.rows.events import draft_event
from mobstore.rows.runs import RUN_STATUSES, failure_row, iteration_row, step_row
from mobstore.tables import (
    COUNTERS,
    EVENTS,
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    CounterRow,
    EventRow,
    FailureLedgerRow,
    FrameRow,
    LoopIterationRow,
    LoopOutputRow,
    LoopRow,
    LoopStepOutputRow,
    R,
    RealmProfileRow,
    RootStepOutputRow,
    Row,
    RunRow,
    RunStateRow,
    SpecRow,
    StepLedgerRow,
    Table,
)
from mobstore.transfer.checks import row_name

LONGEST = 64 * 2**20
"""Bytes of a line at most; a few hostile bytes in a zip could else become all of the memory."""
_TOO_LONG = f"it is longer than {LONGEST >> 20} MiB"

_JSON_COLUMNS = frozenset(
    {
        "activation_params",
        "definition",
        "flow_state",
        "kernel_state",
        "kind",
        "output",
        "profile",
    }
)
_Columns: TypeAlias = Mapping[str, Any]


def lines_of(table: Table[Any], rows: Sequence[Row]) -> bytes:
    """Write rows as lines, each with the newline that ends it. JSON is written as it stands.

    Raises:
        SerializationError: a line is too long to be read again; its row is named.
    """
    lines = _joined(table, rows)
    if lines.count("\n") != len(rows):
        lines = _joined(table, [_on_one_line(table, row) for row in rows])
    written = lines.encode()
    if len(written) > LONGEST:
        for row, line in zip(rows, written.split(b"\n"), strict=False):
            if len(line) >= LONGEST:
                raise SerializationError(f"{row_name(table, row)}: {_TOO_LONG}")
    return written


def _joined(table: Table[Any], rows: Sequence[Row]) -> str:
    form, encoders = _form(table)
    columns = [
        values if encode is None else map(encode, values)
        for encode, values in zip(encoders, zip(*rows, strict=True), strict=True)
    ]
    return "".join(map(form.__mod__, zip(*columns, strict=True)))


@cache
def _form(table: Table[Any]) -> tuple[str, Sequence[Callable[[Any], str] | None]]:
    """A line with a place for each column, and what is to be done to what goes there."""
    form = ",".join(f'"{column}":%s' for column in table.columns)
    encoders = [
        encode_string if kind is str and column not in _JSON_COLUMNS else None
        for column, kind in zip(table.columns, table.types, strict=True)
    ]
    return f"{{{form}}}\n", encoders


def _on_one_line(table: Table[Any], row: Row) -> Row:
    """A row whose JSON other hands have spread over lines: its newlines are blanks."""
    return tuple(
        value.replace("\n", " ") if isinstance(value, str) and column in _JSON_COLUMNS else value
        for column, value in zip(table.columns, row, strict=True)
    )


def row_of(table: Table[R], line: bytes) -> R:
    """Read a line.

    Raises:
        SerializationError: no store would have written this row.
    """
    if len(line) > LONGEST:
        raise SerializationError(_TOO_LONG)
    columns = parse(line, bounded=True)  # as parts are encoded
    if not isinstance(columns, dict) or columns.keys() != set(table.columns):
        raise SerializationError(f"its keys are not {', '.join(table.columns)}")
    given = cast("dict[str, Any]", columns)
    try:
        row = _READERS[table](given)
    except MobStoreError as error:
        raise SerializationError(error.detail) from error
    except ValueError as error:
        raise SerializationError("a column has not the form in which it is stored") from error
    for column, value in zip(table.columns, row, strict=True):
        if column not in _JSON_COLUMNS and given[column] != value:
            raise SerializationError(f"{column} has not the form in which it is stored")
    return cast("R", row)


def _counter(row: _Columns) -> CounterRow:
    name = choice(row["name"], frozenset({NEXT_CURSOR, NEXT_RUN}), "name")
    return CounterRow(name, _counted(row, "value"))


def _event(row: _Columns) -> EventRow:
    event = validate(MobEvent, {**row, "timestamp": _timestamp(row["timestamp"])})
    cursor = _counted(row, "cursor", most=I64_MAX - 1)  # the next one must fit as well
    return EventRow(cursor, *draft_event(event.mob_id, event.timestamp, event.kind))


def _run(row: _Columns) -> RunRow:
    return RunRow(
        _run_id(row),
        _counted(row, "number", most=I64_MAX - 1),
        text(row["mob_id"], "mob_id"),
        text(row["flow_id"], "flow_id"),
        choice(row["status"], RUN_STATUSES, "status"),
        output_text(row["activation_params"]),
        _moment(row["created_at"]),
        row["completed_at"] and _moment(row["completed_at"]),
        number(row["schema_version"], "schema_version", most=2**32 - 1),
    )


def _run_state(row: _Columns) -> RunStateRow:
    return RunStateRow(_run_id(row), _state(row["flow_state"]))


def _step(row: _Columns) -> StepLedgerRow:
    entry = validate(StepLedgerEntry, {**row, "timestamp": _timestamp(row["timestamp"])})
    return step_row(_run_id(row), _position(row), entry)


def _failure(row: _Columns) -> FailureLedgerRow:
    entry = validate(FailureLedgerEntry, {**row, "timestamp": _timestamp(row["timestamp"])})
    return failure_row(_run_id(row), _position(row), entry)


def _frame(row: _Columns) -> FrameRow:
    return FrameRow(_run_id(row), text(row["frame_id"], "frame_id"), _state(row["kernel_state"]))


def _loop(row: _Columns) -> LoopRow:
    loop_id = text(row["loop_instance_id"], "loop_instance_id")
    return LoopRow(_run_id(row), loop_id, _state(row["kernel_state"]))


def _iteration(row: _Columns) -> LoopIterationRow:
    iteration = int(text(row["iteration"], "iteration"))
    entry = validate(LoopIterationLedgerEntry, {**row, "iteration": iteration})
    return iteration_row(_run_id(row), _position(row), entry)


def _root_step_output(row: _Columns) -> RootStepOutputRow:
    step_id = text(row["step_id"], "step_id")
    return RootStepOutputRow(_run_id(row), step_id, _position(row), output_text(row["output"]))


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
        output_text(row["output"]),
    )


def _spec(row: _Columns) -> SpecRow:
    definition = validate(MobDefinition, row["definition"])
    return SpecRow(
        text(row["mob_id"], "mob_id"),
        _counted(row, "revision"),
        record_text(definition, MobDefinition, "definition"),
    )


def _realm_profile(row: _Columns) -> RealmProfileRow:
    return RealmProfileRow(
        text(row["name"], "name"),
        _counted(row, "revision"),
        record_text(validate(Profile, row["profile"]), Profile, "profile"),
        _moment(row["created_at"]),
        _moment(row["updated_at"]),
    )


def _run_id(row: _Columns) -> str:
    return run_key(UUID(text(row["run_id"], "run_id")))


def _position(row: _Columns) -> int:
    return number(row["position"], "position")


def _counted(row: _Columns, column: str, *, most: int = I64_MAX) -> int:
    """What counts from 1."""
    if number(row[column], column, most=most) == 0:
        raise SerializationError(f"{column} is 0")
    return cast("int", row[column])


def _state(wire: object) -> str:
    return state_text(validate(KernelState, wire), "kernel state")


def _timestamp(value: object) -> Timestamp:
    """The moment whose `sortable` the value must be; that it is, `row_of` sees."""
    return Timestamp(str(Timestamp.from_sortable(cast("str", value))))


def _moment(value: object) -> str:
    return _timestamp(value).sortable


_READERS: Mapping[Table[Any], Callable[[_Columns], Row]] = {
    COUNTERS: _counter,
    EVENTS: _event,
    RUNS: _run,
    RUN_STATES: _run_state,
    STEP_LEDGER: _step,
    FAILURE_LEDGER: _failure,
    FRAMES: _frame,
    LOOPS: _loop,
    LOOP_ITERATIONS: _iteration,
    ROOT_STEP_OUTPUTS: _root_step_output,
    LOOP_OUTPUTS: _loop_output,
    LOOP_STEP_OUTPUTS: _loop_step_output,
    SPECS: _spec,
    REALM_PROFILES: _realm_profile,
}
