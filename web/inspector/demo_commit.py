"""One move of the demo, applied to the stores in one atomic call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from inspector.demo_definition import DEMO_MOB
from inspector.demo_moves import Move, Swap
from mobstore import (
    Claim,
    FailureLedgerEntry,
    FrameId,
    FrameSnapshot,
    KernelState,
    LoopInstanceId,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MeerkatId,
    MobRunStore,
    MobStores,
    NewMobEvent,
    StepId,
    StepLedgerEntry,
    Stores,
    Timestamp,
)


async def commit_move(
    stores: MobStores, claim: Claim, run_id: UUID, move: Move, now: Timestamp
) -> list[int]:
    """Make a move if the run is still in the states that it expects.

    Args:
        stores: the stores that hold the run.
        claim: the claim on the run.
        run_id: the run.
        move: the move.
        now: the time of its ledger entries and events.

    Returns:
        The cursors of its events.

    Raises:
        ClaimLostError: the claim is lost; nothing was written.
        RefusedError: a comparison failed; nothing was written.
        NotFoundError: the run no longer exists.
    """
    events = [NewMobEvent(mob_id=DEMO_MOB, kind=kind, timestamp=now) for kind in move.events]

    async def work(at: Stores) -> list[int]:
        await _swap(at.runs, run_id, move)
        if move.method == "finish_run":
            await at.runs.finish_run(run_id, "completed", *events, claim=claim)
            return [await at.events.latest_cursor()]
        await _record(at.runs, run_id, move, now)
        return [event.cursor for event in await at.events.append_batch(events)]

    return await stores.atomic(work, claim=claim)


async def _swap(runs: MobRunStore, run_id: UUID, move: Move) -> None:
    """Compare and swap the states with the method that the move names."""
    match move:
        case Move(method="finish_run", flow=Swap(_, KernelState() as expected, next_state)):
            await runs.cas_flow_state(run_id, expected=expected, next=next_state)
        case Move(
            status=(expected_status, next_status),
            flow=Swap(_, KernelState() as expected, next_state),
        ):
            await runs.cas_run_snapshot(
                run_id,
                expected_status=expected_status,
                expected_flow_state=expected,
                next_status=next_status,
                next_flow_state=next_state,
            )
        case Move(
            output=(step, output, of_loop), flow=Swap(_, KernelState() as expected, next_state)
        ):
            await runs.cas_flow_state(run_id, expected=expected, next=next_state)
            await runs.cas_complete_step_and_record_output(
                run_id,
                **_of_frame(move.frame),
                step_output_key=step,
                step_output=output,
                loop_context=of_loop,
            )
        case Move(flow=None, frame=Swap(frame, expected, next_state)):
            await runs.cas_frame_state(
                run_id,
                frame_id=frame,
                expected=None if expected is None else FrameSnapshot(kernel_state=expected),
                next=FrameSnapshot(kernel_state=next_state),
            )
        case _:
            method = getattr(runs, move.method)
            states = _of_run(move.flow) | _of_frame(move.frame) | _of_loop(move.loop)
            await method(run_id, **states, **_of_iteration(move))


async def _record(runs: MobRunStore, run_id: UUID, move: Move, now: Timestamp) -> None:
    """Append to the ledgers of steps and failures."""
    if move.step:
        step, member, status, output = move.step
        entry = StepLedgerEntry(
            step_id=StepId(step),
            meerkat_id=MeerkatId(member),
            status=status,
            output=output,
            timestamp=now,
        )
        await runs.append_step_entry(run_id, entry)
    if move.failure:
        step, reason = move.failure
        failure = FailureLedgerEntry(step_id=StepId(step), reason=reason, timestamp=now)
        await runs.append_failure_entry(run_id, failure)


# Arguments of the methods, by their names ------------------------------------------------------


def _of_run(swap: Swap | None) -> dict[str, Any]:
    if swap is None:
        return {}
    return {"expected_run_state": swap.expected, "next_run_state": swap.next}


def _of_frame(swap: Swap | None) -> dict[str, Any]:
    if swap is None:
        return {}
    after = FrameSnapshot(kernel_state=swap.next)
    if swap.expected is None:
        return {"frame_id": swap.key, "initial_frame": after}
    before = FrameSnapshot(kernel_state=swap.expected)
    return {"frame_id": swap.key, "expected_frame": before, "next_frame": after}


def _of_loop(swap: Swap | None) -> dict[str, Any]:
    if swap is None:
        return {}
    after = LoopSnapshot(kernel_state=swap.next)
    if swap.expected is None:
        return {"loop_instance_id": swap.key, "initial_loop": after}
    before = LoopSnapshot(kernel_state=swap.expected)
    return {"loop_instance_id": swap.key, "expected_loop": before, "next_loop": after}


def _of_iteration(move: Move) -> dict[str, Any]:
    if move.iteration is None:
        return {}
    loop, iteration, frame = move.iteration
    entry = LoopIterationLedgerEntry(
        loop_instance_id=LoopInstanceId(loop), iteration=iteration, frame_id=FrameId(frame)
    )
    return {"ledger_entry": entry}
