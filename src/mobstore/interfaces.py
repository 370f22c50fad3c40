"""The four interfaces. Their docstrings are the contract, the same on every engine.

What holds everywhere:

* An operation is atomic, and a write that returned is as durable as its engine promises. One that
  raised has changed nothing, unless the error's `maybe_written` says that this cannot be known.
* A cancelled call leaves all of its changes or none.
* Arguments are copied; results are independent copies. Text may hold anything but lone surrogates;
  identifiers may be empty. Text sorts by code point.
* Beside the errors listed, every method may raise `SerializationError` (an argument of a wrong
  type or without JSON form, stored data that cannot be read), `ReadFailedError` or
  `WriteFailedError` (the medium failed), and `InternalError` (the store is closed, a number is
  out of range).
* `Contract:` names the cases of `mobstore.testing` that show the rule.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent, NewMobEvent
from mobstore.model.ids import MobId
from mobstore.model.kernel import KernelState
from mobstore.model.profile import Profile, StoredRealmProfile
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


class MobEventStore(ABC):
    """The log of what happened to mobs, in one sequence of cursors.

    The first event has cursor 1; each further one gets the next number. Cursors are never used
    again, not even after `clear` or `prune`. Times need not grow with the cursors.
    """

    @abstractmethod
    async def append(self, event: NewMobEvent) -> MobEvent:
        """Add an event; without a time of its own it gets the store's.

        Returns:
            The event as stored.

        Raises:
            InternalError: the cursors are used up (2**63 - 2 is the last).

        Contract: events.append.assigns-cursors, events.append.keeps-time, events.append.store-time.
        """

    @abstractmethod
    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        """Add events with consecutive cursors, all or none.

        Returns:
            The events as stored, in the order given; an empty list for an empty sequence.

        Raises:
            InternalError: the cursors are used up.

        Contract: events.batch.consecutive, events.batch.all-or-none, events.batch.empty.
        """

    @abstractmethod
    async def poll(self, after_cursor: int, limit: int) -> list[MobEvent]:
        """The events with a cursor greater than `after_cursor`, ascending, at most `limit`.

        Args:
            after_cursor: 0 to 2**63 - 1; 0 for the beginning.
            limit: 0 to 2**63 - 1; 0 gives an empty list.

        Raises:
            InternalError: an argument is out of range.

        Contract: events.poll.order, events.poll.bounds, events.poll.range.
        """

    @abstractmethod
    async def replay_all(self) -> list[MobEvent]:
        """All events, ascending by cursor.

        Contract: events.replay.all.
        """

    @abstractmethod
    async def clear(self) -> None:
        """Remove all events; runs, specs and profiles stay, and cursors go on where they were.

        Contract: events.clear.keeps-cursors.
        """

    @abstractmethod
    async def prune(self, older_than: Timestamp | datetime) -> int:
        """Remove the events whose time is before `older_than` (not those at it).

        Returns:
            How many were removed.

        Raises:
            SerializationError: a datetime without a time zone.

        Contract: events.prune.strict, events.prune.keeps-cursors.
        """


class MobRunStore(ABC):
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

        Contract: runs.create.round-trip, runs.create.twice.
        """

    @abstractmethod
    async def get_run(self, run_id: UUID) -> MobRun | None:
        """The run with all its ledgers, frames, loops and outputs, or None.

        Contract: runs.create.round-trip, runs.get.missing.
        """

    @abstractmethod
    async def list_runs(self, mob_id: str, flow_id: str | None = None) -> list[MobRun]:
        """The runs of a mob, or of one of its flows, in the order of their creation.

        Contract: runs.list.order, runs.list.filter.
        """

    @abstractmethod
    async def cas_run_status(
        self,
        run_id: UUID,
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
        run_id: UUID,
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
        run_id: UUID,
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
    async def append_step_entry(self, run_id: UUID, entry: StepLedgerEntry) -> None:
        """Append to the step ledger, also a duplicate, whatever the run's status.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.steps.append, runs.ledger.missing.
        """

    @abstractmethod
    async def append_step_entry_if_absent(self, run_id: UUID, entry: StepLedgerEntry) -> bool:
        """Append unless the ledger has an entry of this step, member and status.

        Returns:
            Whether it was appended. Output and time are neither compared nor updated.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.steps.if-absent, runs.ledger.missing.
        """

    @abstractmethod
    async def put_step_output(self, run_id: UUID, step_id: str, output: JsonValue) -> None:
        """Set the output of the last entry of this step, whatever its member or status.

        Raises:
            NotFoundError: there is no such run.
            InternalError: the ledger has no entry of this step.

        Contract: runs.steps.output, runs.ledger.missing.
        """

    @abstractmethod
    async def append_failure_entry(self, run_id: UUID, entry: FailureLedgerEntry) -> None:
        """Append to the failure ledger.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.failures.append, runs.ledger.missing.
        """

    @abstractmethod
    async def upsert_loop_snapshot(
        self,
        run_id: UUID,
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
        run_id: UUID,
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
        run_id: UUID,
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
        run_id: UUID,
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
            InternalError: the iteration is more than 65,536 past the last recorded one.

        Contract: runs.outputs.root, runs.outputs.loop, runs.outputs.padding, runs.ledger.missing.
        """

    @abstractmethod
    async def cas_start_loop(
        self,
        run_id: UUID,
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
        run_id: UUID,
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
        run_id: UUID,
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
        run_id: UUID,
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
        run_id: UUID,
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


class MobSpecStore(ABC):
    """The definitions of mobs, each with a revision.

    A spec starts at revision 1 and grows by one with each write; after a delete it starts again.
    """

    @abstractmethod
    async def put_spec(
        self, mob_id: str, definition: MobDefinition, revision: int | None = None
    ) -> int:
        """Write a spec; `definition.id` is not compared with `mob_id`.

        Args:
            mob_id: the mob.
            definition: its definition.
            revision: the revision last read, 0 if there must be none; None writes in any case.

        Returns:
            The new revision.

        Raises:
            SpecRevisionConflictError: the stored revision (0 if there is none) is another.

        Contract: specs.put.revisions, specs.put.conflict, specs.put.create-only.
        """

    @abstractmethod
    async def get_spec(self, mob_id: str) -> tuple[MobDefinition, int] | None:
        """The definition and its revision, or None.

        Contract: specs.put.revisions.
        """

    @abstractmethod
    async def list_specs(self) -> list[MobId]:
        """The mobs that have a spec, ascending.

        Contract: specs.list.order.
        """

    @abstractmethod
    async def delete_spec(self, mob_id: str, revision: int | None = None) -> bool:
        """Remove a spec, if `revision` is given only at that one.

        Returns:
            Whether it was removed; False if there is none, or it is at another revision.

        Contract: specs.delete.revision.
        """


class RealmProfileStore(ABC):
    """Profiles that the mobs of a realm share, each with a revision.

    A profile starts at revision 1 and grows by one with each update; after a delete it starts
    again. Both times come from the store's clock.
    """

    @abstractmethod
    async def create(self, name: str, profile: Profile) -> StoredRealmProfile:
        """Add a profile.

        Returns:
            What was stored: revision 1, both times now.

        Raises:
            CasConflictError: there is one of this name.

        Contract: profiles.create.twice, profiles.update.revisions.
        """

    @abstractmethod
    async def get(self, name: str) -> StoredRealmProfile | None:
        """The profile, or None.

        Contract: profiles.update.revisions.
        """

    @abstractmethod
    async def update(
        self, name: str, profile: Profile, expected_revision: int
    ) -> StoredRealmProfile:
        """Replace a profile's content; `created_at` stays, `updated_at` becomes now.

        Returns:
            What was stored, at revision `expected_revision` + 1.

        Raises:
            NotFoundError: there is none of this name.
            CasConflictError: it is at another revision.

        Contract: profiles.update.revisions, profiles.update.conflict.
        """

    @abstractmethod
    async def delete(self, name: str, expected_revision: int) -> StoredRealmProfile:
        """Remove a profile.

        Returns:
            What was removed.

        Raises:
            NotFoundError: there is none of this name.
            CasConflictError: it is at another revision.

        Contract: profiles.delete.revision.
        """

    @abstractmethod
    async def list(self) -> builtins.list[StoredRealmProfile]:
        """All profiles, ascending by name.

        Contract: profiles.list.order.
        """
