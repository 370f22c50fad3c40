"""Scripts that read runs: whole runs, headers, pages of ledgers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from mobstore.codec.decoding import naming_unreadable_rows, read_each, stored_number
from mobstore.codec.runs import (
    RunParts,
    read_failure,
    read_header,
    read_iteration,
    read_run,
    read_step,
)
from mobstore.errors import NotFoundError
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    RunHeader,
    StepLedgerEntry,
)
from mobstore.model.text import brief
from mobstore.operations.ledgers import require_run
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    RUNS_BY_FLOW_STATUS,
    RUNS_BY_MOB,
    RUNS_BY_MOB_STATUS,
    RUNS_BY_NUMBER,
    RUNS_BY_STATUS,
    STEP_LEDGER,
    Index,
    R,
    RunRow,
    Table,
    Value,
)
from mobstore.scripts.transaction import Commit, Get, Read, Scan, Script, ScriptPart, fetch

E = TypeVar("E")


class Selection(NamedTuple):
    """A selection of runs, in the order of their creation.

    Attributes:
        mob_id: the mob; None: all mobs.
        flow_id: the flow, only with a mob; None: all flows.
        status: the status; None: any.
        after: only runs created after this one.
        limit: the maximum number of runs.
    """

    mob_id: str | None = None
    flow_id: str | None = None
    status: str | None = None
    after: str | None = None
    limit: int | None = None


_INDEXES: dict[tuple[bool, bool, bool], Index[RunRow]] = {
    (False, False, False): RUNS_BY_NUMBER,
    (False, False, True): RUNS_BY_STATUS,
    (True, False, False): RUNS_BY_MOB,
    (True, False, True): RUNS_BY_MOB_STATUS,
    (True, True, False): RUNS_BY_FLOW,
    (True, True, True): RUNS_BY_FLOW_STATUS,
}
"""Keys: whether a mob, a flow and a status are selected."""


def get_run(run_id: str) -> Script[MobRun | None]:
    """Return one run with all its parts."""
    row: RunRow | None
    row, *parts = yield (Get(RUNS, (run_id,)), *_parts_of(run_id))
    return Commit(None if row is None else read_run(row, _parts(parts)))


def list_runs(of: Selection) -> Script[list[MobRun]]:
    """Return runs with all their parts."""
    found = yield from _select(of)
    runs: list[MobRun] = []
    for row in found:
        parts = yield _parts_of(row.run_id)
        runs.append(read_run(row, _parts(parts)))
    return Commit(runs)


def get_run_header(run_id: str) -> Script[RunHeader | None]:
    """Return the header of one run."""
    row = yield from fetch(Get(RUNS, (run_id,)))
    return Commit(None if row is None else read_header(row))


def run_headers(of: Selection) -> Script[list[RunHeader]]:
    """Return the headers of runs."""
    found = yield from _select(of)
    return Commit([read_header(row) for row in found])


def step_entries(run_id: str, start: int, limit: int | None) -> Script[list[StepLedgerEntry]]:
    """Return a page of the step ledger."""
    return _page(STEP_LEDGER, read_step, run_id, start, limit)


def failure_entries(run_id: str, start: int, limit: int | None) -> Script[list[FailureLedgerEntry]]:
    """Return a page of the failure ledger."""
    return _page(FAILURE_LEDGER, read_failure, run_id, start, limit)


def loop_iteration_entries(
    run_id: str, start: int, limit: int | None
) -> Script[list[LoopIterationLedgerEntry]]:
    """Return a page of the loop iteration ledger."""
    return _page(LOOP_ITERATIONS, read_iteration, run_id, start, limit)


def _page(
    ledger: Table[R], read: Callable[[R], E], run_id: str, start: int, limit: int | None
) -> Script[list[E]]:
    run, rows = yield from fetch(
        Get(RUNS, (run_id,)), Scan(ledger, (run_id,), after=start - 1, limit=limit)
    )
    require_run(run, run_id)
    position = ledger.columns.index("position")
    return Commit(
        read_each(
            rows,
            read,
            lambda row: f"table {ledger.name}, run {run_id}, position {brief(str(row[position]))}",
        )
    )


def _select(of: Selection) -> ScriptPart[list[RunRow]]:
    given = [part for part in (of.mob_id, of.flow_id, of.status) if part is not None]
    index = _INDEXES[of.mob_id is not None, of.flow_id is not None, of.status is not None]
    after: Value | None = None
    if of.after is not None:
        before = yield from fetch(Get(RUNS, (of.after,)))
        if before is None:
            raise NotFoundError(f"`after` names a run that does not exist: {of.after}")
        with naming_unreadable_rows("run", of.after):  # None would start at the beginning
            after = stored_number(before.number)
    found = yield from fetch(Scan(index, tuple(given), after=after, limit=of.limit))
    return list(found)


def _parts_of(run_id: str) -> tuple[Read, ...]:
    of_run = (run_id,)
    return (
        Get(RUN_STATES, of_run),
        Scan(STEP_LEDGER, of_run),
        Scan(FAILURE_LEDGER, of_run),
        Scan(FRAMES, of_run),
        Scan(LOOPS, of_run),
        Scan(LOOP_ITERATIONS, of_run),
        Scan(ROOT_STEP_OUTPUTS_BY_POSITION, of_run),
        Scan(LOOP_OUTPUTS, of_run),
        Scan(LOOP_STEP_OUTPUTS, of_run),
    )


def _parts(answers: Any) -> RunParts:
    return cast("RunParts", tuple(answers))  # in the order of `_parts_of`
