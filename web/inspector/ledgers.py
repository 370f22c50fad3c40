"""Pages of a run's ledgers, and its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, cast

from inspector.shapes import (
    FailureEntry,
    IterationEntry,
    Ledger,
    Output,
    Outputs,
    StepEntry,
    StepStatus,
)
from inspector.texts import cut, shown
from mobstore.errors import NotFoundError
from mobstore.tables import (
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
from mobstore.transaction import Commit, Count, Get, Scan, Script, fetch

Which: TypeAlias = Literal["step", "failure", "iteration"]


def ledger(run_id: str, which: Which, offset: int, limit: int) -> Script[Ledger]:
    """A page of one of a run's ledgers.

    Raises:
        NotFoundError: there is no such run.
    """
    table, entry = _LEDGERS[which]
    run, total, rows = yield from fetch(
        Get(RUNS, (run_id,)),
        Count(Scan(table, (run_id,))),
        # Positions count from 0 without a gap.
        Scan(table, (run_id,), after=offset - 1, limit=limit),
    )
    if run is None:
        raise NotFoundError(f"run not found: {run_id}")
    return Commit({"total": total, "offset": offset, "entries": [entry(row) for row in rows]})


def _step(row: StepLedgerRow) -> StepEntry:
    return {
        "position": row.position,
        "step_id": row.step_id,
        "member_id": row.meerkat_id,
        "status": cast("StepStatus", row.status),
        "timestamp_at": shown(row.timestamp),
        "preview": cut(row.output),
        "entry": {"of": "step", "run_id": row.run_id, "position": row.position},
    }


def _failure(row: FailureLedgerRow) -> FailureEntry:
    return {
        "position": row.position,
        "step_id": row.step_id,
        "reason": row.reason,
        "timestamp_at": shown(row.timestamp),
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
    """What the steps of a run put out."""
    of_root, of_loops = yield from fetch(
        Scan(ROOT_STEP_OUTPUTS_BY_POSITION, (run_id,)), Scan(LOOP_STEP_OUTPUTS, (run_id,))
    )
    in_order = sorted(of_loops, key=lambda row: (row.loop_id, row.iteration, row.position))
    return Commit({"outputs": [*map(_of_root, of_root), *map(_of_loop, in_order)]})


def _of_root(row: RootStepOutputRow) -> Output:
    return {
        "step_id": row.step_id,
        "loop_id": None,
        "iteration": None,
        "preview": cut(row.output),
        "output": {"of": "output", "run_id": row.run_id, "step_id": row.step_id},
    }


def _of_loop(row: LoopStepOutputRow) -> Output:
    return {
        "step_id": row.step_id,
        "loop_id": row.loop_id,
        "iteration": row.iteration,
        "preview": cut(row.output),
        "output": {
            "of": "output",
            "run_id": row.run_id,
            "step_id": row.step_id,
            "loop_id": row.loop_id,
            "iteration": row.iteration,
        },
    }
