"""Every branch of the scripts of claims, stepped by hand."""

from __future__ import annotations

import pickle
from copy import copy
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from mobstore import (
    Claim,
    ClaimLostError,
    InternalError,
    NotFoundError,
    RunClaim,
    SerializationError,
    Timestamp,
    WriteFailedError,
)
from mobstore.codec.runs import read_header
from mobstore.model.json import I64_MAX
from mobstore.operations import claims
from mobstore.operations.claims import Work
from mobstore.scripts.tables import (
    CLAIMS,
    COUNTERS,
    RUN_CLAIMS,
    RUN_CLAIMS_BY_FLOW,
    RUN_CLAIMS_BY_HOLDER,
    RUN_CLAIMS_BY_MOB,
    RUN_CLAIMS_BY_STATUS,
    RUNS,
    ClaimRow,
    CounterRow,
    RunClaimRow,
    RunRow,
)
from mobstore.scripts.transaction import Add, Commit, Delete, Get, Now, Put, Scan, Script
from support.scripts import play

ID = "00000000-0000-4000-8000-000000000001"
NAME = f"run/{ID}"
BEFORE = "2026-03-04T05:06:06.000000000Z"
JUST_BEFORE = "2026-03-04T05:06:06.999999999Z"
NOW = "2026-03-04T05:06:07.000000000Z"
SOON = "2026-03-04T05:06:07.000000001Z"
LATER = "2026-03-04T05:06:17.000000000Z"  # ten seconds
UNTIL_10000 = float((date.max.toordinal() + 1 - date(2026, 3, 4).toordinal()) * 86400 - 18367)
TTL = 10_000_000
EPOCH = Get(COUNTERS, ("next_epoch",))
COUNTER = CounterRow("next_epoch", 7)
NEXT = Put(COUNTERS, (CounterRow("next_epoch", 8),))
HELD = ClaimRow("n", LATER, "ann", 3, TTL)
FREE = RunClaimRow(ID, 1, "mob", "flow", "pending", NOW, "", 3, 0)
TAKEN = FREE._replace(due_at=LATER, holder="ann", epoch=7, ttl=TTL)
ENDED = TAKEN._replace(status="failed")
RUN = RunRow(ID, 1, "mob", "flow", "pending", "null", NOW, "", 4)
WORK = Work("ann", TTL, ("pending",))


def claim(name: str = "n", holder: str = "ann", epoch: int = 3, until: str = LATER) -> Claim:
    expires = Timestamp.from_sortable(until)
    return Claim(name=name, holder=holder, epoch=epoch, expires_at=expires, ttl=10.0)


# Names -------------------------------------------------------------------------------------------


def test_acquire_a_new_name_in_a_new_store() -> None:
    asked, commit = play(claims.acquire("n", "ann", TTL), (None, None, NOW))
    assert asked == [(EPOCH, Get(CLAIMS, ("n",)), Now())]
    row = ClaimRow("n", LATER, "ann", 1, TTL)
    writes = Put(CLAIMS, (row,)), Add(COUNTERS, (CounterRow("next_epoch", 2),))
    assert commit == Commit(claim(epoch=1), writes)


@pytest.mark.parametrize("due", [NOW, JUST_BEFORE, "-999999-01-01T00:00:00.000000000Z"])
@pytest.mark.parametrize("holder", ["", "ann", "bob"])
def test_acquire_what_is_due(due: str, holder: str) -> None:
    stored = ClaimRow("n", due, holder, 3, 1)
    _, commit = play(claims.acquire("n", "ann", TTL), (COUNTER, stored, NOW))
    assert commit == Commit(claim(epoch=7), (Put(CLAIMS, (HELD._replace(epoch=7),)), NEXT))


