"""Every branch of the run store's scripts, stepped by hand."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import UUID

import pytest

from mobstore import InternalError, MobRun, NotFoundError, SerializationError
from mobstore.operations import runs
from mobstore.operations.runs import KeyedSwap, Swap
from mobstore.rows.runs import RunRows
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
    RUNS_BY_FLOW,
    RUNS_BY_MOB,
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
)
from mobstore.transaction import Commit, Get, Put, Scan, Script
from support.scripts import play

ID = "5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d"
OLD = "2026-03-04T05:06:07.000000000Z"
NOW = "2026-03-04T05:06:08.000000001Z"
RUN = RunRow(ID, 7, "desk", "daily", "null", OLD, 4)
STATE = RunStateRow(ID, "running", "A", None)
NO_RUN = f"run not found: {ID}"

BARE: dict[str, Any] = {
    "run_id": ID,
    "mob_id": "desk",
    "flow_id": "daily",
    "status": "running",
    "flow_state": {"phase": "A", "fields": {}},
    "activation_params": {"b": [1, 1.0, True], "a": None},
    "created_at": "2026-03-04T05:06:07Z",
    "completed_at": None,
    "step_ledger": [],
    "failure_ledger": [],
    "frames": {},
    "loops": {},
    "loop_iteration_ledger": [],
    "schema_version": 4,
    "root_step_outputs": {},
    "loop_iteration_outputs": {},
}
FULL: dict[str, Any] = {
    **BARE,
    "status": "failed",
    "completed_at": "2026-03-04T05:06:08.000000001Z",
    "step_ledger": [
        {
            "step_id": "s",
            "meerkat_id": "m",
            "status": "dispatched",
            "output": None,
            "timestamp": "2026-03-04T05:06:07Z",
        },
        {
            "step_id": "s",
            "meerkat_id": "m",
            "status": "completed",
            "output": {"x": 1.5},
            "timestamp": "2026-03-04T05:06:07.089Z",
        },
    ],
    "failure_ledger": [{"step_id": "s", "reason": "why", "timestamp": "2026-03-04T05:06:07Z"}],
    "frames": {
        "f1": {"kernel_state": {"phase": "F1", "fields": {}}},
        "f2": {"kernel_state": {"phase": "F2", "fields": {}}},
    },
    "loops": {"l": {"kernel_state": {"phase": "L", "fields": {}}}},
    "loop_iteration_ledger": [{"loop_instance_id": "l", "iteration": 2**64 - 1, "frame_id": "f1"}],
    "root_step_outputs": {"z": 1, "a": [2]},
    "loop_iteration_outputs": {"polish": [{"y": 1, "b": 2}, {}, {"c": None}], "void": []},
}


def read(document: dict[str, Any]) -> MobRun:
    return MobRun.from_json(json.dumps(document))


def encoded(document: dict[str, Any]) -> RunRows:
    return RunRows(read(document))


def ended(script: Script[Any], *answers: tuple[Any, ...]) -> Commit[Any]:
    return play(script, *answers)[1]


def state(phase: str) -> str:
    return f'{{"phase":"{phase}","fields":{{}}}}'


# Whole runs --------------------------------------------------------------------------------------


def test_create_a_bare_run() -> None:
    asked, commit = play(runs.create_run(encoded(BARE)), (None, None))
    assert asked == [(Get(RUNS, (ID,)), Get(COUNTERS, ("next_run",)))]
    params = '{"a":null,"b":[1,1.0,true]}'
    assert commit == Commit(
        None,
        (
            Put(RUNS, (RunRow(ID, 1, "desk", "daily", params, OLD, 4),)),
            Put(RUN_STATES, (RunStateRow(ID, "running", state("A"), None),)),
            Put(COUNTERS, (CounterRow("next_run", 2),)),
        ),
    )


def test_create_a_full_run() -> None:
    commit = ended(runs.create_run(encoded(FULL)), (None, CounterRow("next_run", 9)))
    assert commit.result is None
    assert list(commit.writes[1:]) == [
        Put(RUN_STATES, (RunStateRow(ID, "failed", state("A"), NOW),)),
        Put(
            STEP_LEDGER,
            [
                StepLedgerRow(ID, 0, "s", "m", "dispatched", "null", OLD),
                StepLedgerRow(
                    ID, 1, "s", "m", "completed", '{"x":1.5}', "2026-03-04T05:06:07.089000000Z"
                ),
            ],
        ),
        Put(FAILURE_LEDGER, [FailureLedgerRow(ID, 0, "s", "why", OLD)]),
        Put(FRAMES, [FrameRow(ID, "f1", state("F1")), FrameRow(ID, "f2", state("F2"))]),
        Put(LOOPS, [LoopRow(ID, "l", state("L"))]),
        Put(LOOP_ITERATIONS, [LoopIterationRow(ID, 0, "l", str(2**64 - 1), "f1")]),
        Put(
            ROOT_STEP_OUTPUTS,
            [RootStepOutputRow(ID, "z", 0, "1"), RootStepOutputRow(ID, "a", 1, "[2]")],
        ),
        Put(LOOP_OUTPUTS, [LoopOutputRow(ID, "polish", 3), LoopOutputRow(ID, "void", 0)]),
        Put(
            LOOP_STEP_OUTPUTS,
            [
                LoopStepOutputRow(ID, "polish", 0, "y", 0, "1"),
                LoopStepOutputRow(ID, "polish", 0, "b", 1, "2"),
                LoopStepOutputRow(ID, "polish", 2, "c", 0, "null"),
            ],
        ),
        Put(COUNTERS, (CounterRow("next_run", 10),)),
    ]


def test_create_twice() -> None:
    with pytest.raises(InternalError) as caught:
        ended(runs.create_run(encoded(BARE)), (RUN, CounterRow("next_run", 9)))
    assert caught.value.detail == f"run already exists: {ID}"


PARTS = (
    Get(RUN_STATES, (ID,)),
    Scan(STEP_LEDGER, (ID,)),
    Scan(FAILURE_LEDGER, (ID,)),
    Scan(FRAMES, (ID,)),
    Scan(LOOPS, (ID,)),
    Scan(LOOP_ITERATIONS, (ID,)),
    Scan(ROOT_STEP_OUTPUTS_BY_POSITION, (ID,)),
    Scan(LOOP_OUTPUTS, (ID,)),
    Scan(LOOP_STEP_OUTPUTS, (ID,)),
)


def parts(rows: RunRows) -> tuple[Any, ...]:
    # The table is read by key, so that outputs come in the order of their names.
    outputs = sorted(rows.loop_step_outputs)
    return (
        rows.state,
        rows.steps,
        rows.failures,
        rows.frames,
        rows.loops,
        rows.iterations,
        rows.root_outputs,
        rows.loop_outputs,
        outputs,
    )


@pytest.mark.parametrize("document", [BARE, FULL], ids=["bare", "full"])
def test_get(document: dict[str, Any]) -> None:
    rows = encoded(document)
    asked, commit = play(runs.get_run(ID), (rows.run(7), *parts(rows)))
    assert asked == [(Get(RUNS, (ID,)), *PARTS)]
    assert commit.writes == ()
    assert commit.result is not None
    assert commit.result == read(document)
    assert commit.result.to_json() == read(document).to_json()


def test_get_a_missing_run() -> None:
    assert ended(runs.get_run(ID), (None, None, *[()] * 8)) == Commit(None)


@pytest.mark.parametrize(
    ("part", "broken"),
    [
        (0, None),
        (1, [StepLedgerRow(ID, 0, "s", "m", "completed", "{", OLD)]),
        (5, [LoopIterationRow(ID, 0, "l", "x", "f")]),
        (6, [RootStepOutputRow(ID, "s", 0, "")]),
        (8, [LoopStepOutputRow(ID, "nowhere", 0, "s", 0, "1")]),
        (8, [LoopStepOutputRow(ID, "polish", 5, "s", 0, "1")]),
    ],
)
def test_a_run_that_cannot_be_read_is_named(part: int, broken: Any) -> None:
    answers = list(parts(encoded(FULL)))
    answers[part] = broken
    for script, first in ((runs.get_run(ID), ()), (runs.list_runs("desk", None), (([RUN],),))):
        answer = (RUN, *answers) if not first else tuple(answers)
        with pytest.raises(SerializationError, match=f"run {ID} cannot be read"):
            ended(script, *first, answer)


def test_list() -> None:
    other = "00000000-0000-4000-8000-000000000000"
    found = [RUN, RUN._replace(run_id=other, number=8)]
    asked, commit = play(
        runs.list_runs("desk", None), (found,), parts(encoded(BARE)), parts(encoded(FULL))
    )
    assert asked[:2] == [(Scan(RUNS_BY_MOB, ("desk",)),), PARTS]
    assert asked[2][0] == Get(RUN_STATES, (other,))
    assert len(asked) == 3
    assert [run.run_id for run in commit.result] == [UUID(ID), UUID(other)]
    assert commit.writes == ()


def test_list_of_a_flow() -> None:
    asked, commit = play(runs.list_runs("desk", "daily"), ([],))
    assert asked == [(Scan(RUNS_BY_FLOW, ("desk", "daily")),)]
    assert commit == Commit([])
    # An empty flow id is an id, too.
    assert play(runs.list_runs("desk", ""), ([],))[0] == [(Scan(RUNS_BY_FLOW, ("desk", "")),)]


# Status and flow state ---------------------------------------------------------------------------

GET_STATE = [(Get(RUN_STATES, (ID,)),)]


def put_state(**changes: Any) -> tuple[Put[Any], ...]:
    return (Put(RUN_STATES, (STATE._replace(**changes),)),)


@pytest.mark.parametrize("following", ["pending", "running", "completed", "failed", "canceled"])
def test_status(following: str) -> None:
    asked, commit = play(runs.cas_run_status(ID, "running", following, NOW), (STATE,))
    assert asked == GET_STATE
    completed = NOW if following in {"completed", "failed", "canceled"} else None
    assert commit == Commit(True, put_state(status=following, completed_at=completed))


def test_completed_at_is_set_once() -> None:
    done = STATE._replace(completed_at=OLD)
    commit = ended(runs.cas_run_status(ID, "running", "failed", NOW), (done,))
    assert commit == Commit(True, put_state(status="failed", completed_at=OLD))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, "running"),
        (STATE, "pending"),
        (STATE._replace(status="completed"), "completed"),
        (STATE._replace(status="failed"), "failed"),
        (STATE._replace(status="canceled"), "canceled"),
        (STATE._replace(status="completed"), "running"),
    ],
)
def test_status_refused(stored: RunStateRow | None, expected: str) -> None:
    assert ended(runs.cas_run_status(ID, expected, "running", NOW), (stored,)) == Commit(False)
    snapshot = runs.cas_run_snapshot(ID, expected, "A", "running", "B", NOW)
    assert ended(snapshot, (stored,)) == Commit(False)


@pytest.mark.parametrize("status", ["running", "completed"])
def test_flow_state_whatever_the_status(status: str) -> None:
    asked, commit = play(runs.cas_flow_state(ID, "A", "B"), (STATE._replace(status=status),))
    assert asked == GET_STATE
    assert commit == Commit(True, put_state(status=status, flow_state="B"))


@pytest.mark.parametrize("stored", [None, STATE._replace(flow_state="C")])
def test_flow_state_refused(stored: RunStateRow | None) -> None:
    assert ended(runs.cas_flow_state(ID, "A", "B"), (stored,)) == Commit(False)
    snapshot = runs.cas_run_snapshot(ID, "running", "A", "failed", "B", NOW)
    assert ended(snapshot, (stored,)) == Commit(False)


@pytest.mark.parametrize(("following", "completed"), [("failed", NOW), ("running", None)])
def test_snapshot(following: str, completed: str | None) -> None:
    script = runs.cas_run_snapshot(ID, "running", "A", following, "B", NOW)
    asked, commit = play(script, (STATE,))
    assert asked == GET_STATE
    changed = put_state(status=following, flow_state="B", completed_at=completed)
    assert commit == Commit(True, changed)


# Ledgers -----------------------------------------------------------------------------------------

STEP = StepLedgerRow(ID, 0, "s", "m", "completed", "null", OLD)
FAILURE = FailureLedgerRow(ID, 0, "s", "why", OLD)
LAST_STEP = Scan(STEP_LEDGER, (ID,), limit=1, backwards=True)
SAME_STEP = Scan(STEP_LEDGER_BY_IDENTITY, (ID, "s", "m", "completed"), limit=1)


@pytest.mark.parametrize(
    ("last", "place"), [([], 0), ([STEP], 1), ([STEP._replace(position=41)], 42)]
)
def test_append_a_step(last: list[StepLedgerRow], place: int) -> None:
    put = (Put(STEP_LEDGER, (STEP._replace(position=place),)),)
    asked, commit = play(runs.append_step_entry(STEP), (RUN, last))
    assert asked == [(Get(RUNS, (ID,)), LAST_STEP)]
    assert commit == Commit(None, put)
    asked_too, commit_too = play(runs.append_step_entry_if_absent(STEP), (RUN, [], last))
    assert asked_too == [(Get(RUNS, (ID,)), SAME_STEP, LAST_STEP)]
    assert commit_too == Commit(True, put)


def test_a_step_that_is_there() -> None:
    other = STEP._replace(position=3, output='"x"')
    assert ended(runs.append_step_entry_if_absent(STEP), (RUN, [other], [other])) == Commit(False)


def test_output_of_the_last_entry() -> None:
    last = STEP._replace(position=5)
    asked, commit = play(runs.put_step_output(ID, "s", '"x"'), (RUN, [last]))
    by_step = Scan(STEP_LEDGER_BY_STEP, (ID, "s"), limit=1, backwards=True)
    assert asked == [(Get(RUNS, (ID,)), by_step)]
    assert commit == Commit(None, (Put(STEP_LEDGER, (last._replace(output='"x"'),)),))


def test_output_of_an_unknown_step() -> None:
    with pytest.raises(InternalError) as caught:
        ended(runs.put_step_output(ID, "s", "1"), (RUN, []))
    assert caught.value.detail == f"cannot set output for unknown step 's' in run '{ID}'"


@pytest.mark.parametrize(("last", "place"), [([], 0), ([FAILURE._replace(position=2)], 3)])
def test_append_a_failure(last: list[FailureLedgerRow], place: int) -> None:
    asked, commit = play(runs.append_failure_entry(FAILURE), (RUN, last))
    last_failure = Scan(FAILURE_LEDGER, (ID,), limit=1, backwards=True)
    assert asked == [(Get(RUNS, (ID,)), last_failure)]
    assert commit == Commit(None, (Put(FAILURE_LEDGER, (FAILURE._replace(position=place),)),))


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
ABOUT_ENTRY = (
    Scan(LOOP_ITERATIONS_BY_IDENTITY, (ID, "l", "3", "f"), limit=1),
    Scan(LOOP_ITERATIONS, (ID,), limit=1, backwards=True),
)


def test_all_states_at_once() -> None:
    script = runs.cas_states(
        ID, flow_state=FLOW_SWAP, frame=FRAME_SWAP, loop=LOOP_SWAP, entry=ENTRY
    )
    asked, commit = play(script, (STATE, FRAME, LOOP), ([], [ENTRY._replace(position=6)]))
    assert asked == [
        (Get(RUN_STATES, (ID,)), Get(FRAMES, (ID, "f")), Get(LOOPS, (ID, "l"))),
        ABOUT_ENTRY,
    ]
    put_entry = Put(LOOP_ITERATIONS, (ENTRY._replace(position=7),))
    assert commit == Commit(True, (PUT_FLOW, PUT_FRAME, PUT_LOOP, put_entry))


def test_an_entry_that_is_there() -> None:
    script = runs.cas_states(ID, frame=FRAME_SWAP, entry=ENTRY)
    assert ended(script, (RUN, FRAME, None), ([ENTRY], [ENTRY])) == Commit(True, (PUT_FRAME,))


def test_the_first_entry() -> None:
    script = runs.cas_states(ID, loop=LOOP_SWAP, entry=ENTRY)
    put_entry = Put(LOOP_ITERATIONS, (ENTRY,))
    assert ended(script, (RUN, None, LOOP), ([], [])) == Commit(True, (PUT_LOOP, put_entry))


@pytest.mark.parametrize("status", ["pending", "completed", "canceled"])
def test_states_whatever_the_status(status: str) -> None:
    stored = STATE._replace(status=status)
    commit = ended(runs.cas_states(ID, flow_state=FLOW_SWAP), (stored, None, None))
    assert commit == Commit(True, (Put(RUN_STATES, (stored._replace(flow_state="B"),)),))


def test_a_frame_alone_needs_no_state() -> None:
    asked, commit = play(runs.cas_states(ID, frame=FRAME_SWAP), (RUN, FRAME, None))
    assert asked[0][:2] == (Get(RUNS, (ID,)), Get(FRAMES, (ID, "f")))
    assert commit == Commit(True, (PUT_FRAME,))


def test_adding_a_frame_and_a_loop() -> None:
    frame, loop = KeyedSwap("f", None, "G"), KeyedSwap("l", None, "M")
    script = runs.cas_states(ID, frame=frame, loop=loop)
    assert ended(script, (RUN, None, None)) == Commit(True, (PUT_FRAME, PUT_LOOP))


@pytest.mark.parametrize(
    ("stored", "frame", "loop"),
    [
        (STATE._replace(flow_state="C"), FRAME, LOOP),
        (STATE, None, LOOP),
        (STATE, FRAME._replace(kernel_state="X"), LOOP),
        (STATE, FRAME, None),
        (STATE, FRAME, LOOP._replace(kernel_state="X")),
    ],
)
def test_one_difference_refuses_all(
    stored: RunStateRow, frame: FrameRow | None, loop: LoopRow | None
) -> None:
    script = runs.cas_states(
        ID, flow_state=FLOW_SWAP, frame=FRAME_SWAP, loop=LOOP_SWAP, entry=ENTRY
    )
    assert ended(script, (stored, frame, loop)) == Commit(False)


def test_what_must_not_exist_exists() -> None:
    frame, loop = KeyedSwap("f", None, "F"), KeyedSwap("l", None, "L")
    assert ended(runs.cas_states(ID, frame=frame), (RUN, FRAME, None)) == Commit(False)
    assert ended(runs.cas_states(ID, loop=loop), (RUN, None, LOOP)) == Commit(False)


def test_upsert_a_loop() -> None:
    asked, commit = play(runs.upsert_loop_snapshot(ID, "l", "M", None), (RUN,))
    assert asked == [(Get(RUNS, (ID,)),)]
    assert commit == Commit(None, (PUT_LOOP,))
    asked, commit = play(runs.upsert_loop_snapshot(ID, "l", "M", ENTRY), (RUN,), ([], []))
    assert asked == [(Get(RUNS, (ID,)),), ABOUT_ENTRY]
    assert commit == Commit(None, (PUT_LOOP, Put(LOOP_ITERATIONS, (ENTRY,))))
    commit = ended(runs.upsert_loop_snapshot(ID, "l", "M", ENTRY), (RUN,), ([ENTRY], [ENTRY]))
    assert commit == Commit(None, (PUT_LOOP,))


# Outputs -----------------------------------------------------------------------------------------


def complete(loop: tuple[str, int] | None) -> Script[bool]:
    return runs.cas_complete_step(ID, FRAME_SWAP, "s", "1", loop)


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
    asked, commit = play(complete(None), (RUN, FRAME, None), (same, last))
    assert asked[0][:2] == (Get(RUNS, (ID,)), Get(FRAMES, (ID, "f")))
    assert asked[1] == (
        Get(ROOT_STEP_OUTPUTS, (ID, "s")),
        Scan(ROOT_STEP_OUTPUTS_BY_POSITION, (ID,), limit=1, backwards=True),
    )
    put = Put(ROOT_STEP_OUTPUTS, (RootStepOutputRow(ID, "s", place, "1"),))
    assert commit == Commit(True, (PUT_FRAME, put))


@pytest.mark.parametrize(
    ("length", "iteration", "following"),
    [(None, 0, 1), (None, 2, 3), (0, 0, 1), (3, 3, 4), (3, 9, 10), (3, 2, None), (3, 0, None)],
)
def test_output_of_a_loop(length: int | None, iteration: int, following: int | None) -> None:
    stored = None if length is None else LoopOutputRow(ID, "o", length)
    asked, commit = play(complete(("o", iteration)), (RUN, FRAME, stored), (None, []))
    assert asked == [
        (Get(RUNS, (ID,)), Get(FRAMES, (ID, "f")), Get(LOOP_OUTPUTS, (ID, "o"))),
        (
            Get(LOOP_STEP_OUTPUTS, (ID, "o", iteration, "s")),
            Scan(LOOP_STEP_OUTPUTS_BY_POSITION, (ID, "o", iteration), limit=1, backwards=True),
        ),
    ]
    put = Put(LOOP_STEP_OUTPUTS, (LoopStepOutputRow(ID, "o", iteration, "s", 0, "1"),))
    longer = () if following is None else (Put(LOOP_OUTPUTS, (LoopOutputRow(ID, "o", following),)),)
    assert commit == Commit(True, (PUT_FRAME, put, *longer))


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
    answers = (RUN, FRAME, LoopOutputRow(ID, "o", 2)), (same, last)
    commit = ended(complete(("o", 1)), *answers)
    put = Put(LOOP_STEP_OUTPUTS, (LoopStepOutputRow(ID, "o", 1, "s", place, "1"),))
    assert commit == Commit(True, (PUT_FRAME, put))


@pytest.mark.parametrize("length", [None, 0, 1, 10])
def test_how_far_an_iteration_may_lie(length: int | None) -> None:
    stored = None if length is None else LoopOutputRow(ID, "o", length)
    last_recorded = (length or 0) - 1
    allowed = last_recorded + 65_536
    assert ended(complete(("o", allowed)), (RUN, FRAME, stored), (None, [])).result is True
    for iteration in (allowed + 1, 2**64 - 1):
        with pytest.raises(InternalError, match=f"loop iteration {iteration} is more than 65536"):
            ended(complete(("o", iteration)), (RUN, FRAME, stored))
        # The comparison comes first.
        assert ended(complete(("o", iteration)), (RUN, None, stored)) == Commit(False)


@pytest.mark.parametrize("loop", [None, ("o", 0)])
@pytest.mark.parametrize("frame", [None, FRAME._replace(kernel_state="X")])
def test_output_refused(loop: tuple[str, int] | None, frame: FrameRow | None) -> None:
    assert ended(complete(loop), (RUN, frame, None)) == Commit(False)


# Missing runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "answer"),
    cast(
        "list[tuple[Any, Any]]",
        [
            (lambda: runs.append_step_entry(STEP), (None, [])),
            (lambda: runs.append_step_entry_if_absent(STEP), (None, [STEP], [])),
            (lambda: runs.put_step_output(ID, "s", "1"), (None, [])),
            (lambda: runs.append_failure_entry(FAILURE), (None, [])),
            (lambda: runs.upsert_loop_snapshot(ID, "l", "M", ENTRY), (None,)),
            (lambda: runs.cas_states(ID, frame=FRAME_SWAP), (None, None, None)),
            (lambda: runs.cas_states(ID, flow_state=FLOW_SWAP, loop=LOOP_SWAP), (None, None, None)),
            (lambda: complete(None), (None, None, None)),
            (lambda: complete(("o", 2**64 - 1)), (None, None, None)),
        ],
    ),
)
def test_a_missing_run(script: Any, answer: tuple[Any, ...]) -> None:
    with pytest.raises(NotFoundError) as caught:
        ended(script(), answer)
    assert caught.value.detail == NO_RUN
