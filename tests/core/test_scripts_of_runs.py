"""Every branch of the run store's scripts, stepped by hand."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest

from core.runs import BARE, FULL, ID, NOW, OLD, RUN, STATE, encoded, ended, state
from mobstore import InternalError, NotFoundError, WriteFailedError
from mobstore.model.run import is_terminal
from mobstore.operations import frames, ledgers, runs
from mobstore.operations.frames import KeyedSwap
from mobstore.operations.runs import Swap
from mobstore.scripts.tables import (
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
    RUN_CLAIMS,
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
    RunClaimRow,
    RunRow,
    RunStateRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    Delete,
    Get,
    Now,
    Put,
    Scan,
    Script,
    Write,
    add_or_put,
)
from support.scripts import play

cas_states = partial(frames.cas_states, method="runs.cas_frame_state")
COMPLETE = "runs.cas_complete_step_and_record_output"
NO_RUN = f"run not found: {ID}"


LAST_RUN = Scan(RUNS_BY_NUMBER, limit=1, backwards=True)
CLAIM = RunClaimRow(ID, 7, "desk", "daily", "running", OLD, "", 0, 0)


# Whole runs --------------------------------------------------------------------------------------


def test_create_a_bare_run() -> None:
    asked, commit = play(runs.create_run(encoded(BARE)), (None, None, [], NOW))
    assert asked == [(Get(RUNS, (ID,)), Get(COUNTERS, ("next_run",)), LAST_RUN, Now())]
    params = '{"a":null,"b":[1,1.0,true]}'
    assert commit == Commit(
        None,
        (
            Add(RUNS, (RunRow(ID, 1, "desk", "daily", "running", params, OLD, "", 4),)),
            Add(RUN_CLAIMS, (CLAIM._replace(number=1),)),
            Add(RUN_STATES, (RunStateRow(ID, state("A")),)),
            Add(COUNTERS, (CounterRow("next_run", 2),)),
        ),
    )


def test_create_a_full_run() -> None:
    commit = ended(
        runs.create_run(encoded(FULL)),
        (None, CounterRow("next_run", 9), [RUN._replace(number=8)], NOW),
    )
    assert commit.result is None
    params = '{"a":null,"b":[1,1.0,true]}'
    assert list(commit.writes) == [
        Add(RUNS, (RunRow(ID, 9, "desk", "daily", "failed", params, OLD, NOW, 4),)),
        Add(RUN_STATES, (RunStateRow(ID, state("A")),)),
        Add(
            STEP_LEDGER,
            [
                StepLedgerRow(ID, 0, "s", "m", "dispatched", "null", OLD),
                StepLedgerRow(
                    ID, 1, "s", "m", "completed", '{"x":1.5}', "2026-03-04T05:06:07.089000000Z"
                ),
            ],
        ),
        Add(FAILURE_LEDGER, [FailureLedgerRow(ID, 0, "s", "why", OLD)]),
        Add(FRAMES, [FrameRow(ID, "f1", state("F1")), FrameRow(ID, "f2", state("F2"))]),
        Add(LOOPS, [LoopRow(ID, "l", state("L"))]),
        Add(LOOP_ITERATIONS, [LoopIterationRow(ID, 0, "l", str(2**64 - 1), "f1")]),
        Add(
            ROOT_STEP_OUTPUTS,
            [RootStepOutputRow(ID, "z", 0, "1"), RootStepOutputRow(ID, "a", 1, "[2]")],
        ),
        Add(LOOP_OUTPUTS, [LoopOutputRow(ID, "polish", 3), LoopOutputRow(ID, "void", 0)]),
        Add(
            LOOP_STEP_OUTPUTS,
            [
                LoopStepOutputRow(ID, "polish", 0, "y", 0, "1"),
                LoopStepOutputRow(ID, "polish", 0, "b", 1, "2"),
                LoopStepOutputRow(ID, "polish", 2, "c", 0, "null"),
            ],
        ),
        Put(COUNTERS, (CounterRow("next_run", 10),)),
    ]


@pytest.mark.parametrize("counter", [None, CounterRow("next_run", 7), CounterRow("next_run", 5)])
def test_create_where_the_counter_is_behind(counter: CounterRow | None) -> None:
    with pytest.raises(WriteFailedError, match="table runs already has a row with the number 7"):
        ended(runs.create_run(encoded(BARE)), (None, counter, [RUN], NOW))


def test_create_twice() -> None:
    with pytest.raises(InternalError) as caught:
        ended(runs.create_run(encoded(BARE)), (RUN, CounterRow("next_run", 9), [RUN], NOW))
    assert caught.value.detail == f"run already exists: {ID}"


# Status and flow state ---------------------------------------------------------------------------

GET_RUN, GET_STATE = Get(RUNS, (ID,)), Get(RUN_STATES, (ID,))
GET_CLAIM = Get(RUN_CLAIMS, (ID,))
CLAIMS = [None, CLAIM, CLAIM._replace(holder="w", epoch=3, ttl=1)]


def put_run(**changes: Any) -> Put[Any]:
    return Put(RUNS, (RUN._replace(**changes),))


def refused(
    script: Script[bool], *answers: tuple[Any, ...], method: str = "runs.cas_frame_state"
) -> str:
    """Why a script ended in a refusal; it names itself and the run, and writes nothing."""
    commit = ended(script, *answers)
    assert commit[:2] == (False, ())
    assert commit.refusal
    assert commit.refusal[:2] == (method, ID)
    return commit.refusal.reason


def put_claim(claim: RunClaimRow | None, status: str) -> tuple[Write, ...]:
    """Return the writes of a run's claim: an ended run keeps only one that is held."""
    if claim is None:
        return ()
    if is_terminal(status) and not claim.holder:
        return (Delete(RUN_CLAIMS, (ID,)),)
    return (Put(RUN_CLAIMS, (claim._replace(status=status),)),)


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("next_status", ["pending", "running", "completed", "failed", "canceled"])
def test_status(next_status: str, claim: RunClaimRow | None) -> None:
    asked, commit = play(runs.cas_run_status(ID, Swap("running", next_status), NOW), (RUN, claim))
    assert asked == [(GET_RUN, GET_CLAIM)]
    completed = NOW if is_terminal(next_status) else ""
    put = put_run(status=next_status, completed_at=completed)
    assert commit == Commit(True, (put, *put_claim(claim, next_status)))