@pytest.mark.parametrize("due", [SOON, LATER, "Y010000-01-01T00:00:00.000000000Z"])
@pytest.mark.parametrize("holder", ["", "ann", "bob"])
def test_acquire_what_is_not_due(due: str, holder: str) -> None:
    stored = ClaimRow("n", due, holder, 3, TTL)
    assert play(claims.acquire("n", "ann", TTL), (COUNTER, stored, NOW))[1] == Commit(None)


def test_acquire_a_run() -> None:
    asked, commit = play(claims.acquire(NAME, "ann", TTL), (COUNTER, FREE, NOW))
    assert asked == [(EPOCH, Get(RUN_CLAIMS, (ID,)), Now())]
    assert commit == Commit(claim(NAME, epoch=7), (Put(RUN_CLAIMS, (TAKEN,), later=True), NEXT))


@pytest.mark.parametrize("holder", ["", "ann"])
def test_acquire_a_run_that_has_ended(holder: str) -> None:
    stored = ENDED._replace(due_at=BEFORE, holder=holder)
    assert play(claims.acquire(NAME, "bob", TTL), (COUNTER, stored, NOW))[1] == Commit(None)
    asked, commit = play(claims.acquire(NAME, "bob", TTL), (COUNTER, None, NOW), (RUN,))
    assert asked[1] == (Get(RUNS, (ID,)),)
    assert commit == Commit(None)


def test_acquire_a_run_that_does_not_exist() -> None:
    with pytest.raises(NotFoundError) as caught:
        play(claims.acquire(NAME, "bob", TTL), (COUNTER, None, NOW), (None,))
    assert caught.value.detail == f"run not found: {ID}"


@pytest.mark.parametrize(("counter", "stored", "epoch"), [(7, 6, 7), (7, 7, 8), (7, 41, 42)])
def test_a_counter_that_is_behind_is_corrected(counter: int, stored: int, epoch: int) -> None:
    row = ClaimRow("n", NOW, "bob", stored, TTL)
    answers = CounterRow("next_epoch", counter), row, NOW
    _, commit = play(claims.acquire("n", "ann", TTL), answers)
    assert commit.result == claim(epoch=epoch)
    assert commit.writes[1] == Put(COUNTERS, (CounterRow("next_epoch", epoch + 1),))


@pytest.mark.parametrize("value", [0, -1])
def test_a_counter_that_is_too_low(value: int) -> None:
    with pytest.raises(WriteFailedError) as caught:
        play(claims.acquire("n", "ann", TTL), (CounterRow("next_epoch", value), None, NOW))
    assert "next_epoch" in caught.value.detail


@pytest.mark.parametrize(("counter", "stored"), [(I64_MAX, 1), (7, I64_MAX - 1)])
def test_epochs_that_are_used_up(counter: int, stored: int) -> None:
    row = ClaimRow("n", NOW, "", stored, 0)
    with pytest.raises(InternalError, match="used up"):
        play(claims.acquire("n", "ann", TTL), (CounterRow("next_epoch", counter), row, NOW))


# Renewing, holding, releasing --------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [None, TTL])
@pytest.mark.parametrize("due", [BEFORE, NOW, SOON])
def test_renew(ttl: int | None, due: str) -> None:
    stored = HELD._replace(due_at=due, ttl=TTL if ttl is None else 1)
    asked, commit = play(claims.renew(claim(until=due), ttl), (stored, NOW))
    assert asked == [(Get(CLAIMS, ("n",)), Now())]
    assert commit == Commit(claim(), (Put(CLAIMS, (HELD,)),))


def test_renew_a_run_that_has_ended() -> None:
    _, commit = play(claims.renew(claim(NAME, epoch=7), TTL), (ENDED, NOW))
    assert commit.writes == (Put(RUN_CLAIMS, (ENDED,), later=True),)


LOST: list[tuple[ClaimRow | None, str]] = [
    (None, "it was released"),
    (HELD._replace(holder="", due_at=SOON), "it was released"),
    (HELD._replace(holder="bob"), "bob holds it, epoch 3"),
    (HELD._replace(epoch=4), "ann holds it, epoch 4"),
    (HELD._replace(epoch=2), "ann holds it, epoch 2"),
]


