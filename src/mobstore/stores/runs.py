"""Flow runs on an engine: changes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from mobstore.codec.arguments import (
    choice,
    output_text,
    state_text,
    text,
    to_timestamp,
)
from mobstore.codec.runs import RUN_STATUSES, RunRows, failure_row, run_key, step_row
from mobstore.model.kernel import KernelState
from mobstore.model.run import (
    FailureLedgerEntry,
    MobRun,
    MobRunStatus,
    StepLedgerEntry,
)
from mobstore.model.timestamp import Timestamp
from mobstore.operations import ledgers, runs
from mobstore.operations.runs import Swap
from mobstore.scripts.transaction import is_within_atomic
from mobstore.stores.run_frames import MobRunFrames, state_swap

_PRUNED_AT_ONCE = 256  # runs


class MobRunStore(MobRunFrames):
    """Flow runs.

    States are compared by value (`KernelState` equality), so a change and its reversal go
    unnoticed. A compare-and-swap method returns False if a comparison fails; nothing has changed
    then, since all comparisons come before any change. The order of statuses is not checked, except
    that a terminal status (completed, failed, canceled) is final.
    """

    async def create_run(self, run: MobRun) -> None:
        """Add a run unchanged.

        Raises:
            InternalError: a run with this id exists.
            WriteFailedError: the counter of runs is behind, as after a partial restore; nothing
                was written. `verify` repairs it.

        Contract: runs.create.round-trip, runs.create.twice, runs.counter-behind.
        """
        encoded = RunRows(run)
        await self._engine.write(lambda: runs.create_run(encoded))

    async def cas_run_status(
        self,
        run_id: UUID | str,
        *,
        expected: MobRunStatus,
        next: MobRunStatus,
    ) -> bool:
        """Change the status if it is `expected` and not terminal.

        The first change to a terminal status sets `completed_at` to the store's time. Returns
        Returns False for a missing run.

        Contract: runs.status.cas, runs.status.terminal, runs.status.completed-at, runs.cas.missing.
        """
        key, now = run_key(run_id), self._now().sortable
        status = Swap(
            choice(expected, RUN_STATUSES, "expected"), choice(next, RUN_STATUSES, "next")
        )
        return await self._engine.write(lambda: runs.cas_run_status(key, status, now))

    async def cas_flow_state(
        self,
        run_id: UUID | str,
        *,
        expected: KernelState,
        next: KernelState,
    ) -> bool:
        """Replace the flow state if it equals `expected`, whatever the status.

        Returns False for a missing run.

        Contract: runs.flow-state.cas, runs.flow-state.one-winner, runs.cas.missing.
        """
        key = run_key(run_id)
        flow_state = Swap(state_text(expected, "expected"), state_text(next, "next"))
        return await self._engine.write(lambda: runs.cas_flow_state(key, flow_state))

    async def cas_run_snapshot(
        self,
        run_id: UUID | str,
        *,
        expected_status: MobRunStatus,
        expected_flow_state: KernelState,
        next_status: MobRunStatus,
        next_flow_state: KernelState,
    ) -> bool:
        """Change status and flow state if both are as expected and the status is not terminal.

        `completed_at` is set as in `cas_run_status`. Returns False for a missing run.

        Contract: runs.snapshot.cas, runs.cas.missing.
        """
        key, now = run_key(run_id), self._now().sortable
        status = Swap(
            choice(expected_status, RUN_STATUSES, "expected_status"),
            choice(next_status, RUN_STATUSES, "next_status"),
        )
        flow_state = state_swap(expected_flow_state, next_flow_state)
        return await self._engine.write(lambda: runs.cas_run_snapshot(key, status, flow_state, now))

    async def append_step_entry(self, run_id: UUID | str, entry: StepLedgerEntry) -> None:
        """Append to the step ledger, even a duplicate, whatever the run's status.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.steps.append, runs.ledger.missing.
        """
        row = step_row(run_key(run_id), 0, entry)
        await self._engine.write(lambda: ledgers.append_step_entry(row))

    async def append_step_entry_if_absent(self, run_id: UUID | str, entry: StepLedgerEntry) -> bool:
        """Append unless the ledger has an entry of this step, member and status.

        Returns:
            Whether the entry was appended. Output and time are neither compared nor updated.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.steps.if-absent, runs.ledger.missing.
        """
        row = step_row(run_key(run_id), 0, entry)
        return await self._engine.write(lambda: ledgers.append_step_entry_if_absent(row))

    async def put_step_output(self, run_id: UUID | str, step_id: str, output: JsonValue) -> None:
        """Set the output of the last entry of this step, whatever its member or status.

        Raises:
            NotFoundError: there is no such run.
            InternalError: the ledger has no entry of this step.

        Contract: runs.steps.output, runs.ledger.missing.
        """
        key, step = run_key(run_id), text(step_id, "step_id")
        encoded = output_text(output, "output")
        await self._engine.write(lambda: ledgers.put_step_output(key, step, encoded))

    async def append_failure_entry(self, run_id: UUID | str, entry: FailureLedgerEntry) -> None:
        """Append to the failure ledger.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.failures.append, runs.ledger.missing.
        """
        row = failure_row(run_key(run_id), 0, entry)
        await self._engine.write(lambda: ledgers.append_failure_entry(row))

    async def delete_run(self, run_id: UUID | str) -> bool:
        """Remove a run with all its parts, whatever its status; its events stay.

        Returns:
            Whether the run existed.

        Contract: runs.delete.
        """
        key = run_key(run_id)
        return await self._engine.write(lambda: runs.delete_run(key))

    async def prune_runs(
        self,
        older_than: Timestamp | datetime,
        status: MobRunStatus | Collection[MobRunStatus] = ("completed", "failed", "canceled"),
    ) -> int:
        """Remove the runs that ended before `older_than`, not those that ended at it.

        Runs are removed in commits of up to 256, the earliest end first, so that other tasks can
        run in between; within an atomic call there is one commit. If a commit fails, or the task is
        cancelled, the runs removed before stay removed. Call the method again to continue.

        Args:
            older_than: compared with `completed_at`; a run without one is never removed.
            status: only runs in this status, or in one of these.

        Returns:
            The number of removed runs.

        Raises:
            UsageError: `older_than` is a naive datetime.
            WriteFailedError: the medium failed; some of the runs may have been removed.

        Contract: runs.prune, runs.prune.many.
        """
        time = to_timestamp(older_than, "older_than").sortable
        given: tuple[str, ...]
        if isinstance(status, Collection) and not isinstance(status, str):
            given = tuple(status)
        else:
            given = (status,)
        statuses = sorted({choice(one, RUN_STATUSES, "status") for one in given})
        most = None if is_within_atomic() else _PRUNED_AT_ONCE
        pruned = 0
        while True:
            some = await self._engine.write(lambda: runs.prune_runs(time, statuses, most))
            pruned += some
            if most is None or some < most:
                return pruned
