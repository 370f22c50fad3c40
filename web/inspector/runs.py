"""Headers of runs, and the details of one. Kernel states are not decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast, get_args

from inspector.batched_reads import next_limit, scan_rows, whole
from inspector.claims import claim_state
from inspector.formatting import format_timestamp, to_milliseconds, truncate
from inspector.results import ClaimState
from inspector.run_results import Bar, Run, RunHeader, Runs, RunStatus, StepStatus, Timeline
from inspector.tree import phase_of, tree_of
from mobstore.errors import NotFoundError, SerializationError
from mobstore.model.text import brief
from mobstore.notebook.bars import bars
from mobstore.operations.run_selection import Selection, runs_of, select
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUN_CLAIMS_BY_HOLDER,
    RUN_EXTRAS,
    RUN_STATES,
    RUNS,
    STEP_LEDGER,
    FrameRow,
    LoopRow,
    RunRow,
    StepLedgerRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Count, Get, Now, Scan, Script, ScriptPart, fetch

_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
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


def headers(selection: Selection, limit: int) -> Script[Runs]:
    """Read headers of the selected runs of a mob, at most `limit`, and count the runs.

    Args:
        selection: the runs, the newest first.
        limit: the maximum number of headers.

    Raises:
        NotFoundError: the run after which the page starts no longer exists.
    """
    mob_id, flow_id = selection.mob_id, selection.flow_id
    counted = yield tuple(Count(runs_of(mob_id, flow_id, status)) for status in _STATUSES)
    statuses: dict[str, int] = dict(zip(_STATUSES, counted, strict=True))
    found: list[RunRow] = []
    batch = 8  # rows; the length of their parameters is not known yet
    while len(found) <= limit:
        wanted = min(batch, limit + 1 - len(found))
        rows = yield from select(selection._replace(limit=wanted))
        found += [row._replace(activation_params="") for row in rows]
        if len(rows) < wanted:
            break
        selection, batch = selection._replace(after=rows[-1].run_id), next_limit(wanted, rows)
    rows = found[:limit]
    return Commit(
        {
            "total": (yield from _total(selection, statuses)),
            "runs": (yield from _headers(rows)),
            "statuses": statuses,
            "next_after": rows[-1].run_id if len(found) > limit else None,
        }
    )


def _total(selection: Selection, statuses: Mapping[str, int]) -> ScriptPart[int]:
    """Return the number of selected runs on all pages."""
    if not selection.unclaimed:
        return sum(statuses[status] for status in selection.statuses(_STATUSES))
    now = yield from fetch(Now())
    claims = yield from fetch(Scan(RUN_CLAIMS_BY_HOLDER, after=""))
    open_statuses = selection.statuses(("pending", "running"))
    held = sum(
        claim.mob_id == selection.mob_id
        and selection.flow_id in {None, claim.flow_id}
        and claim.status in open_statuses
        and now < claim.due_at
        for claim in claims
    )
    return sum(statuses[status] for status in open_statuses) - held


def run(run_id: str) -> Script[Run]:
    """Read the details of one run.

    Raises:
        NotFoundError: the run does not exist.
    """
    of_run = (run_id,)
    row, state, extra = yield from fetch(
        Get(RUNS, of_run), Get(RUN_STATES, of_run), Get(RUN_EXTRAS, of_run)
    )
    claim, now = yield from fetch(Get(RUN_CLAIMS, of_run), Now())
    if row is None:
        raise NotFoundError(f"run not found: {brief(run_id)}")
    if state is None:
        raise SerializationError(f"run {brief(run_id)} cannot be read: its state is missing")
    counted = yield tuple(Count(Scan(table, of_run)) for table in _COUNTED)
    count = dict(zip(_COUNTED, counted, strict=True))
    steps = yield from scan_rows(STEP_LEDGER, of_run, _step, most=_MOST_STEPS)
    frames = yield from scan_rows(FRAMES, of_run, _frame, most=_MOST_BRANCHES)
    loops = yield from scan_rows(LOOPS, of_run, _loop, most=_MOST_BRANCHES)
    iterations = yield from scan_rows(LOOP_ITERATIONS, of_run, whole, most=_MOST_BRANCHES)
    return Commit(
        {
            "header": _header(
                row, count[STEP_LEDGER], count[FAILURE_LEDGER], claim_state(claim, now)
            ),
            "flow_phase": phase_of(state.flow_state),
            "params": {"of": "params", "run_id": run_id},
            "params_preview": truncate(row.activation_params),
            "flow_state": {"of": "run", "run_id": run_id},
            "extra": None if extra is None else {"of": "extra", "run_id": run_id},
            "timeline": _timeline(steps, count[STEP_LEDGER]),
            "tree": tree_of(run_id, frames, loops, iterations),
            "tree_left_out": count[FRAMES] + count[LOOPS] - len(frames) - len(loops),
            "iterations": count[LOOP_ITERATIONS],
            "outputs": count[ROOT_STEP_OUTPUTS] + count[LOOP_STEP_OUTPUTS],
        }
    )


def _headers(rows: Sequence[RunRow]) -> ScriptPart[list[RunHeader]]:
    steps = yield tuple(Count(Scan(STEP_LEDGER, (row.run_id,))) for row in rows)
    failures = yield tuple(Count(Scan(FAILURE_LEDGER, (row.run_id,))) for row in rows)
    now = yield from fetch(Now())
    claims = yield tuple(Get(RUN_CLAIMS, (row.run_id,)) for row in rows)
    states = [claim_state(claim, now) for claim in claims]
    return list(map(_header, rows, steps, failures, states))


def _header(row: RunRow, steps: int, failures: int, claim: ClaimState | None) -> RunHeader:
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
        "claim": claim,
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
