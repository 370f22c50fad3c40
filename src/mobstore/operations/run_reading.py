"""Scripts that read runs: whole runs, headers, pages of ledgers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import JsonValue

from mobstore.codec.decoding import naming_unreadable_rows, read_each
from mobstore.codec.runs import (
    RunParts,
    read_extra,
    read_failure,
    read_header,
    read_iteration,
    read_run,
    read_step,
)
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    RunHeader,
    StepLedgerEntry,
)
from mobstore.model.text import brief
from mobstore.operations.ledgers import require_run
from mobstore.operations.run_selection import Selection, select
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_CLAIMS,
    RUN_EXTRAS,
    RUN_STATES,
    RUNS,
    STEP_LEDGER,
    R,
    RunRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Get, Read, Scan, Script, fetch

E = TypeVar("E")
_WHOLE_ID = 36  # characters


def get_run(run_id: str) -> Script[MobRun | None]:
    """Return one run with all its parts."""
    row: RunRow | None
    row, *parts = yield (Get(RUNS, (run_id,)), *_parts_of(run_id))
    return Commit(None if row is None else read_run(row, _parts(parts)))


def list_runs(of: Selection) -> Script[list[MobRun]]:
    """Return runs with all their parts."""
    found = yield from select(of)
    runs: list[MobRun] = []
    for row in found:
        parts = yield _parts_of(row.run_id)
        runs.append(read_run(row, _parts(parts)))
    return Commit(runs)


def get_run_header(run_id: str) -> Script[RunHeader | None]:
    """Return the header of one run."""
    row, claim = yield from fetch(Get(RUNS, (run_id,)), Get(RUN_CLAIMS, (run_id,)))
    return Commit(None if row is None else read_header(row, claim))


def run_headers(of: Selection) -> Script[list[RunHeader]]:
    """Return the headers of runs."""
    found = yield from select(of)
    claims = yield tuple(Get(RUN_CLAIMS, (row.run_id,)) for row in found)
    return Commit(list(map(read_header, found, claims)))


def find_run_ids(start: str, limit: int) -> Script[list[UUID]]:
    """Return the ids that start with some text of `run_id_start`, in their order."""
    if len(start) == _WHOLE_ID:  # bounds are exclusive
        row = yield from fetch(Get(RUNS, (start,)))
        return Commit([] if row is None else [UUID(start)][:limit])
    after, before = start or None, f"{start}g"  # which follows all digits and the hyphen
    rows = yield from fetch(Scan(RUNS, after=after, before=before, limit=limit))
    found: list[UUID] = []
    for row in rows:
        with naming_unreadable_rows("run", row.run_id):
            found.append(UUID(row.run_id))
    return Commit(found)


def get_run_extra(run_id: str) -> Script[Mapping[str, JsonValue] | None]:
    """Return the further keys of an imported run."""
    row = yield from fetch(Get(RUN_EXTRAS, (run_id,)))
    return Commit(None if row is None else read_extra(row))


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
