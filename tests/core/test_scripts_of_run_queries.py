"""Every branch of the scripts that select, count and find runs, stepped by hand."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest

from core.runs import ID, NOW, OLD, RUN
from mobstore import NotFoundError, SerializationError, UsageError
from mobstore.operations import run_counts, run_reading
from mobstore.operations.run_selection import Selection, select
from mobstore.scripts.tables import (
    RUN_CLAIMS,
    RUNS,
    RUNS_BY_END,
    RUNS_BY_FLOW_STATUS,
    RUNS_BY_MOB,
    RUNS_BY_MOB_STATUS,
    RUNS_BY_NUMBER,
    RUNS_BY_STATUS,
    RunClaimRow,
    RunRow,
)
from mobstore.scripts.transaction import Commit, Count, Get, Now, Scan
from support.scripts import play


def row(number: int, status: str = "running", ended: str = "", mob: str = "desk") -> RunRow:
    return RUN._replace(
        run_id=str(UUID(int=number)), number=number, status=status, completed_at=ended, mob_id=mob
    )


def time(second: int) -> str:
    return f"2026-03-04T05:00:{second:02d}.000000000Z"


def selected(of: Selection, *answers: tuple[Any, ...]) -> tuple[list[Any], list[int]]:
    """Return the questions of a selection, and the numbers of its runs."""
    script = select(of)
    asked = [next(script)]
    for answer in answers[:-1]:
        asked.append(script.send(answer))
    with pytest.raises(StopIteration) as ended:
        script.send(answers[-1])
    return asked, [found.number for found in ended.value.value]


# Unclaimed runs ----------------------------------------------------------------------------------


def claim(number: int, holder: str = "", due: str = OLD) -> RunClaimRow:
    run_id = str(UUID(int=number))
    return RunClaimRow(run_id, number, "desk", "daily", "running", due, holder, 1, 1)


def claims_of(*numbers: int) -> tuple[Any, ...]:
    return (Now(), *(Get(RUN_CLAIMS, (str(UUID(int=number)),)) for number in numbers))


def test_unclaimed_runs_are_merged_up_to_the_end_of_a_full_page() -> None:
    pending = [row(n, "pending") for n in (1, 4, 6, 9)]
    running = [row(n) for n in (3, 11)]
    asked, found = selected(
        Selection(unclaimed=True),
        (pending, running),
        (NOW, claim(1), claim(3, "ann", time(59) + "9"), None, claim(6, "bob", OLD), claim(9)),
        ([], [row(11)]),
        (NOW, claim(11, "", "2030")),
    )
    assert asked == [
        tuple(Scan(RUNS_BY_STATUS, (one,), limit=4) for one in ("pending", "running")),
        claims_of(1, 3, 4, 6, 9),
        tuple(Scan(RUNS_BY_STATUS, (one,), after=9, limit=16) for one in ("pending", "running")),
        claims_of(11),
    ]
    assert found == [1, 3, 4, 6, 9, 11]


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_page_that_ends_first_bounds_a_merged_page(newest_first: bool) -> None:
    near, far = (1, 2, 3, 4), (5, 9, 12, 15)
    if newest_first:
        near, far = (29, 28, 27, 26), (25, 21, 18, 15)
    of = Selection(unclaimed=True, newest_first=newest_first)
    pages = [row(n, "pending") for n in near], [row(n) for n in far]
    asked, found = selected(of, pages, (NOW, *map(claim, near)), ([], []), (NOW,))
    assert found == list(near)
    bounds = {"before": 26, "backwards": True} if newest_first else {"after": 4}
    scans = [
        Scan(RUNS_BY_STATUS, (status,), limit=16, **cast("Any", bounds))
        for status in ("pending", "running")
    ]
    assert asked[2] == tuple(scans)


def test_held_runs_are_left_out_until_their_claims_expire() -> None:
    rows = [row(n) for n in (1, 2, 3)]
    held = [claim(1, "ann", NOW), claim(2, "ann", NOW + "0"), claim(3, "", NOW + "0")]
    asked, found = selected(
        Selection("desk", status="running", unclaimed=True), (rows,), (NOW, *held)
    )
    assert asked[0] == (Scan(RUNS_BY_MOB_STATUS, ("desk", "running"), limit=4),)
    assert found == [1, 3], "expired, held, put off"


def test_unclaimed_runs_newest_first() -> None:
    of = Selection(unclaimed=True, newest_first=True, status="running", limit=2, after=ID)
    rows = [row(n) for n in (6, 5, 4, 3)]
    asked, found = selected(of, (RUN,), (rows,), (NOW, *map(claim, (6, 5, 4, 3))))
    scan = Scan(RUNS_BY_STATUS, ("running",), before=RUN.number, limit=4, backwards=True)
    assert asked[1] == (scan,)
    assert found == [6, 5]


@pytest.mark.parametrize(
    "of",
    [
        Selection(unclaimed=True, status="failed", after=ID),
        Selection(unclaimed=True, limit=0, after=ID),
    ],
)
def test_no_run_can_be_selected(of: Selection) -> None:
    assert selected(of, (RUN,)) == ([(Get(RUNS, (ID,)),)], [])


def test_a_run_without_a_number_is_named() -> None:
    broken = cast("Any", row(1))._replace(number=None)
    with pytest.raises(SerializationError, match="run 00000000"):
        selected(Selection(unclaimed=True, status="running"), ([broken],))


# Runs by end -------------------------------------------------------------------------------------

SINCE = time(10)
BOUND = SINCE[:-1]
ENDED = ("canceled", "completed", "failed")


def ends(**bounds: Any) -> tuple[Any, ...]:
    return tuple(Scan(RUNS_BY_END, (status,), **bounds) for status in ENDED)


def ties(second: int) -> tuple[Any, ...]:
    return tuple(Scan(RUNS_BY_END, (status, time(second))) for status in ENDED)


def test_runs_by_end() -> None:
    late = row(2, "failed", time(14))
    completed = [row(n, "completed", time(s)) for n, s in ((5, 11), (9, 12), (8, 12), (7, 12))]
    asked, found = selected(
        Selection(ended_since=SINCE),
        ([row(3, "canceled", time(10))], completed, [late]),
        ([row(1, "canceled", time(12))], [*completed[1:], row(6, "completed", time(12))], []),
        ([], [], [late]),
    )
    assert asked == [
        ends(after=BOUND, limit=4),
        ties(12),
        ends(after=time(12), limit=16),
    ]
    assert found == [3, 5, 1, 6, 7, 8, 9, 2], "a full page may end within runs of one time"


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_page_that_ends_first_bounds_a_page_by_end(newest_first: bool) -> None:
    near, far = (11, 12, 13, 14), (15, 25, 35, 45)
    if newest_first:
        near, far = (55, 54, 53, 52), (51, 41, 31, 21)
    of = Selection(ended_since=SINCE, newest_first=newest_first)
    pages = [[row(n, status, time(n)) for n in some] for some, status in zip(
        (near, (), far), ENDED, strict=True)]  # fmt: skip
    tie = row(near[-1], "canceled", time(near[-1]))
    asked, found = selected(of, tuple(pages), ([tie], [], []), ([], [], []))
    bounds: dict[str, Any] = {"after": time(14), "before": None}
    if newest_first:
        bounds = {"after": BOUND, "before": time(52), "backwards": True}
    assert asked[1:] == [ties(near[-1]), ends(limit=16, **bounds)]
    assert found == list(near)


def test_runs_by_end_newest_first_of_a_flow() -> None:
    of = Selection("desk", "daily", "failed", ended_since=SINCE, newest_first=True, limit=3)
    page = [row(n, "failed", time(30 - n), "desk" if n % 2 else "other") for n in range(1, 5)]
    asked, found = selected(of, (page,), ([page[-1]],), ([row(9, "failed", time(20))],))
    scan = Scan(RUNS_BY_END, ("failed",), after=BOUND, limit=4, backwards=True)
    assert asked == [
        (scan,),
        (Scan(RUNS_BY_END, ("failed", time(26))),),
        (Scan(RUNS_BY_END, ("failed",), BOUND, time(26), 16, backwards=True),),
    ]
    assert found == [1, 3, 9]


@pytest.mark.parametrize(("newest_first", "want"), [(False, [6, 8]), (True, [4, 1])])
def test_a_page_by_end_continues_within_a_tie(newest_first: bool, want: list[int]) -> None:
    last = row(5, "failed", time(15))
    of = Selection(ended_since=SINCE, after=last.run_id, newest_first=newest_first)
    same = [row(n, "failed", time(15)) for n in (6, 5, 4)]
    others = [row(1, "failed", time(11))] if newest_first else [row(8, "failed", time(16))]
    asked, found = selected(of, (last,), ([], [], same), ([], [], others))
    after, before = (BOUND, time(15)) if newest_first else (time(15), None)
    assert asked[1:] == [
        ties(15),
        tuple(
            Scan(RUNS_BY_END, (status,), after, before, limit=4, backwards=newest_first)
            for status in ENDED
        ),
    ]
    assert found == want


def test_a_page_by_end_after_a_run_that_ended_before() -> None:
    last = row(5, "failed", time(3))
    of = Selection(ended_since=SINCE, after=last.run_id)
    asked, found = selected(of, (last,), ([], [], [row(6, "failed", time(3))]), ([], [], []))
    assert asked[2] == ends(after=BOUND, limit=4)
    assert found == []


@pytest.mark.parametrize("last", [RUN, RUN._replace(completed_at=NOW), row(1, "failed")])
def test_a_page_by_end_after_a_run_that_has_not_ended(last: RunRow) -> None:
    with pytest.raises(UsageError, match="`after` names a run that has not ended"):
        selected(Selection(ended_since=SINCE, after=ID), (last,))


def test_a_page_after_a_missing_run() -> None:
    for of in (Selection(ended_since=SINCE), Selection(unclaimed=True), Selection()):
        with pytest.raises(NotFoundError, match="`after` names a run that does not exist"):
            selected(of._replace(after=ID), (None,))


# Counts ------------------------------------------------------------------------------------------

STATUSES = ("pending", "running", "completed", "failed", "canceled")


def skip(limit: int, *prefix: str, after: str | None = None) -> Scan[Any]:
    return Scan(RUNS_BY_FLOW_STATUS, prefix, after=after, limit=limit)


def test_counts_by_mob_and_flow_skip_runs() -> None:
    other = RUN._replace(mob_id="other", flow_id="")
    asked, commit = play(
        run_counts.count_runs(("flow_id", "status", "mob_id"), None),
        ([RUN] * 4,), ([], [other] * 8), ([], []),
        (0, 2, 0, 0, 3, 0, 0, 0, 0, 1),
    )  # fmt: skip
    assert asked[:-1] == [
        (skip(4),),
        (skip(8, "desk", after="daily"), skip(8, after="desk")),
        (skip(8, "other", after=""), skip(8, after="other")),
    ]
    groups = [("desk", "daily"), ("other", "")]
    assert asked[-1] == tuple(
        Count(Scan(RUNS_BY_FLOW_STATUS, (*group, status)))
        for group in groups
        for status in STATUSES
    )
    want = {
        ("", "canceled", "other"): 1,
        ("daily", "canceled", "desk"): 3,
        ("daily", "running", "desk"): 2,
    }
    assert list(commit.result.items()) == list(want.items())
    assert commit.writes == ()


def test_counts_by_flow_of_all_mobs_are_added() -> None:
    other = RUN._replace(mob_id="other")
    _, commit = play(
        run_counts.count_runs(("flow_id",), None),
        ([RUN, other],), (2, 3),
    )  # fmt: skip
    assert commit == Commit({("daily",): 5})


def test_a_page_of_one_mob_is_full_before_the_next_mob() -> None:
    flows = [RUN._replace(flow_id=f"{n}") for n in range(20)]
    late = RUN._replace(mob_id="other")
    asked, commit = play(
        run_counts.count_runs(("flow_id",), None),
        (flows[:4],), (flows[4:20], [late] * 16), ([], [late]), (1,) * 21,
    )  # fmt: skip
    assert asked[1] == (skip(16, "desk", after="3"), skip(16, after="desk"))
    assert asked[2] == (skip(64, "desk", after="19"), skip(64, after="desk"))
    assert commit.result == {(f"{n}",): 1 for n in range(20)} | {("daily",): 1}


def test_counts_of_one_mob_read_few_runs_of_a_flow() -> None:
    asked, commit = play(run_counts.count_runs(("flow_id",), "desk"), ([RUN] * 4,), ([],), (7,))
    assert asked[:2] == [(skip(4, "desk"),), (skip(8, "desk", after="daily"),)]
    assert commit == Commit({("daily",): 7})


@pytest.mark.parametrize(
    ("by", "mob_id", "counts", "want"),
    [
        (("status",), None, [Scan(RUNS_BY_STATUS, (status,)) for status in STATUSES], "status"),
        (("mob_id",), "desk", [Scan(RUNS_BY_MOB, ("desk",))], "desk"),
        (
            ("mob_id", "status"),
            "desk",
            [Scan(RUNS_BY_MOB_STATUS, ("desk", status)) for status in STATUSES],
            "both",
        ),
    ],
)
def test_counts_without_scans(
    by: tuple[str, ...], mob_id: str | None, counts: list[Any], want: str
) -> None:
    answers = tuple(range(len(counts)))
    asked, commit = play(run_counts.count_runs(by, mob_id), answers if len(answers) > 1 else (4,))
    assert asked == [tuple(map(Count, counts))]
    keys: dict[str, list[tuple[str, ...]]] = {
        "status": [(status,) for status in STATUSES],
        "desk": [("desk",)],
        "both": [("desk", status) for status in STATUSES],
    }
    numbers = answers if len(answers) > 1 else (4,)
    assert commit.result == {key: n for key, n in zip(keys[want], numbers, strict=True) if n}


def test_a_mob_that_cannot_be_read_is_named() -> None:
    broken = cast("Any", RUN)._replace(mob_id=None)
    with pytest.raises(SerializationError, match=f"run {ID} cannot be read"):
        play(run_counts.count_runs(("mob_id",), None), ([broken],))


# Ids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "after"), [("5f0c", "5f0c"), ("", None)])
def test_starts_of_ids(start: str, after: str | None) -> None:
    asked, commit = play(run_reading.find_run_ids(start, 2), ([RUN],))
    assert asked == [(Scan(RUNS, after=after, before=f"{start}g", limit=2),)]
    assert commit == Commit([UUID(ID)])


def test_a_whole_id() -> None:
    assert play(run_reading.find_run_ids(ID, 2), (RUN,)) == (
        [(Get(RUNS, (ID,)),)],
        Commit([UUID(ID)]),
    )
    assert play(run_reading.find_run_ids(ID, 2), (None,))[1] == Commit([])
    assert play(run_reading.find_run_ids(ID, 0), (RUN,))[1] == Commit([])


def test_an_id_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SerializationError, match="run odd cannot be read"):
        play(run_reading.find_run_ids("", 2), ([RUN._replace(run_id="odd")],))


def test_all_runs_need_no_index_of_their_own() -> None:
    assert selected(Selection(), ([RUN],)) == ([(Scan(RUNS_BY_NUMBER),)], [7])
