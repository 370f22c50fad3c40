"""Scripts that change runs.

For a missing run, a compare-and-swap of status or flow state returns False; other operations raise
`NotFoundError`. All comparisons come before any write. Kernel states are compared as canonical
text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from mobstore.codec.runs import RunRows, unclaimed
from mobstore.errors import InternalError
from mobstore.model.json import I64_MAX
from mobstore.model.run import is_terminal
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    COUNTERS,
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    NEXT_RUN,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    RUNS_BY_END,
    RUNS_BY_NUMBER,
    STEP_LEDGER,
    TABLES,
    CounterRow,
    RunClaimRow,
    RunRow,
    RunStateRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Delete,
    DeleteRange,
    Get,
    Now,
    Put,
    Scan,
    Script,
    Write,
    add_or_put,
    fetch,
    key_in_use,
    next_number,
    refuse,
)

# New runs --------------------------------------------------------------------------------------


def create_run(run: RunRows) -> Script[None]:
    """Add a run exactly as given."""
    present, counter, last, now = yield from fetch(
        Get(RUNS, (run.run.run_id,)),
        Get(COUNTERS, (NEXT_RUN,)),
        Scan(RUNS_BY_NUMBER, limit=1, backwards=True),
        Now(),
    )
    if present is not None:
        raise InternalError(f"run already exists: {run.run.run_id}")
    number = next_number(counter, NEXT_RUN)
    if max(number, last[0].number + 1 if last else 0) >= I64_MAX:
        raise InternalError("the numbers of runs are used up")
    if last and last[0].number >= number:  # runs with one number would have no order
        raise key_in_use(RUNS, (last[0].number,), "number")
    count = CounterRow(NEXT_RUN, number + 1)
    return Commit(None, (*add_run(run, number, now), add_or_put(COUNTERS, counter, count)))


def add_run(run: RunRows, number: int, now: str) -> tuple[Write, ...]:
    """Return the writes that add a run; unless it has ended, it is due now or since longer."""
    row = run.run._replace(number=number)
    claim = unclaimed(row, now)
    claims = () if claim is None else (claim,)
    adds: tuple[Add[Any], ...] = (
        Add(RUNS, (row,)),
        Add(RUN_CLAIMS, claims),
        Add(RUN_STATES, (run.state,)),
        Add(STEP_LEDGER, run.steps),
        Add(FAILURE_LEDGER, run.failures),
        Add(FRAMES, run.frames),
        Add(LOOPS, run.loops),
        Add(LOOP_ITERATIONS, run.iterations),
        Add(ROOT_STEP_OUTPUTS, run.root_outputs),
        Add(LOOP_OUTPUTS, run.loop_outputs),
        Add(LOOP_STEP_OUTPUTS, run.loop_step_outputs),
    )
    return tuple(add for add in adds if add.rows)


# Status and flow state -------------------------------------------------------------------------


class Swap(NamedTuple):
    """A compare-and-swap of one value."""

    expected: str
    next: str


def cas_run_status(run_id: str, status: Swap, now: str) -> Script[bool]:
    """Change the status if it is as expected and not terminal."""
    run, claim = yield from fetch(Get(RUNS, (run_id,)), Get(RUN_CLAIMS, (run_id,)))
    if run is None or run.status != status.expected or is_terminal(run.status):
        return refuse("runs.cas_run_status", run_id, _other_status(run_id, run, status.expected))
    return Commit(True, put_status(run, claim, status.next, now))


def cas_flow_state(run_id: str, flow_state: Swap) -> Script[bool]:
    """Replace the flow state if it is as expected, whatever the status."""
    state = yield from fetch(Get(RUN_STATES, (run_id,)))
    if state is None or state.flow_state != flow_state.expected:
        return refuse("runs.cas_flow_state", run_id, other_flow_state(run_id))
    return Commit(True, (put_flow_state(run_id, flow_state.next),))


def cas_run_snapshot(run_id: str, status: Swap, flow_state: Swap, now: str) -> Script[bool]:
    """Change status and flow state if both are as expected and the status is not terminal."""
    run, state, claim = yield from fetch(
        Get(RUNS, (run_id,)), Get(RUN_STATES, (run_id,)), Get(RUN_CLAIMS, (run_id,))
    )
    if run is None or run.status != status.expected or is_terminal(run.status):
        return refuse("runs.cas_run_snapshot", run_id, _other_status(run_id, run, status.expected))
    if state is None or state.flow_state != flow_state.expected:
        return refuse("runs.cas_run_snapshot", run_id, other_flow_state(run_id))
    writes = put_status(run, claim, status.next, now)
    return Commit(True, (*writes, put_flow_state(run_id, flow_state.next)))


def put_status(run: RunRow, claim: RunClaimRow | None, status: str, now: str) -> tuple[Write, ...]:
    """Return the writes of a status; the first terminal status sets `completed_at`.

    A run that has ended cannot be claimed, but it stays its holder's until it is released.
    """
    ended = now if is_terminal(status) and not run.completed_at else run.completed_at
    put = Put(RUNS, (run._replace(status=status, completed_at=ended),))
    if claim is None:
        return (put,)
    if is_terminal(status) and not claim.holder:
        return put, Delete(RUN_CLAIMS, (run.run_id,))
    return put, Put(RUN_CLAIMS, (claim._replace(status=status),))


def put_flow_state(run_id: str, flow_state: str) -> Put[RunStateRow]:
    """Return the write of a run's flow state."""
    return Put(RUN_STATES, (RunStateRow(run_id, flow_state),))


def _other_status(run_id: str, run: RunRow | None, expected: str) -> str:
    if run is None:
        return f"run {run_id} does not exist"
    unlike = "which is final" if run.status == expected else f"not {expected}"
    return f"run {run_id} is {brief(str(run.status))}, {unlike}"


def other_flow_state(run_id: str) -> str:
    """Return why a comparison of flow states failed."""
    return f"run {run_id} has another flow state"


# Removal --------------------------------------------------------------------------------


_RUN_TABLES = tuple(table for table in TABLES if table.key[0] == "run_id" and table is not RUNS)


def delete_run(run_id: str) -> Script[bool]:
    """Remove a run, whatever its status, and return whether it existed. Its events stay."""
    run = yield from fetch(Get(RUNS, (run_id,)))
    return Commit(False) if run is None else Commit(True, _removal((run_id,)))


def prune_runs(older_than: str, statuses: Collection[str], most: int | None = None) -> Script[int]:
    """Remove runs that ended before a time in one of these statuses, and return their number.

    Args:
        older_than: the time.
        statuses: the statuses.
        most: remove at most this many runs, those that ended first; None: all.
    """
    # `after` excludes runs without an end, which have "".
    found: tuple[Sequence[RunRow], ...] = yield tuple(
        Scan(RUNS_BY_END, (status,), after="", before=older_than, limit=most) for status in statuses
    )
    runs = sorted(chain.from_iterable(found), key=attrgetter("completed_at"))[:most]
    return Commit(len(runs), _removal([row.run_id for row in runs]))


def _removal(run_ids: Sequence[str]) -> tuple[Write, ...]:
    """Return the writes that remove runs, table by table, as engines remove rows fastest."""
    return tuple(
        Delete(table, (run_id,))
        if table.key == ("run_id",)
        else DeleteRange(Scan(table, (run_id,)))
        for table in (RUNS, *_RUN_TABLES)
        for run_id in run_ids
    )