def test_completed_at_is_set_once() -> None:
    done = RUN._replace(completed_at=OLD)
    commit = ended(runs.cas_run_status(ID, Swap("running", "failed"), NOW), (done, None))
    assert commit == Commit(True, (put_run(status="failed", completed_at=OLD),))


@pytest.mark.parametrize(
    ("stored", "expected", "why"),
    [
        (None, "running", "does not exist"),
        (RUN, "pending", "is running, not pending"),
        (RUN._replace(status="completed"), "completed", "is completed, which is final"),
        (RUN._replace(status="failed"), "failed", "is failed, which is final"),
        (RUN._replace(status="canceled"), "canceled", "is canceled, which is final"),
        (RUN._replace(status="completed"), "running", "is completed, not running"),
    ],
)
def test_status_refused(stored: RunRow | None, expected: str, why: str) -> None:
    script = runs.cas_run_status(ID, Swap(expected, "running"), NOW)
    reason = refused(script, (stored, None), method="runs.cas_run_status")
    assert reason == f"run {ID} {why}"
    script = runs.cas_run_snapshot(ID, Swap(expected, "running"), Swap("A", "B"), NOW)
    reason = refused(script, (stored, STATE, None), method="runs.cas_run_snapshot")
    assert reason == f"run {ID} {why}"


def test_flow_state() -> None:
    asked, commit = play(runs.cas_flow_state(ID, Swap("A", "B")), (STATE,))
    assert asked == [(GET_STATE,)], "the status does not matter"
    assert commit == Commit(True, (PUT_FLOW,))


