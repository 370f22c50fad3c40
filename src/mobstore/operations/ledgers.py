"""Scripts of a run's ledgers: each entry gets the next position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from mobstore.errors import InternalError, NotFoundError
from mobstore.model.json import I64_MAX
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, size_of
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    RUNS,
    STEP_LEDGER,
    STEP_LEDGER_BY_IDENTITY,
    STEP_LEDGER_BY_STEP,
    FailureLedgerRow,
    LoopIterationRow,
    R,
    StepLedgerRow,
    Table,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Get,
    Put,
    Scan,
    Script,
    fetch,
)

PositionedRow = TypeVar("PositionedRow", StepLedgerRow, FailureLedgerRow, LoopIterationRow)


def append_step_entry(entry: StepLedgerRow) -> Script[None]:
    """Append to the step ledger; the entry's own position is ignored."""
    run, last = yield from fetch(Get(RUNS, (entry.run_id,)), last_entry(STEP_LEDGER, entry.run_id))
    require_run(run, entry.run_id)
    return Commit(None, (Add(STEP_LEDGER, (next_entry(last, entry),)),))


def append_step_entry_if_absent(entry: StepLedgerRow) -> Script[bool]:
    """Append to the step ledger unless it has an entry of this step, member and status."""
    identity = (entry.run_id, entry.step_id, entry.meerkat_id, entry.status)
    run, same, last = yield from fetch(
        Get(RUNS, (entry.run_id,)),
        Scan(STEP_LEDGER_BY_IDENTITY, identity, limit=1),
        last_entry(STEP_LEDGER, entry.run_id),
    )
    require_run(run, entry.run_id)
    if same:
        return Commit(False)
    return Commit(True, (Add(STEP_LEDGER, (next_entry(last, entry),)),))


def put_step_output(run_id: str, step_id: str, output: str) -> Script[None]:
    """Set the output of the last entry of a step, whatever its member or status."""
    run, last = yield from fetch(
        Get(RUNS, (run_id,)),
        Scan(STEP_LEDGER_BY_STEP, (run_id, step_id), limit=1, backwards=True),
    )
    require_run(run, run_id)
    if not last:
        raise InternalError(f"cannot set output for unknown step '{step_id}' in run '{run_id}'")
    return Commit(None, (Put(STEP_LEDGER, (last[0]._replace(output=output),)),))


def append_failure_entry(entry: FailureLedgerRow) -> Script[None]:
    """Append to the failure ledger; the entry's own position is ignored."""
    run, last = yield from fetch(
        Get(RUNS, (entry.run_id,)), last_entry(FAILURE_LEDGER, entry.run_id)
    )
    require_run(run, entry.run_id)
    return Commit(None, (Add(FAILURE_LEDGER, (next_entry(last, entry),)),))


def append_failure_entry_if_absent(entry: FailureLedgerRow) -> Script[bool]:
    """Append to the failure ledger unless it has an entry of this step and reason.

    The ledger is read from its end, in pages, until such an entry is found.
    """
    newest = last_entry(FAILURE_LEDGER, entry.run_id)
    run, last = yield from fetch(Get(RUNS, (entry.run_id,)), newest)
    require_run(run, entry.run_id)
    page, limit = last, FIRST_LIMIT
    while page:
        if any((row.step_id, row.reason) == (entry.step_id, entry.reason) for row in page):
            return Commit(False)
        before = page[-1].position
        page = yield from fetch(replace(newest, before=before, limit=limit))
        limit = next_limit(limit, len(page), size_of(page))
    return Commit(True, (Add(FAILURE_LEDGER, (next_entry(last, entry),)),))


def last_entry(ledger: Table[PositionedRow], run_id: str) -> Scan[PositionedRow]:
    """Read the last entry of a run's ledger."""
    return Scan(ledger, (run_id,), limit=1, backwards=True)


def next_entry(last: Sequence[PositionedRow], row: PositionedRow) -> PositionedRow:
    """Return an entry with the position after the last one."""
    if last and last[0].position >= I64_MAX:
        raise InternalError(f"run {row.run_id} has an entry at the last possible position")
    return row._replace(position=last[0].position + 1 if last else 0)


def require_run(run: R | None, run_id: str) -> R:
    """Return a row that each run has.

    Raises:
        NotFoundError: there is no such run.
    """
    if run is None:
        raise NotFoundError(f"run not found: {run_id}")
    return run
