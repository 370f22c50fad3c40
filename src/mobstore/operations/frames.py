"""Scripts of a run's frames and loops, and of the outputs of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from mobstore.codec.runs import FREE_ITERATIONS, ITERATIONS_PER_OUTPUT, outputs_needed
from mobstore.errors import InternalError
from mobstore.model.json import I64_MAX
from mobstore.operations.ledgers import last_entry, next_entry, require_run
from mobstore.operations.runs import Swap, other_flow_state, put_flow_state
from mobstore.scripts.tables import (
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_ITERATIONS_BY_IDENTITY,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    LOOPS,
    ROOT_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_STATES,
    RUNS,
    FrameRow,
    LoopIterationRow,
    LoopOutputRow,
    LoopRow,
    LoopStepOutputRow,
    RootStepOutputRow,
    RunRow,
    RunStateRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    Get,
    Put,
    ReadOf,
    Scan,
    Script,
    ScriptPart,
    Write,
    add_or_put,
    fetch,
    refuse,
)


class KeyedSwap(NamedTuple):
    """A compare-and-swap of one frame or loop; with `expected` None it is added."""

    key: str
    expected: str | None
    next: str


def cas_states(
    run_id: str,
    *,
    method: str,
    flow_state: Swap | None = None,
    frame: KeyedSwap | None = None,
    loop: KeyedSwap | None = None,
    entry: LoopIterationRow | None = None,
) -> Script[bool]:
    """Replace any of a run's flow state, one frame and one loop, if all are as expected.

    The status is not compared, and states are opaque. `entry` is appended to the loop iteration
    ledger unless it is there. Seven of the eight compare-and-swap wrappers are this script;
    `method` is the name of one.
    """
    holder: ReadOf[RunStateRow | RunRow | None]
    holder = Get(RUN_STATES, (run_id,)) if flow_state else Get(RUNS, (run_id,))
    run, stored_frame, stored_loop = yield from fetch(
        holder,
        Get(FRAMES, (run_id, frame.key if frame else "")),
        Get(LOOPS, (run_id, loop.key if loop else "")),
    )
    require_run(run, run_id)
    writes: list[Write] = []
    if flow_state:
        state = cast("RunStateRow", run)
        if state.flow_state != flow_state.expected:
            return refuse(method, run_id, other_flow_state(run_id))
        writes.append(put_flow_state(run_id, flow_state.next))
    if frame:
        if _state_of(stored_frame) != frame.expected:
            return refuse(method, run_id, _other_state("frame", frame, run_id))
        row = FrameRow(run_id, frame.key, frame.next)
        writes.append(add_or_put(FRAMES, stored_frame, row))
    if loop:
        if _state_of(stored_loop) != loop.expected:
            return refuse(method, run_id, _other_state("loop", loop, run_id))
        writes.append(add_or_put(LOOPS, stored_loop, LoopRow(run_id, loop.key, loop.next)))
    if entry:
        writes.extend((yield from _iteration_if_absent(entry)))
    return Commit(True, tuple(writes))


def cas_complete_step(
    run_id: str, frame: KeyedSwap, step_id: str, output: str, loop: tuple[str, int] | None
) -> Script[bool]:
    """Replace a frame if it is as expected, and record a step's output.

    Args:
        run_id: the run.
        frame: the frame; it must be there.
        step_id: the key of the output; a replaced output keeps its position.
        output: free JSON.
        loop: None: the output of a root step. Otherwise a loop id and an iteration. Missing
            iterations before it become empty ones, within the limits of a run.
    """
    stored_frame, length = yield from fetch(
        Get(FRAMES, (run_id, frame.key)),
        Get(LOOP_OUTPUTS, (run_id, loop[0] if loop else "")),
    )
    if _state_of(stored_frame) != frame.expected:
        require_run((yield from fetch(Get(RUNS, (run_id,)))), run_id)  # no frame without its run
        reason = _other_state("frame", frame, run_id)
        return refuse("runs.cas_complete_step_and_record_output", run_id, reason)
    put_frame = Put(FRAMES, (FrameRow(run_id, frame.key, frame.next),))
    if loop is None:
        same, last = yield from fetch(
            Get(ROOT_STEP_OUTPUTS, (run_id, step_id)),
            Scan(ROOT_STEP_OUTPUTS_BY_POSITION, (run_id,), limit=1, backwards=True),
        )
        row = RootStepOutputRow(run_id, step_id, _place(same, last), output)
        return Commit(True, (put_frame, add_or_put(ROOT_STEP_OUTPUTS, same, row)))
    loop_id, iteration = loop
    iterations = 0 if length is None else length.iterations
    if iteration > iterations:  # others add an output each
        yield from _require_allowance(run_id, loop_id, iterations, iteration)
    place, same_in_loop = 0, None
    if iteration < iterations:  # a new iteration has no output yet
        same_in_loop, last_in_loop = yield from fetch(
            Get(LOOP_STEP_OUTPUTS, (run_id, loop_id, iteration, step_id)),
            Scan(
                LOOP_STEP_OUTPUTS_BY_POSITION, (run_id, loop_id, iteration), limit=1, backwards=True
            ),
        )
        place = _place(same_in_loop, last_in_loop)
    output_row = LoopStepOutputRow(run_id, loop_id, iteration, step_id, place, output)
    writes: list[Write] = [put_frame, add_or_put(LOOP_STEP_OUTPUTS, same_in_loop, output_row)]
    if iteration >= iterations:
        longer = LoopOutputRow(run_id, loop_id, iteration + 1)
        writes.append(add_or_put(LOOP_OUTPUTS, length, longer))
    return Commit(True, tuple(writes))


def _require_allowance(
    run_id: str, loop_id: str, iterations: int, iteration: int
) -> ScriptPart[None]:
    """Raise if the next output would leave out more iterations than a run may have."""
    loops = yield from fetch(Scan(LOOP_OUTPUTS, (run_id,)))
    needed = outputs_needed(sum(loop.iterations for loop in loops) - iterations + iteration + 1)
    if needed <= 1:
        return  # the next output is enough
    recorded = yield from fetch(Count(Scan(LOOP_STEP_OUTPUTS, (run_id,))))
    if recorded + 1 < needed:
        raise InternalError(
            f"loop iteration {iteration} is too far past the last recorded one of loop"
            f" '{loop_id}': the loops of a run may have {FREE_ITERATIONS} iterations, and"
            f" {ITERATIONS_PER_OUTPUT} more for each of their outputs"
        )


def upsert_loop_snapshot(
    run_id: str, loop_instance_id: str, state: str, entry: LoopIterationRow | None
) -> Script[None]:
    """Set a loop's state unconditionally; append `entry` to the ledger unless it is there."""
    run, stored = yield from fetch(Get(RUNS, (run_id,)), Get(LOOPS, (run_id, loop_instance_id)))
    require_run(run, run_id)
    loop = LoopRow(run_id, loop_instance_id, state)
    writes: tuple[Write, ...] = (add_or_put(LOOPS, stored, loop),)
    if entry:
        writes += yield from _iteration_if_absent(entry)
    return Commit(None, writes)


def _iteration_if_absent(
    entry: LoopIterationRow,
) -> ScriptPart[tuple[Write, ...]]:
    identity = (entry.run_id, entry.loop_instance_id, entry.iteration, entry.frame_id)
    same, last = yield from fetch(
        Scan(LOOP_ITERATIONS_BY_IDENTITY, identity, limit=1),
        last_entry(LOOP_ITERATIONS, entry.run_id),
    )
    return () if same else (Add(LOOP_ITERATIONS, (next_entry(last, entry),)),)


def _state_of(row: FrameRow | LoopRow | None) -> str | None:
    return None if row is None else row.kernel_state


def _other_state(what: str, swap: KeyedSwap, run_id: str) -> str:
    return f"{what} '{swap.key}' of run {run_id} has another state"


def _place(
    same: RootStepOutputRow | LoopStepOutputRow | None,
    last: Sequence[RootStepOutputRow] | Sequence[LoopStepOutputRow],
) -> int:
    if same is not None:
        return same.position
    if last and last[0].position >= I64_MAX:
        raise InternalError(f"run {last[0].run_id} has an output at the last possible position")
    return last[0].position + 1 if last else 0
