"""Scripts that change runs.

Of a missing run, a compare-and-swap on status or flow state gives False; everything else raises
`NotFoundError`. All comparisons are made before any write. Kernel states are compared as canonical
text.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from mobstore.errors import InternalError, NotFoundError
from mobstore.model.json import I64_MAX
from mobstore.model.run import is_terminal
from mobstore.rows.runs import FREE_ITERATIONS, ITERATIONS_PER_OUTPUT, RunRows, outputs_needed
from mobstore.tables import (
    COUNTERS,
    FAILURE_LEDGER,
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
    RUNS_BY_NUMBER,
    STEP_LEDGER,
    STEP_LEDGER_BY_IDENTITY,
    STEP_LEDGER_BY_STEP,
    CounterRow,
    FailureLedgerRow,
    FrameRow,
    LoopIterationRow,
    LoopOutputRow,
    LoopRow,
    LoopStepOutputRow,
    RootStepOutputRow,
    RunRow,
    RunStateRow,
    StepLedgerRow,
    Table,
)
from mobstore.transaction import (
    Add,
    Commit,
    Count,
    Get,
    Put,
    Read,
    Scan,
    Script,
    Write,
    add_or_put,
    below_first,
    fetch,
    key_in_use,
    refuse,
)

PositionedRow = TypeVar("PositionedRow", StepLedgerRow, FailureLedgerRow, LoopIterationRow)

NEXT_RUN = "next_run"


# New runs --------------------------------------------------------------------------------------


def create_run(run: RunRows) -> Script[None]:
    """Add a run exactly as given."""
    present, counter, last = yield from fetch(
        Get(RUNS, (run.run_id,)),
        Get(COUNTERS, (NEXT_RUN,)),
        Scan(RUNS_BY_NUMBER, limit=1, backwards=True),
    )
    if present is not None:
        raise InternalError(f"run already exists: {run.run_id}")
    number = 1 if counter is None else counter.value
    if number < 1:
        raise below_first(NEXT_RUN, number)
    if max(number, last[0].number + 1 if last else 0) >= I64_MAX:
        raise InternalError("the numbers of runs are used up")
    if last and last[0].number >= number:  # two runs of one number could not be told apart in order
        raise key_in_use(RUNS, (last[0].number,), "number")
    count = CounterRow(NEXT_RUN, number + 1)
    return Commit(None, (*add_run(run, number), add_or_put(COUNTERS, counter, count)))


def add_run(run: RunRows, number: int) -> tuple[Write, ...]:
    """The writes that add a run."""
    adds: tuple[Add[Any], ...] = (
        Add(RUNS, (run.run(number),)),
        Add(RUN_STATES, (run.state,)),
        Add(STEP_LEDGER, run.steps),
        Add(FAILURE_LEDGER, run.failures),
        Add(FRAMES, run.frames),
        Add(LOOPS, run.loops),
        Add(LOOP_ITERATIONS, run.iterations),
        Add(ROOT_STEP_OUTPUTS, run.root_outputs),
        Add(LOOP_OUTPUTS, run.loop_outputs),
        Add(LOOP_STEP_OUTPUTS, run.loop_step_outputs),
    )
    return tuple(add for add in adds if add.rows)


# Status and flow state -------------------------------------------------------------------------


def cas_run_status(run_id: str, expected: str, following: str, now: str) -> Script[bool]:
    """Change the status if it is the expected one and not terminal."""
    run = yield from fetch(Get(RUNS, (run_id,)))
    if run is None or run.status != expected or is_terminal(run.status):
        return refuse(f"run {run_id} is not {expected}, or has ended")
    return Commit(True, (_put_status(run, following, now),))


def cas_flow_state(run_id: str, expected: str, following: str) -> Script[bool]:
    """Replace the flow state if it is the expected one, whatever the status."""
    state = yield from fetch(Get(RUN_STATES, (run_id,)))
    if state is None or state.flow_state != expected:
        return refuse(_other_flow_state(run_id))
    return Commit(True, (_put_flow_state(run_id, following),))


def cas_run_snapshot(
    run_id: str,
    expected_status: str,
    expected_flow_state: str,
    next_status: str,
    next_flow_state: str,
    now: str,
) -> Script[bool]:
    """Change status and flow state if both are as expected and the status is not terminal."""
    run, state = yield from fetch(Get(RUNS, (run_id,)), Get(RUN_STATES, (run_id,)))
    if run is None or run.status != expected_status or is_terminal(run.status):
        return refuse(f"run {run_id} is not {expected_status}, or has ended")
    if state is None or state.flow_state != expected_flow_state:
        return refuse(_other_flow_state(run_id))
    return Commit(
        True, (_put_status(run, next_status, now), _put_flow_state(run_id, next_flow_state))
    )


def _put_status(run: RunRow, status: str, now: str) -> Put[RunRow]:
    """Change the status; the first change to a terminal one sets `completed_at`."""
    ended = now if is_terminal(status) and not run.completed_at else run.completed_at
    return Put(RUNS, (run._replace(status=status, completed_at=ended),))


def _put_flow_state(run_id: str, flow_state: str) -> Put[RunStateRow]:
    return Put(RUN_STATES, (RunStateRow(run_id, flow_state),))


def _other_flow_state(run_id: str) -> str:
    return f"run {run_id} has another flow state"


# Ledgers ---------------------------------------------------------------------------------------


def append_step_entry(entry: StepLedgerRow) -> Script[None]:
    """Append to the step ledger; the entry's own position does not count."""
    run, last = yield from fetch(Get(RUNS, (entry.run_id,)), _last(STEP_LEDGER, entry.run_id))
    require(run, entry.run_id)
    return Commit(None, (Add(STEP_LEDGER, (_after(last, entry),)),))


