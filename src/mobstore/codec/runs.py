"""Runs to rows and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar, get_args
from uuid import UUID

from pydantic import JsonValue

from mobstore.codec.arguments import (
    choice,
    instance,
    naming_wrong_types,
    number,
    output_text,
    prose,
    snapshot_text,
    state_text,
    text,
    timestamp_text,
)
from mobstore.codec.decoding import naming_unreadable_rows, stored_number, stored_text
from mobstore.errors import SerializationError, UsageError
from mobstore.model.ids import LoopId, RunId, StepId
from mobstore.model.json import U64_MAX, decode_json
from mobstore.model.kernel import KernelState
from mobstore.model.run import (
    FailureLedgerEntry,
    FrameSnapshot,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MobRun,
    MobRunStatus,
    RunHeader,
    StepLedgerEntry,
    StepRunStatus,
    TerminalStatus,
    is_terminal,
)
from mobstore.model.text import brief
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import (
    FailureLedgerRow,
    FrameRow,
    LoopIterationRow,
    LoopOutputRow,
    LoopRow,
    LoopStepOutputRow,
    RootStepOutputRow,
    RunClaimRow,
    RunExtraRow,
    RunRow,
    RunStateRow,
    StepLedgerRow,
)

S = TypeVar("S", FrameSnapshot, LoopSnapshot)

FREE_ITERATIONS = 1_024
"""Iterations of all loops of a run that need no output. The reference has no limit."""
ITERATIONS_PER_OUTPUT = 16
"""Further iterations of a run's loops for each output.

