"""Every branch of the scripts that read runs, stepped by hand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from core.runs import BARE, FULL, ID, NOW, OLD, RUN, encoded, ended, read
from mobstore import MobRun, NotFoundError, RunHeader, SerializationError, Timestamp
from mobstore.codec.runs import RunRows
from mobstore.operations import run_reading
from mobstore.operations.run_selection import Selection
from mobstore.scripts.tables import (
    FAILURE_LEDGER,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    RUNS_BY_FLOW_STATUS,
    RUNS_BY_MOB,
    RUNS_BY_MOB_STATUS,
    RUNS_BY_NUMBER,
    RUNS_BY_STATUS,
    STEP_LEDGER,
    Index,
    LoopIterationRow,
    LoopStepOutputRow,
    RootStepOutputRow,
    RunClaimRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import Commit, Get, Scan, Script
from support.scripts import play

HELD = RunClaimRow(ID, 7, "desk", "daily", "running", NOW, "ann", 3, 5_000_000)
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
    asked, commit = play(run_reading.get_run(ID), (rows.run._replace(number=7), *parts(rows)))
    assert asked == [(Get(RUNS, (ID,)), *PARTS)]
    assert commit.writes == ()
    assert commit.result is not None
    assert commit.result == read(document)
    assert commit.result.to_json() == read(document).to_json()


def test_get_a_missing_run() -> None:
    assert ended(run_reading.get_run(ID), (None, None, *[()] * 8)) == Commit(None)


@pytest.mark.parametrize(
    ("part", "broken"),
    [
        (0, None),
        (1, [StepLedgerRow(ID, 0, "s", "m", "completed", "{", OLD)]),
        (5, [LoopIterationRow(ID, 0, "l", "x", "f")]),
        (6, [RootStepOutputRow(ID, "s", 0, "")]),
        (6, [RootStepOutputRow(ID, "s", 0, "[" * 100_000)]),
        (8, [LoopStepOutputRow(ID, "nowhere", 0, "s", 0, "1")]),
        (8, [LoopStepOutputRow(ID, "polish", 5, "s", 0, "1")]),
    ],
)
def test_a_run_that_cannot_be_read_is_named(part: int, broken: Any) -> None:
    answers = list(parts(encoded(FULL)))
    answers[part] = broken
    with pytest.raises(SerializationError, match=f"run {ID} cannot be read"):
        ended(run_reading.get_run(ID), (RUN, *answers))
    with pytest.raises(SerializationError, match=f"run {ID} cannot be read"):
        ended(run_reading.list_runs(Selection("desk")), ([RUN],), tuple(answers))


def test_list() -> None:
    other = "00000000-0000-4000-8000-000000000000"
    found = [RUN, RUN._replace(run_id=other, number=8)]
    asked, commit = play(
        run_reading.list_runs(Selection("desk")),
        (found,),
        parts(encoded(BARE)),
        parts(encoded(FULL)),
    )
    assert asked[:2] == [(Scan(RUNS_BY_MOB, ("desk",)),), PARTS]
    assert asked[2][0] == Get(RUN_STATES, (other,))
    assert len(asked) == 3
    assert [run.run_id for run in commit.result] == [UUID(ID), UUID(other)]
    assert commit.writes == ()


# Selections --------------------------------------------------------------------------------------

SELECTIONS: list[tuple[Selection, Index[Any], tuple[str, ...]]] = [
    (Selection(), RUNS_BY_NUMBER, ()),
    (Selection(status="failed"), RUNS_BY_STATUS, ("failed",)),
    (Selection("desk"), RUNS_BY_MOB, ("desk",)),
    (Selection("desk", status="failed"), RUNS_BY_MOB_STATUS, ("desk", "failed")),
    (Selection("desk", "daily"), RUNS_BY_FLOW, ("desk", "daily")),
    (Selection("desk", "", "failed"), RUNS_BY_FLOW_STATUS, ("desk", "", "failed")),
]


@pytest.mark.parametrize(("of", "index", "prefix"), SELECTIONS)
def test_each_selection_has_an_index(
    of: Selection, index: Index[Any], prefix: tuple[str, ...]
) -> None:
    scan = Scan(index, prefix, limit=3)
    asked, commit = play(run_reading.run_headers(of._replace(limit=3)), ([],), ())
    assert (asked, commit) == ([(scan,), ()], Commit([]))
    assert play(run_reading.list_runs(of._replace(limit=3)), ([],)) == ([(scan,)], Commit([]))
    backwards = of._replace(limit=3, newest_first=True, after=ID)
    asked, _ = play(run_reading.list_runs(backwards), (RUN,), ([],))
    assert asked[1] == (Scan(index, prefix, before=RUN.number, limit=3, backwards=True),)


def test_a_page_begins_after_a_run() -> None:
    asked, commit = play(
        run_reading.run_headers(Selection("other", after=ID, limit=2)), (RUN,), ([RUN],), (HELD,)
    )
    assert asked == [
        (Get(RUNS, (ID,)),),
        (Scan(RUNS_BY_MOB, ("other",), after=RUN.number, limit=2),),
        (Get(RUN_CLAIMS, (ID,)),),
    ]
    assert [header.run_id for header in commit.result] == [UUID(ID)]
    with pytest.raises(NotFoundError, match=f"`after` names a run that does not exist: {ID}"):
        ended(run_reading.run_headers(Selection(after=ID)), (None,))


# Headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [HELD, None])
@pytest.mark.parametrize("document", [BARE, FULL], ids=["bare", "full"])
def test_a_header_is_the_run_without_what_it_holds(
    document: dict[str, Any], claim: RunClaimRow | None
) -> None:
    asked, commit = play(
        run_reading.get_run_header(ID), (encoded(document).run._replace(number=7), claim)
    )
    assert asked == [(Get(RUNS, (ID,)), Get(RUN_CLAIMS, (ID,)))]
    whole, header = read(document), commit.result
    assert header is not None
    for name in RunHeader.model_fields.keys() & MobRun.model_fields.keys():
        assert getattr(header, name) == getattr(whole, name)
    held = (header.holder, header.epoch, header.due_at)
    assert held == (("ann", 3, Timestamp(NOW)) if claim else (None, 0, None))
    assert header.completed_at == (Timestamp(NOW) if document is FULL else None)


def test_a_header_of_no_run() -> None:
    assert ended(run_reading.get_run_header(ID), (None, None)) == Commit(None)


def test_a_header_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SerializationError, match=f"run {ID} cannot be read"):
        ended(run_reading.get_run_header(ID), (RUN._replace(created_at="then"), None))


# Ledgers -----------------------------------------------------------------------------------------

ROWS = encoded(FULL)
PAGES = [
    (run_reading.step_entries, STEP_LEDGER, ROWS.steps, read(FULL).step_ledger),
    (run_reading.failure_entries, FAILURE_LEDGER, ROWS.failures, read(FULL).failure_ledger),
    (
        run_reading.loop_iteration_entries,
        LOOP_ITERATIONS,
        ROWS.iterations,
        read(FULL).loop_iteration_ledger,
    ),
]


@pytest.mark.parametrize(("script", "ledger", "rows", "entries"), PAGES)
def test_a_page_of_a_ledger(script: Any, ledger: Any, rows: Any, entries: Any) -> None:
    asked, commit = play(script(ID, 5, 9), (RUN, rows))
    assert asked == [(Get(RUNS, (ID,)), Scan(ledger, (ID,), after=4, limit=9))]
    assert commit.result == list(entries)
    with pytest.raises(NotFoundError, match=f"run not found: {ID}"):
        ended(script(ID, 0, None), (None, []))


def test_an_entry_that_cannot_be_read_is_named() -> None:
    script: Script[Any] = run_reading.step_entries(ID, 0, None)
    broken = StepLedgerRow(ID, 0, "s", "m", "completed", "{", OLD)
    with pytest.raises(SerializationError, match=f"table step_ledger, run {ID}, position 0 cannot"):
        ended(script, (RUN, [broken]))
