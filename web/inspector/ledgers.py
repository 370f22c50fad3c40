"""Pages of a run's ledgers, and the outputs of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, cast

from inspector.batched_reads import scan_rows
from inspector.formatting import abbreviate, format_timestamp, truncate
from inspector.run_results import (
    FailureEntry,
    IterationEntry,
    Ledger,
    Output,
    Outputs,
    StepEntry,
    StepStatus,
)
from mobstore.errors import NotFoundError
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    LOOP_ITERATIONS,
    LOOP_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUNS,
    STEP_LEDGER,
    FailureLedgerRow,
    LoopIterationRow,
    LoopStepOutputRow,
    RootStepOutputRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, fetch

R = TypeVar("R", RootStepOutputRow, LoopStepOutputRow)

_LONGEST_REASON = 10_000
_MOST_OUTPUTS = 5000

Which: TypeAlias = Literal["step", "failure", "iteration"]


def ledger(run_id: str, which: Which, offset: int, limit: int) -> Script[Ledger]:
    """Read a page of one of a run's ledgers.

    Raises:
        NotFoundError: the run does not exist.
    """
    table, entry = _LEDGERS[which]
    run, total = yield from fetch(Get(RUNS, (run_id,)), Count(Scan(table, (run_id,))))
    if run is None:
        raise NotFoundError(f"run not found: {brief(run_id)}")
    # Positions count from 0 without gaps.
    entries = yield from scan_rows(table, (run_id,), entry, most=limit, after=(run_id, offset - 1))
    return Commit({"total": total, "offset": offset, "entries": entries})


def _step(row: StepLedgerRow) -> StepEntry:
    return {
        "position": row.position,
        "step_id": row.step_id,
        "member_id": row.meerkat_id,
        "status": cast("StepStatus", row.status),
        "timestamp_at": format_timestamp(row.timestamp),
        "preview": truncate(row.output),
        "entry": {"of": "step", "run_id": row.run_id, "position": row.position},
    }


def _failure(row: FailureLedgerRow) -> FailureEntry:
    return {
        "position": row.position,
        "step_id": row.step_id,
        "reason": abbreviate(row.reason, _LONGEST_REASON),
        "timestamp_at": format_timestamp(row.timestamp),
    }


def _iteration(row: LoopIterationRow) -> IterationEntry:
    return {
        "position": row.position,
        "loop_instance_id": row.loop_instance_id,
        "iteration": row.iteration,
        "frame_id": row.frame_id,
    }


_LEDGERS: dict[Which, tuple[Any, Callable[[Any], Any]]] = {
    "step": (STEP_LEDGER, _step),
    "failure": (FAILURE_LEDGER, _failure),
    "iteration": (LOOP_ITERATIONS, _iteration),
}


def outputs(run_id: str) -> Script[Outputs]:
    """Read the outputs of the steps of a run, at most 5,000."""
    of_run = (run_id,)
    roots, loops = yield from fetch(
        Count(Scan(ROOT_STEP_OUTPUTS_BY_POSITION, of_run)), Count(Scan(LOOP_STEP_OUTPUTS, of_run))
    )
    of_root = yield from scan_rows(
        ROOT_STEP_OUTPUTS_BY_POSITION, of_run, _with_preview, most=_MOST_OUTPUTS
    )
    of_loops = yield from scan_rows(
        LOOP_STEP_OUTPUTS, of_run, _with_preview, most=_MOST_OUTPUTS - len(of_root)
    )
    of_loops.sort(key=lambda row: (row.loop_id, row.iteration, row.position))
    found = [*map(_of_root, of_root), *map(_of_loop, of_loops)]
    return Commit({"outputs": found, "left_out": roots + loops - len(found)})


def _with_preview(row: R) -> R:
    """Cut an output to its preview."""
    return row._replace(output=truncate(row.output))


def _of_root(row: RootStepOutputRow) -> Output:
    return {
        "step_id": row.step_id,
        "loop_id": None,
        "iteration": None,
        "preview": row.output,
        "output": {"of": "output", "run_id": row.run_id, "step_id": row.step_id},
    }


def _of_loop(row: LoopStepOutputRow) -> Output:
    return {
        "step_id": row.step_id,
        "loop_id": row.loop_id,
        "iteration": row.iteration,
        "preview": row.output,
        "output": {
            "of": "output",
            "run_id": row.run_id,
            "step_id": row.step_id,
            "loop_id": row.loop_id,
            "iteration": row.iteration,
        },
    }