A row holds the number of iterations of a loop, and each iteration takes memory when the run is
read. This limit ties iterations without output to the stored outputs.
"""

RUN_STATUSES = frozenset[str](get_args(MobRunStatus))
TERMINAL_STATUSES = frozenset[str](get_args(TerminalStatus))
UNFINISHED_STATUSES = RUN_STATUSES - TERMINAL_STATUSES
_FIELDS = tuple(MobRun.model_fields)
_STEP_STATUSES = frozenset[str](get_args(StepRunStatus))


# `UUID` itself accepts more, such as underscores between the digits.
_UUID = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


_DIGITS = re.compile(r"[0-9a-f]{0,32}")
_HYPHENS = (0, 8, 12, 16, 20, 32)


def run_key(run_id: UUID | str) -> str:
    """Return the text of a run's id, in lower case with hyphens.

    Raises:
        UsageError: it is neither a UUID nor the text of one.
    """
    if isinstance(run_id, UUID):
        return str(run_id)
    if not isinstance(run_id, str):
        raise UsageError(f"run_id must be a UUID or its text, not {type(run_id).__name__}")
    if not _UUID.fullmatch(run_id):
        raise UsageError(
            "run_id is not the text of a UUID; give all of it, such as"
            " 24ede6a4-6b4c-4242-8a23-d5962217bead"
        )
    return str(UUID(run_id))


def run_id_start(start: str) -> str:
    """Return the start of a run's id, in lower case with hyphens.

    Raises:
        UsageError: no id of a run starts with it.
    """
    if not isinstance(start, str):
        raise UsageError(f"the start of a run's id must be text, not {type(start).__name__}")
    digits = start.replace("-", "").lower()
    hyphened = "-".join(filter(None, (digits[a:b] for a, b in pairwise(_HYPHENS))))
    written = start.lower().removesuffix("-" if len(digits) in _HYPHENS[1:-1] else "")
    if not _DIGITS.fullmatch(digits) or written not in {digits, hyphened}:
        raise UsageError("a run's id is a UUID; give its first hex digits, such as c1934f18")
    return hyphened


class RunRows:
    """The rows of a run to add; its number is 0 until it is assigned."""

    def __init__(self, run: MobRun) -> None:
        """Encode a run.

        Raises:
            UsageError: it is not a run, or a part of it has the wrong type.
            SerializationError: a part of it has no JSON form.
        """
        instance(run, MobRun, "run")
        with naming_wrong_types("run"):
            self._encode(run)

    def _encode(self, run: MobRun) -> None:
        key = run_key(run.run_id)
        ended = run.completed_at
        self.run: RunRow = RunRow(
            key,
            0,
            text(run.mob_id, "mob_id"),
            text(run.flow_id, "flow_id"),
            choice(run.status, RUN_STATUSES, "status"),
            output_text(run.activation_params, "activation_params"),
            timestamp_text(run.created_at, "created_at"),
            "" if ended is None else timestamp_text(ended, "completed_at"),
            number(run.schema_version, "schema_version", most=2**32 - 1),
        )
        self.state: RunStateRow = RunStateRow(key, state_text(run.flow_state, "flow_state"))
        self.steps: list[StepLedgerRow] = [
            step_row(key, n, entry) for n, entry in enumerate(run.step_ledger)
        ]
        self.failures: list[FailureLedgerRow] = [
            failure_row(key, n, entry) for n, entry in enumerate(run.failure_ledger)
        ]
        self.frames: list[FrameRow] = [
            FrameRow(key, text(frame_id, "frame_id"), snapshot_text(frame, FrameSnapshot, "frame"))
            for frame_id, frame in run.frames.items()
        ]
        self.loops: list[LoopRow] = [
            LoopRow(
                key, text(loop_id, "loop_instance_id"), snapshot_text(loop, LoopSnapshot, "loop")
            )
            for loop_id, loop in run.loops.items()
        ]
        self.iterations: list[LoopIterationRow] = [
            iteration_row(key, n, entry) for n, entry in enumerate(run.loop_iteration_ledger)
        ]
        self.root_outputs: list[RootStepOutputRow] = [
            RootStepOutputRow(
                key, text(step_id, "step_id"), n, output_text(output, "root_step_outputs")
            )
            for n, (step_id, output) in enumerate(run.root_step_outputs.items())
        ]
        loops = run.loop_iteration_outputs.values()
        recorded = sum(sum(map(len, iterations)) for iterations in loops)
        _require_allowed(key, sum(map(len, loops)), recorded)
        self.loop_outputs: list[LoopOutputRow] = [
            LoopOutputRow(key, text(loop_id, "loop_id"), len(iterations))
            for loop_id, iterations in run.loop_iteration_outputs.items()
        ]
        self.loop_step_outputs: list[LoopStepOutputRow] = [
            LoopStepOutputRow(
                key,
                text(loop_id, "loop_id"),
                i,
                text(step_id, "step_id"),
                n,
                output_text(output, "loop_iteration_outputs"),
            )
            for loop_id, iterations in run.loop_iteration_outputs.items()
            for i, outputs in enumerate(iterations)
            for n, (step_id, output) in enumerate(outputs.items())
        ]


def step_row(run_id: str, position: int, entry: StepLedgerEntry) -> StepLedgerRow:
    """Encode an entry of the step ledger.

    Raises:
        UsageError: it is not an entry of this ledger.
        SerializationError: a part has no JSON form, or is too large.
    """
    instance(entry, StepLedgerEntry, "entry")
    return StepLedgerRow(
        run_id,
        position,
        text(entry.step_id, "step_id"),
        text(entry.meerkat_id, "meerkat_id"),
        choice(entry.status, _STEP_STATUSES, "status"),
        output_text(entry.output, "output"),
        timestamp_text(entry.timestamp, "timestamp"),
    )


def failure_row(run_id: str, position: int, entry: FailureLedgerEntry) -> FailureLedgerRow:
    """Encode an entry of the failure ledger.

    Raises:
        UsageError: it is not an entry of this ledger.
        SerializationError: its text holds lone surrogates or is too long.
    """
    instance(entry, FailureLedgerEntry, "entry")
    return FailureLedgerRow(
        run_id,
        position,
        text(entry.step_id, "step_id"),
        prose(entry.reason, "reason"),
        timestamp_text(entry.timestamp, "timestamp"),
    )


def iteration_row(run_id: str, position: int, entry: LoopIterationLedgerEntry) -> LoopIterationRow:
    """Encode an entry of the loop iteration ledger.

    Raises:
        UsageError: it is not an entry of this ledger.
        SerializationError: its text holds lone surrogates or is too long.
    """
    instance(entry, LoopIterationLedgerEntry, "ledger_entry")
    return LoopIterationRow(
        run_id,
        position,
        text(entry.loop_instance_id, "loop_instance_id"),
        str(number(entry.iteration, "iteration", most=U64_MAX)),
        text(entry.frame_id, "frame_id"),
    )


RunParts: TypeAlias = tuple[
    RunStateRow | None,
    Sequence[StepLedgerRow],
    Sequence[FailureLedgerRow],
    Sequence[FrameRow],
    Sequence[LoopRow],
    Sequence[LoopIterationRow],
    Sequence[RootStepOutputRow],
    Sequence[LoopOutputRow],
    Sequence[LoopStepOutputRow],
]
"""The rows of a run's parts; the outputs of root steps are ordered by position."""


def read_run(row: RunRow, parts: RunParts) -> MobRun:
    """Decode a run. Kernel states stay opaque.

    Raises:
        SerializationError: a part cannot be read.
    """
    state, steps, failures, frames, loops, iterations, root_outputs, loop_outputs, outputs = parts
    with naming_unreadable_rows("run", row.run_id):
        if state is None:
            raise ValueError("its state is missing")
        found: dict[str, Any] = {
            **_head(row),
            "flow_state": KernelState.from_canonical(state.flow_state),
            "step_ledger": tuple(map(read_step, steps)),
            "failure_ledger": tuple(map(read_failure, failures)),
            "frames": _snapshots(frames, FrameSnapshot),
            "loops": _snapshots(loops, LoopSnapshot),
            "loop_iteration_ledger": tuple(map(read_iteration, iterations)),
            "root_step_outputs": {
                stored_text(output.step_id): decode_json(output.output) for output in root_outputs
            },
            "loop_iteration_outputs": _loop_outputs(row.run_id, loop_outputs, outputs),
        }
        return MobRun.assemble({name: found[name] for name in _FIELDS})