@pytest.mark.parametrize(("stored", "why"), LOST)
def test_lost(stored: ClaimRow | None, why: str) -> None:
    calls: list[tuple[Script[Any], tuple[Any, ...]]] = [
        (claims.renew(claim(), None), (stored, NOW)),
        (claims.hold(claim()), (stored,)),
    ]
    for script, answers in calls:
        with pytest.raises(ClaimLostError) as caught:
            play(script, answers)
        assert str(caught.value) == f"Claim lost: claim n of ann, epoch 3: {why}"
    assert play(claims.release(claim(), None), (stored, NOW))[1] == Commit(False)


def test_a_claim_without_a_holder_is_never_held() -> None:
    forged = claim(NAME, holder="")
    with pytest.raises(ClaimLostError):
        play(claims.hold(forged), (FREE,))
    assert play(claims.release(forged, None), (FREE, NOW))[1] == Commit(False)


@pytest.mark.parametrize("due", [BEFORE, LATER])
def test_hold(due: str) -> None:
    asked, commit = play(claims.hold(claim()), (HELD._replace(due_at=due),))
    assert asked == [(Get(CLAIMS, ("n",)),)]
    assert commit == Commit(None)


def test_release() -> None:
    asked, commit = play(claims.release(claim(), None), (HELD, NOW))
    assert asked == [(Get(CLAIMS, ("n",)), Now())]
    assert commit == Commit(True, (Delete(CLAIMS, ("n",)),))


def test_release_a_run() -> None:
    own = claim(NAME, epoch=7)
    free = TAKEN._replace(holder="", due_at=NOW)
    assert play(claims.release(own, None), (TAKEN, NOW))[1].writes == (Put(RUN_CLAIMS, (free,)),)


@pytest.mark.parametrize("not_before", [None, LATER, timedelta(days=1)])
def test_release_a_run_that_has_ended(not_before: Any) -> None:
    _, commit = play(claims.release(claim(NAME, epoch=7), not_before), (ENDED, NOW))
    assert commit == Commit(True, (Delete(RUN_CLAIMS, (ID,)),))


@pytest.mark.parametrize("not_before", [LATER, timedelta(seconds=10)])
def test_put_off(not_before: Any) -> None:
    later = HELD._replace(holder="", due_at=LATER)
    _, commit = play(claims.release(claim(), not_before), (HELD._replace(due_at=SOON), NOW))
    assert commit == Commit(True, (Put(CLAIMS, (later,)),))
    _, commit = play(claims.release(claim(NAME, epoch=7), not_before), (TAKEN, NOW))
    assert commit.writes == (Put(RUN_CLAIMS, (TAKEN._replace(holder=""),)),)


# Reading -----------------------------------------------------------------------------------------


def test_get() -> None:
    asked, commit = play(claims.get("n"), (HELD,))
    assert asked == [(Get(CLAIMS, ("n",)),)]
    assert commit == Commit(claim())
    for stored in (None, HELD._replace(holder="")):
        assert play(claims.get("n"), (stored,))[1] == Commit(None)
    asked, commit = play(claims.get(NAME), (TAKEN,))
    assert asked == [(Get(RUN_CLAIMS, (ID,)),)]
    assert commit == Commit(claim(NAME, epoch=7))