@pytest.mark.parametrize("stored", [None, STATE._replace(flow_state="C")])
def test_flow_state_refused(stored: RunStateRow | None) -> None:
    why = f"run {ID} has another flow state"
    script = runs.cas_flow_state(ID, Swap("A", "B"))
    assert refused(script, (stored,), method="runs.cas_flow_state") == why
    snapshot = runs.cas_run_snapshot(ID, Swap("running", "failed"), Swap("A", "B"), NOW)
    assert refused(snapshot, (RUN, stored, None), method="runs.cas_run_snapshot") == why


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize(("next_status", "completed"), [("failed", NOW), ("running", "")])
def test_snapshot(next_status: str, completed: str, claim: RunClaimRow | None) -> None:
    script = runs.cas_run_snapshot(ID, Swap("running", next_status), Swap("A", "B"), NOW)
    asked, commit = play(script, (RUN, STATE, claim))
    assert asked == [(GET_RUN, GET_STATE, GET_CLAIM)]
    changed = put_run(status=next_status, completed_at=completed)
    assert commit == Commit(True, (changed, *put_claim(claim, next_status), PUT_FLOW))


# Ledgers -----------------------------------------------------------------------------------------

STEP = StepLedgerRow(ID, 0, "s", "m", "completed", "null", OLD)
FAILURE = FailureLedgerRow(ID, 0, "s", "why", OLD)
LAST_STEP = Scan(STEP_LEDGER, (ID,), limit=1, backwards=True)
SAME_STEP = Scan(STEP_LEDGER_BY_IDENTITY, (ID, "s", "m", "completed"), limit=1)


@pytest.mark.parametrize(
    ("last", "place"), [([], 0), ([STEP], 1), ([STEP._replace(position=41)], 42)]
)
def test_append_a_step(last: list[StepLedgerRow], place: int) -> None:
    add = (Add(STEP_LEDGER, (STEP._replace(position=place),)),)
    asked, commit = play(ledgers.append_step_entry(STEP), (RUN, last))
    assert asked == [(Get(RUNS, (ID,)), LAST_STEP)]
    assert commit == Commit(None, add)
    asked_too, commit_too = play(ledgers.append_step_entry_if_absent(STEP), (RUN, [], last))
    assert asked_too == [(Get(RUNS, (ID,)), SAME_STEP, LAST_STEP)]
    assert commit_too == Commit(True, add)


def test_a_step_that_is_there() -> None:
    other = STEP._replace(position=3, output='"x"')
    assert ended(ledgers.append_step_entry_if_absent(STEP), (RUN, [other], [other])) == Commit(
        False
    )


def test_output_of_the_last_entry() -> None:
    last = STEP._replace(position=5)
    asked, commit = play(ledgers.put_step_output(ID, "s", '"x"'), (RUN, [last]))
    by_step = Scan(STEP_LEDGER_BY_STEP, (ID, "s"), limit=1, backwards=True)
    assert asked == [(Get(RUNS, (ID,)), by_step)]
    assert commit == Commit(None, (Put(STEP_LEDGER, (last._replace(output='"x"'),)),))


def test_output_of_an_unknown_step() -> None:
    with pytest.raises(InternalError) as caught:
        ended(ledgers.put_step_output(ID, "s", "1"), (RUN, []))
    assert caught.value.detail == f"cannot set output for unknown step 's' in run '{ID}'"


@pytest.mark.parametrize(("last", "place"), [([], 0), ([FAILURE._replace(position=2)], 3)])
def test_append_a_failure(last: list[FailureLedgerRow], place: int) -> None:
    asked, commit = play(ledgers.append_failure_entry(FAILURE), (RUN, last))
    last_failure = Scan(FAILURE_LEDGER, (ID,), limit=1, backwards=True)
    assert asked == [(Get(RUNS, (ID,)), last_failure)]
    assert commit == Commit(None, (Add(FAILURE_LEDGER, (FAILURE._replace(position=place),)),))


# Frames and loops --------------------------------------------------------------------------------

