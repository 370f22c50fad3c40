"""Flow runs on an engine: what changes them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from pydantic import JsonValue

from mobstore.arguments import (
    any_moment,
    choice,
    number,
    output_text,
    run_key,
    snapshot_text,
    state_text,
    text,
)
from mobstore.errors import SerializationError
from mobstore.interfaces import MobRunStore
from mobstore.model.json import U64_MAX
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
from mobstore.operations import retention, runs
from mobstore.operations.runs import KeyedSwap, Swap
from mobstore.rows.runs import RUN_STATUSES, RunRows, failure_row, iteration_row, step_row
from mobstore.stores.run_reading import EngineRunReader
from mobstore.tables import LoopIterationRow
from mobstore.transaction import is_within_atomic

_PRUNED_AT_ONCE = 256  # runs

S = TypeVar("S", FrameSnapshot, LoopSnapshot)


class EngineRunStore(EngineRunReader, MobRunStore):
    """Flow runs on an engine."""

    async def create_run(self, run: MobRun) -> None:
        encoded = RunRows(run)
        await self._engine.write(lambda: runs.create_run(encoded))

    async def cas_run_status(
        self,
        run_id: UUID | str,
        *,
        expected: MobRunStatus,
        next: MobRunStatus,  # noqa: A002 - the reference's name
    ) -> bool:
        key, now = run_key(run_id), self._now().sortable
        before = choice(expected, RUN_STATUSES, "expected")
        after = choice(next, RUN_STATUSES, "next")
        return await self._engine.write(lambda: runs.cas_run_status(key, before, after, now))

    async def cas_flow_state(
        self,
        run_id: UUID | str,
        *,
        expected: KernelState,
        next: KernelState,  # noqa: A002 - the reference's name
    ) -> bool:
        key = run_key(run_id)
        before, after = (
            state_text(expected, "expected"),
            state_text(next, "next"),
        )
        return await self._engine.write(lambda: runs.cas_flow_state(key, before, after))

    async def cas_run_snapshot(
        self,
        run_id: UUID | str,
        *,
        expected_status: MobRunStatus,
        expected_flow_state: KernelState,
        next_status: MobRunStatus,
        next_flow_state: KernelState,
    ) -> bool:
        key, now = run_key(run_id), self._now().sortable
        status = choice(expected_status, RUN_STATUSES, "expected_status")
        following = choice(next_status, RUN_STATUSES, "next_status")
        state = _swap(expected_flow_state, next_flow_state)
        return await self._engine.write(
            lambda: runs.cas_run_snapshot(
                key, status, state.expected, following, state.following, now
            )
        )

    async def append_step_entry(self, run_id: UUID | str, entry: StepLedgerEntry) -> None:
        row = step_row(run_key(run_id), 0, entry)
        await self._engine.write(lambda: runs.append_step_entry(row))

    async def append_step_entry_if_absent(self, run_id: UUID | str, entry: StepLedgerEntry) -> bool:
        row = step_row(run_key(run_id), 0, entry)
        return await self._engine.write(lambda: runs.append_step_entry_if_absent(row))

    async def put_step_output(self, run_id: UUID | str, step_id: str, output: JsonValue) -> None:
        key, step = run_key(run_id), text(step_id, "step_id")
        encoded = output_text(output, "output")
        await self._engine.write(lambda: runs.put_step_output(key, step, encoded))

    async def append_failure_entry(self, run_id: UUID | str, entry: FailureLedgerEntry) -> None:
        row = failure_row(run_key(run_id), 0, entry)
        await self._engine.write(lambda: runs.append_failure_entry(row))

    async def upsert_loop_snapshot(
        self,
        run_id: UUID | str,
        *,
        loop_instance_id: str,
        snapshot: LoopSnapshot,
        ledger_entry: LoopIterationLedgerEntry | None = None,
    ) -> None:
        key, loop = run_key(run_id), text(loop_instance_id, "loop_instance_id")
        state = snapshot_text(snapshot, LoopSnapshot, "snapshot")
        entry = None if ledger_entry is None else iteration_row(key, 0, ledger_entry)
        await self._engine.write(lambda: runs.upsert_loop_snapshot(key, loop, state, entry))

    async def cas_frame_state(
        self,
        run_id: UUID | str,
        *,
        frame_id: str,
        expected: FrameSnapshot | None,
        next: FrameSnapshot,  # noqa: A002 - the reference's name
    ) -> bool:
        return await self._cas(run_id, frame=_frame(frame_id, expected, next))

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
        return await self._cas(
            run_id,
            flow_state=_swap(expected_run_state, next_run_state),
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
        step_output: JsonValue,
        loop_context: tuple[str, int] | None = None,
    ) -> bool:
        key, step = run_key(run_id), text(step_output_key, "step_output_key")
        frame = _frame(frame_id, _given(expected_frame), next_frame)
        output = output_text(step_output, "step_output")
        loop = None if loop_context is None else _loop_context(loop_context)
        return await self._engine.write(
            lambda: runs.cas_complete_step(key, frame, step, output, loop)
        )

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
        return await self._cas(
            run_id,
            flow_state=_swap(expected_run_state, next_run_state),
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
    ) -> bool:
        return await self._cas(
            run_id,
            flow_state=_swap(expected_run_state, next_run_state),
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
    ) -> bool:
        return await self._cas(
            run_id,
            flow_state=_swap(expected_run_state, next_run_state),
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
    ) -> bool:
        return await self._cas(
            run_id,
            flow_state=_swap(expected_run_state, next_run_state),
            frame=_frame(frame_id, _given(expected_frame), next_frame),
            loop=_loop(loop_instance_id, _given(expected_loop), next_loop),
        )

    async def delete_run(self, run_id: UUID | str) -> bool:
        key = run_key(run_id)
        return await self._engine.write(lambda: retention.delete_run(key))

    async def prune_runs(
        self,
        older_than: Timestamp | datetime,
        status: MobRunStatus | Collection[MobRunStatus] = ("completed", "failed", "canceled"),
    ) -> int:
        moment = any_moment(older_than, "older_than").sortable
        given: tuple[str, ...]
        if isinstance(status, Collection) and not isinstance(status, str):
            given = tuple(status)
        else:
            given = (status,)
        statuses = sorted({choice(one, RUN_STATUSES, "status") for one in given})
        most = None if is_within_atomic() else _PRUNED_AT_ONCE
        pruned = 0
        while True:
            some = await self._engine.write(lambda: retention.prune_runs(moment, statuses, most))
            pruned += some
            if most is None or some < most:
                return pruned

    # The same change; only the meaning of the frame differs: here it is the loop's parent.
    cas_complete_loop = cas_complete_body_frame

    async def _cas(
        self,
        run_id: UUID | str,
        *,
        flow_state: Swap | None = None,
        frame: KeyedSwap | None = None,
        loop: KeyedSwap | None = None,
        entry: LoopIterationRow | None = None,
    ) -> bool:
        key = run_key(run_id)
        return await self._engine.write(
            lambda: runs.cas_states(key, flow_state=flow_state, frame=frame, loop=loop, entry=entry)
        )


def _swap(expected: KernelState, following: KernelState) -> Swap:
    return Swap(
        state_text(expected, "expected state"),
        state_text(following, "next state"),
    )


def _frame(frame_id: str, expected: FrameSnapshot | None, following: FrameSnapshot) -> KeyedSwap:
    return _keyed("frame", frame_id, expected, following, FrameSnapshot)


def _loop(
    loop_instance_id: str, expected: LoopSnapshot | None, following: LoopSnapshot
) -> KeyedSwap:
    return _keyed("loop", loop_instance_id, expected, following, LoopSnapshot)


def _given(snapshot: S) -> S:
    """None means "must not exist" to a script; it is not for callers to say so everywhere."""
    if snapshot is None:
        raise SerializationError("an expected snapshot must be given")
    return snapshot


def _keyed(
    what: str,
    key: str,
    expected: FrameSnapshot | LoopSnapshot | None,
    following: FrameSnapshot | LoopSnapshot,
    kind: type[FrameSnapshot | LoopSnapshot],
) -> KeyedSwap:
    return KeyedSwap(
        text(key, f"{what} id"),
        None if expected is None else snapshot_text(expected, kind, f"expected {what}"),
        snapshot_text(following, kind, f"next {what}"),
    )


def _loop_context(context: tuple[str, int]) -> tuple[str, int]:
    if not isinstance(context, tuple) or len(context) != 2:
        raise SerializationError("loop_context must be a loop id and an iteration")
    loop_id, iteration = context
    return text(loop_id, "loop_id"), number(iteration, "iteration", most=U64_MAX)