@pytest.mark.parametrize(
    ("prefix", "expired", "names", "after", "before"),
    [
        ("", None, ["m", "n", NAME, "s"], None, None),
        ("", True, ["m"], None, None),
        ("", False, ["n", NAME, "s"], None, None),
        ("r", None, [NAME], "r", "s"),
        ("run/", None, [NAME], "run/", "run0"),
        (NAME, None, [NAME], NAME, f"{NAME[:-1]}2"),
    ],
)
def test_list(
    prefix: str, expired: bool | None, names: list[str], after: str | None, before: str | None
) -> None:
    rows = [HELD._replace(name="s", due_at=SOON), HELD, HELD._replace(name="m", due_at=NOW)]
    rows.append(HELD._replace(name="put off", holder=""))
    asked, commit = play(claims.list_claims(prefix, expired=expired), (NOW, None, rows, [TAKEN]))
    bounded = Scan(CLAIMS, after=after, before=before)
    runs = Scan(RUN_CLAIMS_BY_HOLDER, after="")
    assert asked == [(Now(), Get(CLAIMS, (prefix,)), bounded, runs)]
    assert [one.name for one in commit.result] == names


@pytest.mark.parametrize(
    ("prefix", "before"),
    [
        ("n", "o"),
        ("n\0", "n\x01"),
        ("n\U0010ffff", "o"),
        ("\U0010ffff", None),
        ("\ud7ff", "\ue000"),
        ("\ud7ff\U0010ffff", "\ue000"),
        ("\uffff", "\U00010000"),
    ],
)
def test_list_reads_the_names_with_a_prefix_only(prefix: str, before: str | None) -> None:
    rows = [HELD._replace(name=f"{prefix}b"), HELD._replace(name=f"{prefix}a")]
    whole = HELD._replace(name=prefix)
    asked, commit = play(claims.list_claims(prefix, expired=None), (NOW, whole, rows, []))
    runs = Scan(RUN_CLAIMS_BY_HOLDER, after="", limit=0)
    bounded = Scan(CLAIMS, after=prefix, before=before)
    assert asked == [(Now(), Get(CLAIMS, (prefix,)), bounded, runs)]
    assert [one.name for one in commit.result] == [prefix, f"{prefix}a", f"{prefix}b"]


ODD: list[dict[str, Any]] = [
    {"due_at": "soon"}, {"due_at": ""}, {"due_at": 3}, {"due_at": b"x"}, {"holder": b"x"},
    {"holder": 1}, {"epoch": "1"}, {"epoch": 1.5}, {"epoch": None}, {"ttl": "x"}, {"ttl": None},
    {"name": 5}, {"name": b"n"},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_row_that_cannot_be_read_is_named(odd: dict[str, Any]) -> None:
    with pytest.raises(SerializationError) as caught:
        play(claims.get("n"), (HELD._replace(**odd),))
    assert caught.value.detail == f"claim {odd.get('name', 'n')} cannot be read"


# Work --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "scans"),
    [
        (WORK, [Scan(RUN_CLAIMS_BY_STATUS, ("pending",), limit=1)]),
        (
            WORK._replace(statuses=("pending", "running"), mob_id="m"),
            [
                Scan(RUN_CLAIMS_BY_MOB, ("m", "pending"), limit=1),
                Scan(RUN_CLAIMS_BY_MOB, ("m", "running"), limit=1),
            ],
        ),
        (
            WORK._replace(mob_id="m", flow_id="f"),
            [Scan(RUN_CLAIMS_BY_FLOW, ("m", "f", "pending"), limit=1)],
        ),
        (
            WORK._replace(mob_id="", flow_id=""),
            [Scan(RUN_CLAIMS_BY_FLOW, ("", "", "pending"), limit=1)],
        ),
    ],
)
@pytest.mark.parametrize(("most", "limit"), [(None, 0), (1, None)])
def test_each_selection_has_an_index(
    work: Work, scans: list[Scan[Any]], most: int | None, limit: int | None
) -> None:
    held = Scan(RUN_CLAIMS_BY_HOLDER, ("ann",), limit=limit)
    none: list[list[RunClaimRow]] = [[]] * len(scans)
    work = work._replace(most=most)
    asked, commit = play(claims.claim_next(work), (None, NOW, [], *none))
    assert asked == [(EPOCH, Now(), replace(held, limit=most or 0), *scans)]
    assert commit == Commit(None)
    asked, wait = play(claims.pause_of(work), (NOW, [], *none))
    assert asked == [(Now(), held, *scans)]
    assert wait == Commit(claims.Pause(None, []))
    first = claims.due_runs(work)
    assert {(scan.index, *scan.prefix[:-1]) for scan in scans} == {(first.index, *first.prefix)}


