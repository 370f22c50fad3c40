"""Flow runs: what changes them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from mobstore.interfaces.run_reading import MobRunReader
from mobstore.model.kernel import KernelState
from mobstore.model.run import (
    FailureLedgerEntry,
    FrameSnapshot,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MobRun,
    MobRunStatus,
    StepLedgerEntry,
)
from mobstore.model.timestamp import Timestamp


class MobRunStore(MobRunReader):
    """Flow runs.

    States are compared by value (`KernelState` equality), so a change and its reversal go
    unnoticed. Compare-and-swap methods return False when a comparison fails, and then have
    changed nothing; all comparisons come before any change. Which status follows which is not
    checked, except that a terminal status (completed, failed, canceled) is final.
    """

    @abstractmethod
    async def create_run(self, run: MobRun) -> None:
        """Add a run exactly as given.

        Raises:
            InternalError: there is a run of this id.
            WriteFailedError: the counter of runs is behind, as a partial restore leaves it; nothing
                was written. `verify` mends it.

        Contract: runs.create.round-trip, runs.create.twice, runs.counter-behind.
        """

    @abstractmethod
    async def cas_run_status(
        self,
        run_id: UUID | str,
        *,
        expected: MobRunStatus,
        next: MobRunStatus,  # noqa: A002 - the reference's name
    ) -> bool:
        """Change the status if it is `expected` and not terminal.

        The first change to a terminal status sets `completed_at` to the store's time. False for
        a missing run.

        Contract: runs.status.cas, runs.status.terminal, runs.status.completed-at, runs.cas.missing.
        """

    @abstractmethod
    async def cas_flow_state(
        self,
        run_id: UUID | str,
        *,
        expected: KernelState,
        next: KernelState,  # noqa: A002 - the reference's name
    ) -> bool:
        """Replace the flow state if it equals `expected`, whatever the status.

        False for a missing run.

        Contract: runs.flow-state.cas, runs.flow-state.one-winner, runs.cas.missing.
        """

    @abstractmethod
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

        `completed_at` as in `cas_run_status`. False for a missing run.

        Contract: runs.snapshot.cas, runs.cas.missing.
        """

    @abstractmethod
    async def append_step_entry(self, run_id: UUID | str, entry: StepLedgerEntry) -> None:
        """Append to the step ledger, also a duplicate, whatever the run's status.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.steps.append, runs.ledger.missing.
        """

    @abstractmethod
    async def append_step_entry_if_absent(self, run_id: UUID | str, entry: StepLedgerEntry) -> bool:
        """Append unless the ledger has an entry of this step, member and status.

        Returns:
            Whether it was appended. Output and time are neither compared nor updated.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.steps.if-absent, runs.ledger.missing.
        """

    @abstractmethod
    async def put_step_output(self, run_id: UUID | str, step_id: str, output: JsonValue) -> None:
        """Set the output of the last entry of this step, whatever its member or status.

        Raises:
            NotFoundError: there is no such run.
            InternalError: the ledger has no entry of this step.

        Contract: runs.steps.output, runs.ledger.missing.
        """

    @abstractmethod
    async def append_failure_entry(self, run_id: UUID | str, entry: FailureLedgerEntry) -> None:
        """Append to the failure ledger.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.failures.append, runs.ledger.missing.
        """

    @abstractmethod
    async def upsert_loop_snapshot(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        snapshot: LoopSnapshot,
        ledger_entry: LoopIterationLedgerEntry | None = None,
    ) -> None:
        """Set a loop's state, whatever it was, and record an iteration.

        `ledger_entry` is appended unless the ledger has one with the same loop instance,
        iteration and frame: a call may be repeated.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.loops.upsert, runs.ledger.missing.
        """

    # The eight compare-and-swap wrappers. All raise NotFoundError for a missing run; none looks
    # at the status or sets `completed_at`. An id only names a frame or loop within the run.

    @abstractmethod
    async def cas_frame_state(
        self,
        run_id: UUID | str,
        *,
        frame_id: str,
        expected: FrameSnapshot | None,
        next: FrameSnapshot,  # noqa: A002 - the reference's name
    ) -> bool:
        """Replace a frame that equals `expected`; None: add a frame that must not exist.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.frames.cas, runs.frames.create-only, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_grant_node_slot(
        self,
        run_id: UUID | str,
        *,
        expected_run_state: KernelState,
        next_run_state: KernelState,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
    ) -> bool:
        """Replace the flow state and a frame, if both are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_complete_step_and_record_output(
        self,
        run_id: UUID | str,
        *,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
        step_output_key: str,
        step_output: JsonValue,
        loop_context: tuple[str, int] | None = None,
    ) -> bool:
        """Replace a frame that is as expected, and record a step's output.

        The flow state is not compared.

        Args:
            run_id: the run.
            frame_id: the frame.
            expected_frame: what the frame must be.
            next_frame: what it becomes.
            step_output_key: the step. An output recorded before is replaced in its place.
            step_output: free JSON.
            loop_context: None for `root_step_outputs`; a loop id and an iteration (from 0) for
                `loop_iteration_outputs`, where missing iterations before it become empty.

        Raises:
            NotFoundError: there is no such run.
            InternalError: it would leave out iterations although the run's loops have more than
                1,024 in all, and 16 more for each of their outputs.

        Contract: runs.outputs.root, runs.outputs.loop, runs.outputs.padding,
            runs.outputs.allowance, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_start_loop(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        expected_run_state: KernelState,
        next_run_state: KernelState,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
        initial_loop: LoopSnapshot,
    ) -> bool:
        """Replace flow state and frame, if as expected, and add a loop that must not exist.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_loop_request_body_frame(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        expected_loop: LoopSnapshot,
        next_loop: LoopSnapshot,
        expected_run_state: KernelState,
        next_run_state: KernelState,
    ) -> bool:
        """Replace the flow state and a loop, if both are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_grant_body_frame_start(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        expected_loop: LoopSnapshot,
        next_loop: LoopSnapshot,
        frame_id: str,
        initial_frame: FrameSnapshot,
        ledger_entry: LoopIterationLedgerEntry,
        expected_run_state: KernelState,
        next_run_state: KernelState,
    ) -> bool:
        """Replace flow state and loop, if as expected, and add a frame that must not exist.

        `ledger_entry` is appended to the loop iteration ledger unless it is there already.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.wrappers.body-frame-ledger, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_complete_body_frame(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        expected_loop: LoopSnapshot,
        next_loop: LoopSnapshot,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
        expected_run_state: KernelState,
        next_run_state: KernelState,
    ) -> bool:
        """Replace flow state, loop and body frame, if all are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_complete_loop(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        expected_loop: LoopSnapshot,
        next_loop: LoopSnapshot,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
        expected_run_state: KernelState,
        next_run_state: KernelState,
    ) -> bool:
        """Replace flow state, loop and the loop's parent frame, if all are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """

    # Retention, which the reference does not have.

    @abstractmethod
    async def delete_run(self, run_id: UUID | str) -> bool:
        """Remove a run and all that belongs to it, whatever its status; its events stay.

        Returns:
            Whether there was one.

        Contract: runs.delete.
        """

    @abstractmethod
    async def prune_runs(
        self,
        older_than: Timestamp | datetime,
        status: MobRunStatus | Collection[MobRunStatus] = ("completed", "failed", "canceled"),
    ) -> int:
        """Remove the runs that ended before `older_than` (not at it), whole.

        They are removed in commits of some hundred runs, those that ended first before the others,
        so that other tasks have their turn; within an atomic call it is one commit. Where one
        fails, or the task is cancelled, what was removed before stays removed, each run as a
        whole; to go on, call it again.

        Args:
            older_than: compared with `completed_at`; a run without one is never removed.
            status: only runs in this status, or one of these.

        Returns:
            How many runs were removed.

        Raises:
            SerializationError: a datetime without a time zone.
            WriteFailedError: the medium refused; some of the runs may have been removed.

        Contract: runs.prune, runs.prune.many.
        """
