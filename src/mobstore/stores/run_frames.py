"""Compare-and-swap of a run's frames and loops."""

from __future__ import annotations

from typing import Generic, TypeVar, cast
from uuid import UUID

from mobstore.codec.arguments import (
    number,
    output_text,
    snapshot_text,
    state_text,
    text,
)
from mobstore.codec.runs import iteration_row, run_key
from mobstore.errors import UsageError
from mobstore.model.json import U64_MAX, JsonInput
from mobstore.model.kernel import KernelState
from mobstore.model.run import (
    FrameSnapshot,
    LoopIterationLedgerEntry,
    LoopSnapshot,
)
from mobstore.operations import frames
from mobstore.operations.frames import KeyedSwap
from mobstore.operations.runs import Swap
from mobstore.scripts.tables import LoopIterationRow
from mobstore.stores.run_reader import MobRunReader
from mobstore.stores.won import Won_co

S = TypeVar("S", FrameSnapshot, LoopSnapshot)


class MobRunFrames(MobRunReader, Generic[Won_co]):
    """The methods of `MobRunStore` that change frames and loops.

    A base class only to keep modules short; use `MobRunStore`, which documents compare-and-swap.
    """

    async def upsert_loop_snapshot(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        snapshot: LoopSnapshot,
        ledger_entry: LoopIterationLedgerEntry | None = None,
    ) -> None:
        """Set a loop's state unconditionally, and record an iteration.

        `ledger_entry` is appended unless the ledger has one with the same loop instance,
        iteration and frame, so the call may be repeated.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.loops.upsert, runs.ledger.missing.
        """
        key, loop = run_key(run_id), text(loop_instance_id, "loop_instance_id")
        state = snapshot_text(snapshot, LoopSnapshot, "snapshot")
        entry = None if ledger_entry is None else iteration_row(key, 0, ledger_entry)
        await self._engine.write(lambda: frames.upsert_loop_snapshot(key, loop, state, entry))

    async def cas_frame_state(
        self,
        run_id: UUID | str,
        *,
        frame_id: str,
        expected: FrameSnapshot | None,
        next: FrameSnapshot,
    ) -> Won_co:
        """Replace a frame that equals `expected`; None: add a frame that must not exist.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.frames.cas, runs.frames.create-only, runs.ledger.missing.
        """
        frame = _frame(frame_id, expected, next)
        return await self._cas(run_id, "runs.cas_frame_state", frame=frame)

    async def cas_grant_node_slot(
        self,
        run_id: UUID | str,
        *,
        expected_run_state: KernelState,
        next_run_state: KernelState,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
    ) -> Won_co:
        """Replace the flow state and a frame, if both are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """
        return await self._cas(
            run_id,
            "runs.cas_grant_node_slot",
            flow_state=state_swap(expected_run_state, next_run_state),
            frame=_frame(frame_id, _given(expected_frame), next_frame),
        )

    async def cas_complete_step_and_record_output(
        self,
        run_id: UUID | str,
        *,
        frame_id: str,
        expected_frame: FrameSnapshot,
        next_frame: FrameSnapshot,
        step_output_key: str,
        step_output: JsonInput,
        loop_context: tuple[str, int] | None = None,
    ) -> Won_co:
        """Replace a frame that is as expected, and record a step's output.

        The flow state is not compared.

        Args:
            run_id: the run.
            frame_id: the frame.
            expected_frame: the expected frame.
            next_frame: the next frame.
            step_output_key: the step. A recorded output is replaced and keeps its position.
            step_output: free JSON.
            loop_context: None for `root_step_outputs`; a loop id and an iteration (from 0) for
                `loop_iteration_outputs`, where missing iterations before it become empty.

        Raises:
            NotFoundError: there is no such run.
            InternalError: the call would leave out iterations, and the run's loops would have
                more than 1,024 of them plus 16 for each output.

        Contract: runs.outputs.root, runs.outputs.loop, runs.outputs.padding,
            runs.outputs.allowance, runs.ledger.missing.
        """
        key, step = run_key(run_id), text(step_output_key, "step_output_key")
        frame = _frame(frame_id, _given(expected_frame), next_frame)
        output = output_text(step_output, "step_output")
        loop = None if loop_context is None else _loop_context(loop_context)
        won = await self._engine.write(
            lambda: frames.cas_complete_step(key, frame, step, output, loop)
        )
        return cast("Won_co", won)

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
    ) -> Won_co:
        """Replace flow state and frame, if as expected, and add a loop that must not exist.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """
        return await self._cas(
            run_id,
            "runs.cas_start_loop",
            flow_state=state_swap(expected_run_state, next_run_state),
            frame=_frame(frame_id, _given(expected_frame), next_frame),
            loop=_loop(loop_instance_id, None, initial_loop),
        )

    async def cas_loop_request_body_frame(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        expected_loop: LoopSnapshot,
        next_loop: LoopSnapshot,
        expected_run_state: KernelState,
        next_run_state: KernelState,
    ) -> Won_co:
        """Replace the flow state and a loop, if both are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """
        return await self._cas(
            run_id,
            "runs.cas_loop_request_body_frame",
            flow_state=state_swap(expected_run_state, next_run_state),
            loop=_loop(loop_instance_id, _given(expected_loop), next_loop),
        )

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
    ) -> Won_co:
        """Replace flow state and loop, if as expected, and add a frame that must not exist.

        `ledger_entry` is appended to the loop iteration ledger unless it is there already.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.wrappers.body-frame-ledger, runs.ledger.missing.
        """
        return await self._cas(
            run_id,
            "runs.cas_grant_body_frame_start",
            flow_state=state_swap(expected_run_state, next_run_state),
            frame=_frame(frame_id, None, initial_frame),
            loop=_loop(loop_instance_id, _given(expected_loop), next_loop),
            entry=iteration_row(run_key(run_id), 0, ledger_entry),
        )

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
    ) -> Won_co:
        """Replace flow state, loop and body frame, if all are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """
        return await self._cas(
            run_id,
            "runs.cas_complete_body_frame",
            flow_state=state_swap(expected_run_state, next_run_state),
            frame=_frame(frame_id, _given(expected_frame), next_frame),
            loop=_loop(loop_instance_id, _given(expected_loop), next_loop),
        )

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
    ) -> Won_co:
        """Replace flow state, loop and the loop's parent frame, if all are as expected.

        Raises:
            NotFoundError: there is no such run.

        Contract: runs.wrappers.all-or-none, runs.ledger.missing.
        """
        return await self._cas(
            run_id,
            "runs.cas_complete_loop",
            flow_state=state_swap(expected_run_state, next_run_state),
            frame=_frame(frame_id, _given(expected_frame), next_frame),
            loop=_loop(loop_instance_id, _given(expected_loop), next_loop),
        )

    async def _cas(
        self,
        run_id: UUID | str,
        method: str,
        *,
        flow_state: Swap | None = None,
        frame: KeyedSwap | None = None,
        loop: KeyedSwap | None = None,
        entry: LoopIterationRow | None = None,
    ) -> Won_co:
        key = run_key(run_id)
        won = await self._engine.write(
            lambda: frames.cas_states(
                key, method=method, flow_state=flow_state, frame=frame, loop=loop, entry=entry
            )
        )
        return cast("Won_co", won)