def test_claim_next() -> None:
    answers: list[tuple[Any, ...]] = [(COUNTER, NOW, [], [FREE]), (RUN, FREE)]
    asked, commit = play(claims.claim_next(WORK), *answers)
    assert asked[1] == (Get(RUNS, (ID,)), Get(RUN_CLAIMS, (ID,)))
    want = RunClaim(
        name=NAME, holder="ann", epoch=7, expires_at=Timestamp.from_sortable(LATER), ttl=10.0,
        run=read_header(RUN, TAKEN),
    )  # fmt: skip
    assert commit == Commit(want, (Put(RUN_CLAIMS, (TAKEN,), later=True), NEXT))
    assert want.run.holder == "ann"


def test_claim_next_that_is_not_due() -> None:
    late = FREE._replace(due_at=SOON)
    assert play(claims.claim_next(WORK), (COUNTER, NOW, [], [late]))[1] == Commit(None)


def test_claim_next_of_several() -> None:
    work = WORK._replace(statuses=("pending", "running"))
    other = FREE._replace(run_id="other", number=2, status="running")
    none: list[RunClaimRow] = []
    for rows, first in (
        (([FREE], [other]), FREE),
        (([FREE], [other._replace(due_at=JUST_BEFORE)]), other),
        (([FREE._replace(number=3)], [other]), other),
        ((none, [other]), other),
    ):
        script = claims.claim_next(work)
        next(script)
        assert script.send((COUNTER, NOW, [], *rows))[0] == Get(RUNS, (first.run_id,))


@pytest.mark.parametrize("row", [None, TAKEN, FREE._replace(due_at=BEFORE)])
def test_claim_next_of_a_run_that_was_changed_meanwhile(row: RunClaimRow | None) -> None:
    second = FREE._replace(run_id="second", number=2)
    runs = RUN._replace(run_id=ID), RUN._replace(run_id="second", number=2)
    answers: list[tuple[Any, ...]] = [
        (COUNTER, NOW, [], [FREE]), (runs[0], row), ([TAKEN, second],),
    ]  # fmt: skip
    script = claims.claim_next(WORK)
    asked = [next(script), *map(script.send, answers)]
    assert asked[2] == (Scan(RUN_CLAIMS_BY_STATUS, ("pending",), limit=2),)
    assert asked[3][0] == Get(RUNS, ("second",))
    script.close()
    again = [*answers[:2], ([TAKEN],)]
    assert play(claims.claim_next(WORK), *again)[1] == Commit(None)


@pytest.mark.parametrize(
    "run", [None, RUN._replace(status="failed"), RUN._replace(mob_id="x"), RUN._replace(number=2)]
)
def test_claim_next_of_a_damaged_run(run: RunRow | None) -> None:
    answers: list[tuple[Any, ...]] = [(COUNTER, NOW, [], [FREE]), (run, FREE), ([FREE],)]
    with pytest.raises(SerializationError, match=f"claim {NAME} cannot be read, and no other"):
        play(claims.claim_next(WORK), *answers)


def test_claim_next_passes_over_a_damaged_run() -> None:
    sound = RUN._replace(run_id=f"{UUID(int=2)}", number=8)
    free = FREE._replace(run_id=sound.run_id, number=8)
    answers: list[tuple[Any, ...]] = [(COUNTER, NOW, [], [FREE]), (None, FREE)]
    answers += [([FREE, free],), (sound, free)]
    _, commit = play(claims.claim_next(WORK), *answers)
    assert commit.result is not None
    assert commit.result.run.run_id == UUID(int=2)