def append_step_entry_if_absent(entry: StepLedgerRow) -> Script[bool]:
    """Append to the step ledger unless it has an entry of this step, member and status."""
    identity = (entry.run_id, entry.step_id, entry.meerkat_id, entry.status)
    run, same, last = yield from fetch(
        Get(RUNS, (entry.run_id,)),
        Scan(STEP_LEDGER_BY_IDENTITY, identity, limit=1),
        _last(STEP_LEDGER, entry.run_id),
    )
    require(run, entry.run_id)
    if same:
        return Commit(False)
    return Commit(True, (Add(STEP_LEDGER, (_after(last, entry),)),))


def put_step_output(run_id: str, step_id: str, output: str) -> Script[None]:
    """Set the output of the last entry of a step, whatever its member or status."""
    run, last = yield from fetch(
        Get(RUNS, (run_id,)),
        Scan(STEP_LEDGER_BY_STEP, (run_id, step_id), limit=1, backwards=True),
    )
    require(run, run_id)
    if not last:
        raise InternalError(f"cannot set output for unknown step '{step_id}' in run '{run_id}'")
    return Commit(None, (Put(STEP_LEDGER, (last[0]._replace(output=output),)),))


def append_failure_entry(entry: FailureLedgerRow) -> Script[None]:
    """Append to the failure ledger; the entry's own position does not count."""
    run, last = yield from fetch(Get(RUNS, (entry.run_id,)), _last(FAILURE_LEDGER, entry.run_id))
    require(run, entry.run_id)
    return Commit(None, (Add(FAILURE_LEDGER, (_after(last, entry),)),))


def _last(ledger: Table[PositionedRow], run_id: str) -> Scan[PositionedRow]:
    return Scan(ledger, (run_id,), limit=1, backwards=True)


def _after(last: Sequence[PositionedRow], row: PositionedRow) -> PositionedRow:
    if last and last[0].position >= I64_MAX:
        raise InternalError(f"run {row.run_id} has an entry at the last position there is")
    return row._replace(position=last[0].position + 1 if last else 0)


def require(run: object, run_id: str) -> None:
    """Raise `NotFoundError` if there is no such run."""
    if run is None:
        raise NotFoundError(f"run not found: {run_id}")


# Frames and loops ------------------------------------------------------------------------------


class Swap(NamedTuple):
    """A state to replace: what it must be, what it becomes."""

    expected: str
    following: str


class KeyedSwap(NamedTuple):
    """A frame or loop to replace, or to add where `expected` is None: then it must not exist."""

    key: str
    expected: str | None
    following: str