FRAME, LOOP = FrameRow(ID, "f", "F"), LoopRow(ID, "l", "L")
ENTRY = LoopIterationRow(ID, 0, "l", "3", "f")
FLOW_SWAP, FRAME_SWAP, LOOP_SWAP = (
    Swap("A", "B"),
    KeyedSwap("f", "F", "G"),
    KeyedSwap("l", "L", "M"),
)
PUT_FLOW = Put(RUN_STATES, (STATE._replace(flow_state="B"),))
PUT_FRAME = Put(FRAMES, (FrameRow(ID, "f", "G"),))
PUT_LOOP = Put(LOOPS, (LoopRow(ID, "l", "M"),))
ADD_FRAME, ADD_LOOP = Add(FRAMES, PUT_FRAME.rows), Add(LOOPS, PUT_LOOP.rows)
ABOUT_ENTRY = (
    Scan(LOOP_ITERATIONS_BY_IDENTITY, (ID, "l", "3", "f"), limit=1),
    Scan(LOOP_ITERATIONS, (ID,), limit=1, backwards=True),
)


def test_all_states_at_once() -> None:
    script = cas_states(ID, flow_state=FLOW_SWAP, frame=FRAME_SWAP, loop=LOOP_SWAP, entry=ENTRY)
    asked, commit = play(script, (STATE, FRAME, LOOP), ([], [ENTRY._replace(position=6)]))
    assert asked == [
        (Get(RUN_STATES, (ID,)), Get(FRAMES, (ID, "f")), Get(LOOPS, (ID, "l"))),
        ABOUT_ENTRY,
    ]
    add_entry = Add(LOOP_ITERATIONS, (ENTRY._replace(position=7),))
    assert commit == Commit(True, (PUT_FLOW, PUT_FRAME, PUT_LOOP, add_entry))


def test_an_entry_that_is_there() -> None:
    script = cas_states(ID, frame=FRAME_SWAP, entry=ENTRY)
    assert ended(script, (RUN, FRAME, None), ([ENTRY], [ENTRY])) == Commit(True, (PUT_FRAME,))


def test_the_first_entry() -> None:
    script = cas_states(ID, loop=LOOP_SWAP, entry=ENTRY)
    add_entry = Add(LOOP_ITERATIONS, (ENTRY,))
    assert ended(script, (RUN, None, LOOP), ([], [])) == Commit(True, (PUT_LOOP, add_entry))


def test_a_flow_state_alone() -> None:
    commit = ended(cas_states(ID, flow_state=FLOW_SWAP), (STATE, None, None))
    assert commit == Commit(True, (PUT_FLOW,))


def test_a_frame_alone_needs_no_state() -> None:
    asked, commit = play(cas_states(ID, frame=FRAME_SWAP), (RUN, FRAME, None))
    assert asked[0][:2] == (Get(RUNS, (ID,)), Get(FRAMES, (ID, "f")))
    assert commit == Commit(True, (PUT_FRAME,))


def test_adding_a_frame_and_a_loop() -> None:
    frame, loop = KeyedSwap("f", None, "G"), KeyedSwap("l", None, "M")
    script = cas_states(ID, frame=frame, loop=loop)
    assert ended(script, (RUN, None, None)) == Commit(True, (ADD_FRAME, ADD_LOOP))


@pytest.mark.parametrize(
    ("stored", "frame", "loop", "what"),
    [
        (STATE._replace(flow_state="C"), FRAME, LOOP, f"run {ID} has another flow state"),
        (STATE, None, LOOP, f"frame 'f' of run {ID} has another state"),
        (STATE, FRAME._replace(kernel_state="X"), LOOP, f"frame 'f' of run {ID} has another state"),
        (STATE, FRAME, None, f"loop 'l' of run {ID} has another state"),
        (STATE, FRAME, LOOP._replace(kernel_state="X"), f"loop 'l' of run {ID} has another state"),
    ],
)
def test_one_difference_refuses_all(
    stored: RunStateRow, frame: FrameRow | None, loop: LoopRow | None, what: str
) -> None:
    script = cas_states(ID, flow_state=FLOW_SWAP, frame=FRAME_SWAP, loop=LOOP_SWAP, entry=ENTRY)
    assert refused(script, (stored, frame, loop)) == what


def test_what_must_not_exist_exists() -> None:
    frame, loop = KeyedSwap("f", None, "F"), KeyedSwap("l", None, "L")
    assert "frame 'f'" in refused(cas_states(ID, frame=frame), (RUN, FRAME, None))
    assert "loop 'l'" in refused(cas_states(ID, loop=loop), (RUN, None, LOOP))