def _snapshots(rows: Sequence[FrameRow] | Sequence[LoopRow], kind: type[S]) -> dict[str, S]:
    """Decode the states of frames or loops, by their ids."""
    of_canonical = KernelState.from_canonical
    read = kind.assemble_all({"kernel_state": of_canonical(state)} for _, _, state in rows)
    return {stored_text(name): one for (_, name, _), one in zip(rows, read, strict=True)}


def read_header(row: RunRow, claim: RunClaimRow | None) -> RunHeader:
    """Decode the header of a run; a run without a row of claims has ended.

    Raises:
        SerializationError: it cannot be read.
    """
    with naming_unreadable_rows("run", row.run_id):
        found: dict[str, object] = {**_head(row), "holder": None, "epoch": 0, "due_at": None}
        if claim is not None:
            found["holder"] = stored_text(claim.holder) or None
            found["epoch"] = stored_number(claim.epoch)
            found["due_at"] = Timestamp.from_sortable(claim.due_at)
        return RunHeader.assemble(found)


def unclaimed(run: RunRow, now: str) -> RunClaimRow | None:
    """Return the row of claims of a run that has not been claimed; None if the run has ended.

    The run is due since its creation; since `now`, if its creation is in the future.
    """
    if is_terminal(run.status):
        return None
    run_id, number, mob_id, flow_id, status, *_ = run
    due_at = min(run.created_at, now)
    return RunClaimRow(run_id, number, mob_id, flow_id, status, due_at, "", 0, 0)


def _head(row: RunRow) -> dict[str, object]:
    ended = row.completed_at
    return {
        "run_id": RunId(UUID(row.run_id)),
        "mob_id": stored_text(row.mob_id),
        "flow_id": stored_text(row.flow_id),
        "status": stored_text(row.status),
        "activation_params": decode_json(row.activation_params),
        "created_at": Timestamp.from_sortable(row.created_at),
        "completed_at": Timestamp.from_sortable(ended) if ended else None,
        "schema_version": row.schema_version,
    }


def read_step(row: StepLedgerRow) -> StepLedgerEntry:
    """Decode an entry of the step ledger."""
    return StepLedgerEntry.assemble(
        {
            "step_id": stored_text(row.step_id),
            "meerkat_id": stored_text(row.meerkat_id),
            "status": stored_text(row.status),
            "output": decode_json(row.output),
            "timestamp": Timestamp.from_sortable(row.timestamp),
        }
    )


def read_failure(row: FailureLedgerRow) -> FailureLedgerEntry:
    """Decode an entry of the failure ledger."""
    return FailureLedgerEntry.assemble(
        {
            "step_id": stored_text(row.step_id),
            "reason": stored_text(row.reason),
            "timestamp": Timestamp.from_sortable(row.timestamp),
        }
    )


def read_iteration(row: LoopIterationRow) -> LoopIterationLedgerEntry:
    """Decode an entry of the loop iteration ledger."""
    return LoopIterationLedgerEntry.assemble(
        {
            "loop_instance_id": stored_text(row.loop_instance_id),
            "iteration": int(row.iteration),
            "frame_id": stored_text(row.frame_id),
        }
    )


def read_extra(row: RunExtraRow) -> Mapping[str, JsonValue]:
    """Decode the further keys of a run.

    Raises:
        SerializationError: they cannot be read.
    """
    with naming_unreadable_rows("table run_extras, run", row.run_id):
        found = decode_json(row.extra)
        if not isinstance(found, dict):
            raise ValueError("not an object")  # noqa: TRY004 - named by the context
        return found


def _loop_outputs(
    run_id: str, loops: Sequence[LoopOutputRow], outputs: Sequence[LoopStepOutputRow]
) -> dict[LoopId, tuple[dict[StepId, JsonValue], ...]]:
    _require_allowed(run_id, sum(max(0, row.iterations) for row in loops), len(outputs))
    found: dict[str, tuple[dict[StepId, JsonValue], ...]] = {
        loop_id: tuple({} for _ in range(iterations)) for _, loop_id, iterations in loops
    }
    for output in sorted(outputs, key=lambda row: row.position):
        iteration = found[output.loop_id][output.iteration]
        iteration[stored_text(output.step_id)] = decode_json(output.output)
    return found


def outputs_needed(iterations: int) -> int:
    """Return how many outputs a run needs to have this many iterations in all its loops."""
    return -(-max(0, iterations - FREE_ITERATIONS) // ITERATIONS_PER_OUTPUT)


def _require_allowed(run_id: str, iterations: int, recorded: int) -> None:
    """Reject a number of iterations above the limits, which might exhaust the memory."""
    if recorded < outputs_needed(iterations):
        raise SerializationError(
            f"run {brief(run_id)}: its loops have {iterations} iterations, which is more than their"
            f" {recorded} outputs allow"
        )