@pytest.mark.parametrize(("most", "enough"), [(None, False), (1, True), (2, True), (3, False)])
def test_claim_next_with_claims_of_its_own(most: int | None, enough: bool) -> None:
    held = [TAKEN, TAKEN._replace(due_at=SOON), TAKEN._replace(due_at=NOW)]
    answers: list[tuple[Any, ...]] = [(COUNTER, NOW, held, [FREE]), (RUN, FREE)]
    work = WORK._replace(most=most)
    if most == len(held):  # it reads on, in place of the expired one
        answers[1:1] = [([TAKEN._replace(due_at=BEFORE)],)]
    _, commit = play(claims.claim_next(work), *answers[: 1 if enough else None])
    assert (commit.result is None) == enough


def test_claim_next_counts_claims_beyond_expired_ones() -> None:
    expired = TAKEN._replace(due_at=NOW)
    answers: list[tuple[Any, ...]] = [
        (COUNTER, NOW, [expired, expired], [FREE]),
        ([*[expired] * 254, TAKEN, TAKEN],),
    ]
    asked, commit = play(claims.claim_next(WORK._replace(most=2)), *answers)
    assert asked[1] == (Scan(RUN_CLAIMS_BY_HOLDER, ("ann",), after=ID, limit=256),)
    assert commit == Commit(None)


@pytest.mark.parametrize(
    ("due", "held", "most", "seconds"),
    [
        (BEFORE, [], None, 0.0),
        (NOW, [], 1, 0.0),
        (LATER, [], None, 10.000001),
        (SOON, [], None, 0.000001),
        ("Y010000-01-01T00:00:00.000000000Z", [], None, UNTIL_10000),
        (NOW, [LATER], 1, 10.000001),
        (NOW, [LATER], None, 0.0),
        (NOW, [LATER], 2, 0.0),
        (NOW, [LATER, BEFORE, NOW], 2, 0.0),
        (NOW, [LATER, SOON], 2, 0.000001),
        (NOW, [SOON, LATER], 1, 10.000001),
        (LATER, [SOON], 1, 10.000001),
    ],
)
def test_seconds_until_due(due: str, held: list[str], most: int | None, seconds: float) -> None:
    rows = [TAKEN._replace(due_at=end) for end in held]
    script = claims.pause_of(WORK._replace(most=most))
    found = play(script, (NOW, rows, [FREE._replace(due_at=due)]))[1].result
    assert found.seconds == pytest.approx(seconds, abs=1e-9)
    unexpired = [NAME for end in held if end > NOW]
    assert found.held == (unexpired if most is not None and len(unexpired) >= most else [])


def test_listeners_find_the_row() -> None:
    assert claims.scan_of("n") == Scan(CLAIMS, ("n",))
    assert claims.scan_of(NAME) == Scan(RUN_CLAIMS, (ID,))


# Values ------------------------------------------------------------------------------------------


def test_a_claim_is_a_record() -> None:
    one = claim(NAME)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - its own
    assert Claim.from_json(one.to_json()) == copy(one) == one
    assert hash(one) == hash(claim(NAME))
    assert one != claim(NAME, epoch=4)
    assert str(one.run_id) == ID
    assert claim().run_id is None
    held = RunClaim(**one.__dict__, run=read_header(RUN, TAKEN))
    assert RunClaim.from_json(held.to_json()) == held == pickle.loads(pickle.dumps(held))  # noqa: S301
    assert held != one
    wrong: list[dict[str, Any]] = [{"epoch": -1}, {"epoch": 2**64}, {"holder": None}, {"ttl": "x"}]
    for odd in wrong:
        with pytest.raises(ValidationError):
            Claim(**{**one.__dict__, **odd})


def test_the_error_can_be_pickled() -> None:
    error = ClaimLostError("n", "ann", 3, "it was released")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    assert (str(again), again.name, again.holder, again.epoch) == (str(error), "n", "ann", 3)