@pytest.mark.parametrize(
    ("stored", "write"), [(None, ADD_LOOP), (LOOP, PUT_LOOP), (LoopRow(ID, "l", "M"), PUT_LOOP)]
)
def test_upsert_a_loop(stored: LoopRow | None, write: Add[LoopRow] | Put[LoopRow]) -> None:
    asked, commit = play(frames.upsert_loop_snapshot(ID, "l", "M", None), (RUN, stored))
    assert asked == [(Get(RUNS, (ID,)), Get(LOOPS, (ID, "l")))]
    assert commit == Commit(None, (write,))
    asked, commit = play(frames.upsert_loop_snapshot(ID, "l", "M", ENTRY), (RUN, stored), ([], []))
    assert asked == [(Get(RUNS, (ID,)), Get(LOOPS, (ID, "l"))), ABOUT_ENTRY]
    assert commit == Commit(None, (write, Add(LOOP_ITERATIONS, (ENTRY,))))
    there = frames.upsert_loop_snapshot(ID, "l", "M", ENTRY)
    assert ended(there, (RUN, stored), ([ENTRY], [ENTRY])) == Commit(None, (write,))


# Outputs -----------------------------------------------------------------------------------------


def complete(loop: tuple[str, int] | None) -> Script[bool]:
    return frames.cas_complete_step(ID, FRAME_SWAP, "s", "1", loop)


@pytest.mark.parametrize(
    ("same", "last", "place"),
    [
        (None, [], 0),
        (None, [RootStepOutputRow(ID, "z", 4, "0")], 5),
        (RootStepOutputRow(ID, "s", 2, "0"), [RootStepOutputRow(ID, "z", 4, "0")], 2),
        (RootStepOutputRow(ID, "s", 0, "0"), [RootStepOutputRow(ID, "s", 0, "0")], 0),
    ],
)
def test_output_of_the_root(same: Any, last: list[RootStepOutputRow], place: int) -> None:
    asked, commit = play(complete(None), (FRAME, None), (same, last))
    assert asked[0][0] == Get(FRAMES, (ID, "f"))
    assert asked[1] == (
        Get(ROOT_STEP_OUTPUTS, (ID, "s")),
        Scan(ROOT_STEP_OUTPUTS_BY_POSITION, (ID,), limit=1, backwards=True),
    )
    output = add_or_put(ROOT_STEP_OUTPUTS, same, RootStepOutputRow(ID, "s", place, "1"))
    assert commit == Commit(True, (PUT_FRAME, output))


@pytest.mark.parametrize(
    ("length", "iteration", "next_status"),
    [(None, 0, 1), (None, 2, 3), (0, 0, 1), (3, 3, 4), (3, 9, 10), (3, 2, None), (3, 0, None)],
)
def test_output_of_a_loop(length: int | None, iteration: int, next_status: int | None) -> None:
    stored = None if length is None else LoopOutputRow(ID, "o", length)
    outputs: tuple[tuple[Any, ...], ...] = () if next_status else ((None, []),)
    if iteration > (length or 0):  # iterations are left out
        outputs = (([] if stored is None else [stored],),)
    asked, commit = play(complete(("o", iteration)), (FRAME, stored), *outputs)
    assert asked[0] == (Get(FRAMES, (ID, "f")), Get(LOOP_OUTPUTS, (ID, "o")))
    if next_status is None:  # else there can be no output yet
        assert asked[1] == (
            Get(LOOP_STEP_OUTPUTS, (ID, "o", iteration, "s")),
            Scan(LOOP_STEP_OUTPUTS_BY_POSITION, (ID, "o", iteration), limit=1, backwards=True),
        )
    writes: list[Any] = [
        PUT_FRAME,
        Add(LOOP_STEP_OUTPUTS, (LoopStepOutputRow(ID, "o", iteration, "s", 0, "1"),)),
    ]
    if next_status is not None:
        writes.append(add_or_put(LOOP_OUTPUTS, stored, LoopOutputRow(ID, "o", next_status)))
    assert commit == Commit(True, tuple(writes))