def state_swap(expected: KernelState, next: KernelState) -> Swap:
    """Encode a compare-and-swap of a kernel state."""
    return Swap(state_text(expected, "expected state"), state_text(next, "next state"))


def _frame(frame_id: str, expected: FrameSnapshot | None, next: FrameSnapshot) -> KeyedSwap:
    return _keyed("frame", frame_id, expected, next, FrameSnapshot)


def _loop(loop_instance_id: str, expected: LoopSnapshot | None, next: LoopSnapshot) -> KeyedSwap:
    return _keyed("loop", loop_instance_id, expected, next, LoopSnapshot)


def _given(snapshot: S) -> S:
    """Reject None, which a script would take as "must not exist"."""
    if snapshot is None:
        raise UsageError("an expected snapshot must not be None")
    return snapshot


def _keyed(
    what: str,
    key: str,
    expected: FrameSnapshot | LoopSnapshot | None,
    next: FrameSnapshot | LoopSnapshot,
    kind: type[FrameSnapshot | LoopSnapshot],
) -> KeyedSwap:
    return KeyedSwap(
        text(key, f"{what} id"),
        None if expected is None else snapshot_text(expected, kind, f"expected {what}"),
        snapshot_text(next, kind, f"next {what}"),
    )


def _loop_context(context: tuple[str, int]) -> tuple[str, int]:
    if not isinstance(context, tuple) or len(context) != 2:
        raise UsageError("loop_context must be a loop id and an iteration")
    loop_id, iteration = context
    return text(loop_id, "loop_id"), number(iteration, "iteration", most=U64_MAX)
