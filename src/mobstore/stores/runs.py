"""Flow runs on an engine: changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set as AbstractSet
from datetime import datetime, timedelta
from typing import TypeAlias, cast
from uuid import UUID

from mobstore.codec.arguments import (
    choice,
    output_text,
    state_text,
    text,
    to_timestamp,
)
from mobstore.codec.claims import check_claim, run_claim_name
from mobstore.codec.events import encode_event
from mobstore.codec.runs import (
    RUN_STATUSES,
    TERMINAL_STATUSES,
    RunRows,
    failure_row,
    run_key,
    step_row,
)
from mobstore.errors import UsageError
from mobstore.model.claim import Claim, RunClaim
from mobstore.model.event import NewMobEvent
from mobstore.model.json import JsonInput
from mobstore.model.kernel import KernelState
from mobstore.model.other_event import OtherEvent
from mobstore.model.run import (
    FailureLedgerEntry,
    MobRun,
    MobRunStatus,
    StepLedgerEntry,
    TerminalStatus,
)
from mobstore.model.timestamp import Timestamp
from mobstore.operations import claims, endings, ledgers, runs
from mobstore.operations.runs import Swap
from mobstore.scripts.transaction import is_within_atomic
from mobstore.stores.keeping import releasing
from mobstore.stores.run_claims import RunClaims, to_work
from mobstore.stores.run_frames import MobRunFrames, state_swap
from mobstore.stores.subscription import Subscription
from mobstore.stores.won import Won_co

# mypy takes a tuple of literals for a Sequence of them, not for a Collection.
MobRunStatuses: TypeAlias = Sequence[MobRunStatus] | AbstractSet[MobRunStatus]
"""Several statuses of runs."""

_OUTCOMES = {f"flow_{status}" for status in TERMINAL_STATUSES}
_PRUNED_AT_ONCE = 64  # runs; with IndexedDB, writers wait for 0.25 s


class MobRunStore(MobRunFrames[Won_co]):
    """Flow runs.

    States are compared by value (`KernelState` equality), so a change and its reversal go
    unnoticed. A compare-and-swap method returns False if a comparison fails; nothing has changed
    then, since all comparisons come before any change. In an atomic call it raises `RefusedError`
    instead, so type checkers see True as its only result there. The order of statuses is not
    checked, except that a terminal status (completed, failed, canceled) is final.
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
    ) -> Won_co:
        """Change the status if it is `expected` and not terminal.

        The first change to a terminal status sets `completed_at` to the store's time.
        Returns False for a missing run.

        Contract: runs.status.cas, runs.status.terminal, runs.status.completed-at, runs.cas.missing.
        """
        key, now = run_key(run_id), self._now().sortable
        status = Swap(
            choice(expected, RUN_STATUSES, "expected"), choice(next, RUN_STATUSES, "next")
        )
        won = await self._engine.write(lambda: runs.cas_run_status(key, status, now))
        return cast("Won_co", won)

    async def cas_flow_state(
        self,
        run_id: UUID | str,
        *,
        expected: KernelState,
        next: KernelState,
    ) -> Won_co:
        """Replace the flow state if it equals `expected`, whatever the status.

        Returns False for a missing run.

        Contract: runs.flow-state.cas, runs.flow-state.one-winner, runs.cas.missing.
        """
        key = run_key(run_id)
        flow_state = Swap(state_text(expected, "expected"), state_text(next, "next"))
        won = await self._engine.write(lambda: runs.cas_flow_state(key, flow_state))
        return cast("Won_co", won)

    async def cas_run_snapshot(
        self,
        run_id: UUID | str,
        *,
        expected_status: MobRunStatus,
        expected_flow_state: KernelState,
        next_status: MobRunStatus,
        next_flow_state: KernelState,
    ) -> Won_co:
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
        won = await self._engine.write(lambda: runs.cas_run_snapshot(key, status, flow_state, now))
        return cast("Won_co", won)

    async def claim_next(
        self,
        holder: str,
        *,
        ttl: float | timedelta,
        statuses: MobRunStatuses = ("pending", "running"),
        mob_id: str | None = None,
        flow_id: str | None = None,
        most: int | None = None,
    ) -> RunClaim | None:
        """Claim the run that has been due longest, if one is due.

        A run is due from its creation on; while it is held, from the expiry of its claim on; after
        `release`, from the time given there on. Runs that ended are no work.

        Args:
            holder: the holder, such as the name of a worker.
            ttl: seconds until the claim expires, unless it is renewed.
            statuses: only runs in these: "pending", "running" or both.
            mob_id: only runs of this mob.
            flow_id: only runs of this flow of the mob.
            most: claim nothing while the holder has so many runs, not counting expired claims.
                None: any number.

        Returns:
            The claim with the run's header, or None.

        Raises:
            UsageError: an argument is wrong, or a flow is passed without its mob.
            SerializationError: the run cannot be read; delete it, or end it by a status.

        Contract: runs.claim-next, runs.claim-next.order, runs.claim-next.most.
        """
        work = to_work(holder, ttl, statuses=statuses, mob_id=mob_id, flow_id=flow_id, most=most)
        return await self._engine.write(lambda: claims.claim_next(work))

    def claims(
        self,
        holder: str,
        *,
        ttl: float | timedelta,
        statuses: MobRunStatuses = ("pending", "running"),
        mob_id: str | None = None,
        flow_id: str | None = None,
        most: int | None = 1,
    ) -> Subscription[RunClaim]:
        """Claim one due run after the other, and wait for the next, without end.

        Waiting costs nothing: a commit by any process or tab wakes it, or the time at which a run
        becomes due. Commits through these stores that only renew claims, or only concern other
        mobs, do not wake it. Usage and errors are those of `MobEventStore.subscribe`. Leave it by
        `async with`, or call `aclose`, so that a claim that was made meanwhile is released.

        Args:
            holder: a name that no other worker has.
            ttl: seconds until a claim expires, unless it is renewed, as by `claims.keep`.
            statuses: as for `claim_next`.
            mob_id: as for `claim_next`.
            flow_id: as for `claim_next`.
            most: wait while the holder has so many runs. It has them until they are released, as
                by `finish_run`, or the claims expire. None: any number.

        Contract: runs.claims, runs.claims.most, runs.claims.others.
        """
        work = to_work(holder, ttl, statuses=statuses, mob_id=mob_id, flow_id=flow_id, most=most)
        return RunClaims(self._engine, work)

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

    async def put_step_output(self, run_id: UUID | str, step_id: str, output: JsonInput) -> None:
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

    async def append_failure_entry_if_absent(
        self, run_id: UUID | str, entry: FailureLedgerEntry
    ) -> bool:
        """Append unless the failure ledger has an entry of this step and reason.

        The ledger is read from its end until such an entry is found, so the cost of an absent one
        grows with the failures of the run; the memory does not.

        Returns:
            Whether the entry was appended. The time is neither compared nor updated.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.failures.if-absent, runs.ledger.missing.
        """
        row = failure_row(run_key(run_id), 0, entry)
        return await self._engine.write(lambda: ledgers.append_failure_entry_if_absent(row))

    async def finish_run(
        self,
        run_id: UUID | str,
        status: TerminalStatus,
        event: NewMobEvent,
        *,
        claim: Claim | None = None,
    ) -> bool:
        """End a run in one commit: status, terminal event and release of its claim; once.

        `completed_at` is set as in `cas_run_status`. After an error or a cancellation, call it
        again: the run ends once, and its event is stored once.

        Args:
            run_id: the run.
            status: "completed", "failed" or "canceled".
            event: appended unless the run has ended; if it has no time, it gets the store's.
            claim: the claim on the run, which must still be its holder's. None: the run ends
                even if it is held, as when an operator cancels it. The claim is gone afterwards, so
                writes that depend on it raise `ClaimLostError`.

        Returns:
            Whether this call has ended the run. If it had ended before, the event is not appended;
            the claim is not checked, but ends if it is still its holder's.

        Raises:
            NotFoundError: there is no such run.
            ClaimLostError: the claim is not its holder's any more; nothing was written.
            UsageError: the event belongs to another run, flow or mob, or is that of another
                outcome; the claim belongs to another run; or an argument is wrong.
            WriteFailedError: as for `MobEventStore.append`.

        Contract: runs.finish, runs.finish.once, runs.finish.claim, runs.finish.holder.
        """
        key, now = run_key(run_id), self._now()
        ending = choice(status, TERMINAL_STATUSES, "status")
        encoded = encode_event(event, lambda: now)
        (row,) = encoded.rows
        if row.run_id not in {"", key}:
            raise UsageError(f"event belongs to run {row.run_id}, not to run {key}")
        if row.type in _OUTCOMES and row.type != f"flow_{ending}":
            raise UsageError(f"event is {row.type}, but the run is to be {ending}")
        (kind,) = encoded.kinds
        fields = kind.fields if isinstance(kind, OtherEvent) else kind.__dict__
        flow_id = fields.get("flow_id")
        if claim is not None and check_claim(claim).name != run_claim_name(key):
            raise UsageError(f"claim is one on {claim.name}, not on run {key}")
        with releasing(self._engine, run_claim_name(key), claim):
            return await self._engine.write(
                lambda: endings.finish_run(
                    key, ending, row, None if flow_id is None else str(flow_id), claim, now.sortable
                )
            )

    async def delete_run(self, run_id: UUID | str) -> bool:
        """Remove a run with all its parts, whatever its status; its events stay.

        Returns:
            Whether the run existed.

        Contract: runs.delete.
        """
        key = run_key(run_id)
        with releasing(self._engine, run_claim_name(key)):
            return await self._engine.write(lambda: runs.delete_run(key))

    async def prune_runs(
        self,
        older_than: Timestamp | datetime,
        status: MobRunStatus | MobRunStatuses = ("completed", "failed", "canceled"),
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
