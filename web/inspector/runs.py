"""Headers of runs, and the details of one. Kernel states are not decoded."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, cast

from inspector.batched_reads import next_limit, scan_rows
from inspector.formatting import format_timestamp, to_milliseconds, truncate
from inspector.run_results import Bar, Run, RunHeader, Runs, RunStatus, StepStatus, Timeline
from inspector.tree import phase_of, tree_of
from mobstore.errors import NotFoundError, SerializationError
from mobstore.model.text import brief
from mobstore.notebook.bars import bars
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    ROOT_STEP_OUTPUTS,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    RUNS_BY_FLOW_STATUS,
    RUNS_BY_MOB,
    RUNS_BY_MOB_STATUS,
    STEP_LEDGER,
    FrameRow,
    Index,
    LoopIterationRow,
    LoopRow,
    RunRow,
    StepLedgerRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, fetch

_INDEXES: dict[tuple[bool, bool], Index[RunRow]] = {
    (False, False): RUNS_BY_MOB,
    (False, True): RUNS_BY_MOB_STATUS,
    (True, False): RUNS_BY_FLOW,
    (True, True): RUNS_BY_FLOW_STATUS,
}
"""The indexes, by whether a flow and a status are given."""

_MOST_STEPS = 20_000
"""The most entries of the step ledger that are drawn."""
_MOST_BRANCHES = 10_000
"""The most frames, loops, and iterations."""
_COUNTED: tuple[Table[Any], ...] = (
    STEP_LEDGER,
    FAILURE_LEDGER,
    FRAMES,
    LOOPS,
    LOOP_ITERATIONS,
    ROOT_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
)


def headers(
    mob_id: str, flow_id: str | None, status: str | None, before: int | None, limit: int
) -> Script[Runs]:
    """Read headers of a mob's runs, newest first, with a number below `before`."""
    index = _INDEXES[flow_id is not None, status is not None]
    prefix = tuple(one for one in (mob_id, flow_id, status) if one is not None)
    total = yield from fetch(Count(Scan(index, prefix)))
    found: list[RunRow] = []
    batch = 8  # rows; the length of their parameters is not known yet
    while len(found) <= limit:
        wanted = min(batch, limit + 1 - len(found))
        rows = yield from fetch(Scan(index, prefix, before=before, limit=wanted, backwards=True))
        found += [row._replace(activation_params="") for row in rows]
        if len(rows) < wanted:
            break
        before, batch = rows[-1].number, next_limit(wanted, rows)
    rows = found[:limit]
    return Commit(
        {
            "total": total,
            "runs": (yield from _headers(rows)),
            "next_before": rows[-1].number if len(found) > limit else None,
        }
    )


def run(run_id: str) -> Script[Run]:
    """Read the details of one run.

    Raises:
        NotFoundError: the run does not exist.
    """
    of_run = (run_id,)
    row, state = yield from fetch(Get(RUNS, of_run), Get(RUN_STATES, of_run))
    if row is None:
        raise NotFoundError(f"run not found: {brief(run_id)}")
    if state is None:
        raise SerializationError(f"run {brief(run_id)} cannot be read: its state is missing")
    counted = yield tuple(Count(Scan(table, of_run)) for table in _COUNTED)
    count = dict(zip(_COUNTED, counted, strict=True))
    steps = yield from scan_rows(STEP_LEDGER, of_run, _step, most=_MOST_STEPS)
    frames = yield from scan_rows(FRAMES, of_run, _frame, most=_MOST_BRANCHES)
    loops = yield from scan_rows(LOOPS, of_run, _loop, most=_MOST_BRANCHES)
    iterations = yield from scan_rows(LOOP_ITERATIONS, of_run, _iteration, most=_MOST_BRANCHES)
    return Commit(
        {
            "header": _header(row, count[STEP_LEDGER], count[FAILURE_LEDGER]),
            "flow_phase": phase_of(state.flow_state),
            "params": {"of": "params", "run_id": run_id},
            "params_preview": truncate(row.activation_params),
            "flow_state": {"of": "run", "run_id": run_id},
            "timeline": _timeline(steps, count[STEP_LEDGER]),
            "tree": tree_of(run_id, frames, loops, iterations),
            "tree_left_out": count[FRAMES] + count[LOOPS] - len(frames) - len(loops),
            "iterations": count[LOOP_ITERATIONS],
            "outputs": count[ROOT_STEP_OUTPUTS] + count[LOOP_STEP_OUTPUTS],
        }
    )


def _headers(
    rows: Sequence[RunRow],
) -> Generator[tuple[Any, ...], tuple[Any, ...], list[RunHeader]]:
    steps = yield tuple(Count(Scan(STEP_LEDGER, (row.run_id,))) for row in rows)
    failures = yield tuple(Count(Scan(FAILURE_LEDGER, (row.run_id,))) for row in rows)
    return list(map(_header, rows, steps, failures))


def _header(row: RunRow, steps: int, failures: int) -> RunHeader:
    created, completed = to_milliseconds(row.created_at), to_milliseconds(row.completed_at)
    return {
        "run_id": row.run_id,
        "number": row.number,
        "mob_id": row.mob_id,
        "flow_id": row.flow_id,
        "status": cast("RunStatus", row.status),
        "created_at": format_timestamp(row.created_at),
        "created_ms": created,
        "completed_at": format_timestamp(row.completed_at) if row.completed_at else None,
        "completed_ms": completed,
        "duration_ms": None if created is None or completed is None else completed - created,
        "steps": steps,
        "failures": failures,
    }


class _Step(NamedTuple):
    """The drawn part of an entry of the step ledger."""

    step_id: str
    member_id: str
    status: str
    timestamp: str


def _step(row: StepLedgerRow) -> _Step:
    return _Step(row.step_id, row.meerkat_id, row.status, row.timestamp)


def _frame(row: FrameRow) -> tuple[str, str]:
    return row.frame_id, phase_of(row.kernel_state)


def _loop(row: LoopRow) -> tuple[str, str]:
    return row.loop_instance_id, phase_of(row.kernel_state)


def _iteration(row: LoopIterationRow) -> LoopIterationRow:
    return row


def _timeline(steps: Sequence[_Step], entries: int) -> Timeline:
    lanes: dict[str, int] = {}
    drawn: list[Bar] = [
        {
            "step_id": truncate(bar.step_id),
            "lane": lanes.setdefault(bar.member_id, len(lanes)),
            "start_ms": to_milliseconds(steps[bar.first].timestamp),
            "end_ms": None if bar.end is None else to_milliseconds(steps[bar.end].timestamp),
            "status": cast("StepStatus", bar.status),
            "first": bar.first,
            "last": bar.first if bar.end is None or bar.status == "dispatched" else bar.end,
        }
        for bar in bars((step.step_id, step.member_id, step.status) for step in steps)
    ]
    times = [ms for bar in drawn for ms in (bar["start_ms"], bar["end_ms"]) if ms is not None]
    return {
        "members": list(map(truncate, lanes)),
        "bars": drawn,
        "start_ms": min(times, default=None),
        "end_ms": max(times, default=None),
        "left_out": entries - len(steps),
    }