def cas_states(
    run_id: str,
    *,
    flow_state: Swap | None = None,
    frame: KeyedSwap | None = None,
    loop: KeyedSwap | None = None,
    entry: LoopIterationRow | None = None,
) -> Script[bool]:
    """Replace any of a run's flow state, one frame and one loop, if all are as expected.

    Looks neither at the status nor into the states. `entry` goes to the loop iteration ledger
    unless it is there. Seven of the eight compare-and-swap wrappers are this script.
    """
    holder: Read[RunStateRow | RunRow | None]
    holder = Get(RUN_STATES, (run_id,)) if flow_state else Get(RUNS, (run_id,))
    run, stored_frame, stored_loop = yield from fetch(
        holder,
        Get(FRAMES, (run_id, frame.key if frame else "")),
        Get(LOOPS, (run_id, loop.key if loop else "")),
    )
    require(run, run_id)
    writes: list[Write] = []
    if flow_state:
        state = cast("RunStateRow", run)
        if state.flow_state != flow_state.expected:
            return refuse(_other_flow_state(run_id))
        writes.append(_put_flow_state(run_id, flow_state.following))
    if frame:
        if _state_of(stored_frame) != frame.expected:
            return refuse(f"frame '{frame.key}' of run {run_id} has another state")
        row = FrameRow(run_id, frame.key, frame.following)
        writes.append(add_or_put(FRAMES, stored_frame, row))
    if loop:
        if _state_of(stored_loop) != loop.expected:
            return refuse(f"loop '{loop.key}' of run {run_id} has another state")
        writes.append(add_or_put(LOOPS, stored_loop, LoopRow(run_id, loop.key, loop.following)))
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
        step_id: the key of the output; an output recorded before keeps its place.
        output: free JSON.
        loop: None records a root step's output, else that of a loop's iteration; iterations
            before it that have no output yet become empty ones, as far as a run may have such.
    """
    stored_frame, length = yield from fetch(
        Get(FRAMES, (run_id, frame.key)),
        Get(LOOP_OUTPUTS, (run_id, loop[0] if loop else "")),
    )
    if _state_of(stored_frame) != frame.expected:
        require((yield from fetch(Get(RUNS, (run_id,)))), run_id)  # a frame is of a run
        return refuse(f"frame '{frame.key}' of run {run_id} has another state")
    put_frame = Put(FRAMES, (FrameRow(run_id, frame.key, frame.following),))
    if loop is None:
        same, last = yield from fetch(
            Get(ROOT_STEP_OUTPUTS, (run_id, step_id)),
            Scan(ROOT_STEP_OUTPUTS_BY_POSITION, (run_id,), limit=1, backwards=True),
        )
        row = RootStepOutputRow(run_id, step_id, _place(same, last), output)
        return Commit(True, (put_frame, add_or_put(ROOT_STEP_OUTPUTS, same, row)))
    loop_id, iteration = loop
    iterations = 0 if length is None else length.iterations
    if iteration > iterations:  # the others need no allowance: they bring an output each
        yield from _require_allowance(run_id, loop_id, iterations, iteration)
    place, same_in_loop = 0, None
    if iteration < iterations:  # a further iteration has no output yet
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
) -> Generator[tuple[Read[Any], ...], tuple[Any, ...], None]:
    """Raise if a run must not have the iterations that its next output leaves out."""
    loops = yield from fetch(Scan(LOOP_OUTPUTS, (run_id,)))
    needed = outputs_needed(sum(loop.iterations for loop in loops) - iterations + iteration + 1)
    if needed <= 1:
        return  # the output that comes is enough
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
    """Set a loop's state, whatever it was; `entry` goes to the ledger unless it is there."""
    run, stored = yield from fetch(Get(RUNS, (run_id,)), Get(LOOPS, (run_id, loop_instance_id)))
    require(run, run_id)
    loop = LoopRow(run_id, loop_instance_id, state)
    writes: tuple[Write, ...] = (add_or_put(LOOPS, stored, loop),)
    if entry:
        writes += yield from _iteration_if_absent(entry)
    return Commit(None, writes)


def _iteration_if_absent(
    entry: LoopIterationRow,
) -> Generator[tuple[Read[Any], ...], tuple[Any, ...], tuple[Write, ...]]:
    identity = (entry.run_id, entry.loop_instance_id, entry.iteration, entry.frame_id)
    same, last = yield from fetch(
        Scan(LOOP_ITERATIONS_BY_IDENTITY, identity, limit=1),
        _last(LOOP_ITERATIONS, entry.run_id),
    )
    return () if same else (Add(LOOP_ITERATIONS, (_after(last, entry),)),)


def _state_of(row: FrameRow | LoopRow | None) -> str | None:
    return None if row is None else row.kernel_state


def _place(
    same: RootStepOutputRow | LoopStepOutputRow | None,
    last: Sequence[RootStepOutputRow] | Sequence[LoopStepOutputRow],
) -> int:
    if same is not None:
        return same.position
    if last and last[0].position >= I64_MAX:
        raise InternalError(f"run {last[0].run_id} has an output at the last position there is")
    return last[0].position + 1 if last else 0