@pytest.mark.parametrize(
    ("same", "last", "place"),
    [
        (None, [LoopStepOutputRow(ID, "o", 1, "z", 4, "0")], 5),
        (
            LoopStepOutputRow(ID, "o", 1, "s", 2, "0"),
            [LoopStepOutputRow(ID, "o", 1, "z", 4, "0")],
            2,
        ),
    ],
)
def test_place_of_a_loop_s_output(same: Any, last: Any, place: int) -> None:
    answers = (FRAME, LoopOutputRow(ID, "o", 2)), (same, last)
    commit = ended(complete(("o", 1)), *answers)
    output = add_or_put(LOOP_STEP_OUTPUTS, same, LoopStepOutputRow(ID, "o", 1, "s", place, "1"))
    assert commit == Commit(True, (PUT_FRAME, output))


@pytest.mark.parametrize("length", [None, 0, 1, 10])
def test_how_far_an_iteration_may_lie(length: int | None) -> None:
    """All loops of the run count, and all their outputs, where iterations are left out."""
    stored = None if length is None else LoopOutputRow(ID, "o", length)
    found: tuple[Any, ...] = (FRAME, stored)
    loops = [LoopOutputRow(ID, "a", 500), *([stored] if stored else [])]
    asked, _ = play(complete(("o", 541)), found, (loops[:0],))
    assert asked[1:] == [(Scan(LOOP_OUTPUTS, (ID,)),)], "few enough for no outputs to be counted"
    allowed = 1_024 + 16 * 4 - 500 - 1
    asked, commit = play(complete(("o", allowed)), found, (loops,), (3,))
    assert asked[2] == (Count(Scan(LOOP_STEP_OUTPUTS, (ID,))),)
    assert commit.result is True
    for iteration in (allowed + 1, 2**64 - 1):
        with pytest.raises(InternalError, match=f"loop iteration {iteration} is too far"):
            ended(complete(("o", iteration)), found, (loops,), (3,))
        # The comparison comes first.
        assert "frame 'f'" in refused(
            complete(("o", iteration)), (None, stored), (RUN,), method=COMPLETE
        )


@pytest.mark.parametrize("loop", [None, ("o", 0)])
@pytest.mark.parametrize("frame", [None, FRAME._replace(kernel_state="X")])
def test_output_refused(loop: tuple[str, int] | None, frame: FrameRow | None) -> None:
    assert "frame 'f'" in refused(complete(loop), (frame, None), (RUN,), method=COMPLETE)


# Missing runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "answer"),
    cast(
        "list[tuple[Any, Any]]",
        [
            (lambda: ledgers.append_step_entry(STEP), (None, [])),
            (lambda: ledgers.append_step_entry_if_absent(STEP), (None, [STEP], [])),
            (lambda: ledgers.put_step_output(ID, "s", "1"), (None, [])),
            (lambda: ledgers.append_failure_entry(FAILURE), (None, [])),
            (lambda: frames.upsert_loop_snapshot(ID, "l", "M", ENTRY), (None, None)),
            (lambda: cas_states(ID, frame=FRAME_SWAP), (None, None, None)),
            (
                lambda: cas_states(ID, flow_state=FLOW_SWAP, loop=LOOP_SWAP),
                (None, None, None),
            ),
        ],
    ),
)
def test_a_missing_run(script: Any, answer: tuple[Any, ...]) -> None:
    with pytest.raises(NotFoundError) as caught:
        ended(script(), answer)
    assert caught.value.detail == NO_RUN


@pytest.mark.parametrize("loop", [None, ("o", 2**64 - 1)])
def test_a_step_of_a_missing_run(loop: tuple[str, int] | None) -> None:
    with pytest.raises(NotFoundError) as caught:
        ended(complete(loop), (None, None), (None,))
    assert caught.value.detail == NO_RUN


# Adding and replacing ----------------------------------------------------------------------------


def test_a_row_is_added_where_none_is_stored_and_replaced_where_one_is() -> None:
    stored, row = FRAME, FrameRow(ID, "f", "G")
    assert add_or_put(FRAMES, None, row) == Add(FRAMES, (row,))
    assert add_or_put(FRAMES, stored, row) == Put(FRAMES, (row,))
