"""Every branch of the scripts that end runs, stepped by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.runs import ID, NOW, RUN
from mobstore import Claim, ClaimLostError, NotFoundError, RunEndedError, Timestamp, UsageError
from mobstore.operations import endings, ledgers
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    FAILURE_LEDGER,
    RUN_CLAIMS,
    RUNS,
    CounterRow,
    EventRow,
    FailureLedgerRow,
    RunClaimRow,
)
from mobstore.scripts.transaction import Add, Commit, Delete, Get, Put, Scan
from support.scripts import play

EVENT = EventRow(0, "desk", NOW, "flow_completed", ID, "{}")
HELD = RunClaimRow(ID, 7, "desk", "daily", "running", NOW, "ann", 3, 5_000_000)
CLAIM = Claim(
    name=f"run/{ID}",
    holder="ann",
    epoch=3,
    expires_at=Timestamp(NOW) + timedelta(seconds=5),
    ttl=5.0,
)
FIRST = (Get(RUNS, (ID,)), Get(RUN_CLAIMS, (ID,)))
FINISHED = (
    Put(RUNS, (RUN._replace(status="failed", completed_at=NOW),)),
    Delete(RUN_CLAIMS, (ID,)),
    Add(EVENTS, [EVENT._replace(cursor=9)]),
    Put(COUNTERS, (CounterRow("next_cursor", 10),)),
)


@pytest.mark.parametrize(
    ("claim", "row"),
    [(CLAIM, HELD), (None, HELD), (None, HELD._replace(holder="", epoch=0)), (None, None)],
)
def test_finish(claim: Claim | None, row: RunClaimRow | None) -> None:
    asked, commit = play(
        endings.finish_run(ID, "failed", EVENT, None, claim, NOW),
        (RUN, row),
        (CounterRow("next_cursor", 9),),
    )
    assert asked == [FIRST, (Get(COUNTERS, ("next_cursor",)),)]
    assert commit == Commit(True, FINISHED)


@pytest.mark.parametrize("status", ["completed", "failed", "canceled"])
@pytest.mark.parametrize("row", [HELD, None])
def test_finish_again(status: str, row: RunClaimRow | None) -> None:
    script = endings.finish_run(ID, "failed", EVENT, None, CLAIM, NOW)
    asked, commit = play(script, (RUN._replace(status=status), row))
    assert asked == [FIRST]
    assert commit == Commit(False, () if row is None else (Delete(RUN_CLAIMS, (ID,)),))


def test_finish_again_with_the_claim_of_another() -> None:
    script = endings.finish_run(ID, "failed", EVENT, None, CLAIM, NOW)
    answers = RUN._replace(status="failed"), HELD._replace(holder="bob")
    assert play(script, answers)[1] == Commit(False)


@pytest.mark.parametrize(
    ("event", "flow_id"), [(EVENT._replace(mob_id="other"), None), (EVENT, "other")]
)
def test_finish_with_an_event_of_another(event: EventRow, flow_id: str | None) -> None:
    with pytest.raises(UsageError, match="belongs to another"):
        play(endings.finish_run(ID, "failed", event, flow_id, None, NOW), (RUN, HELD))


@pytest.mark.parametrize(
    "row", [None, HELD._replace(holder="bob"), HELD._replace(epoch=4), HELD._replace(holder="")]
)
def test_finish_with_a_lost_claim(row: RunClaimRow | None) -> None:
    with pytest.raises(ClaimLostError):
        play(endings.finish_run(ID, "failed", EVENT, None, CLAIM, NOW), (RUN, row))


def test_finish_a_missing_run() -> None:
    with pytest.raises(NotFoundError, match=f"run not found: {ID}"):
        play(endings.finish_run(ID, "failed", EVENT, None, CLAIM, NOW), (None, None))


def test_not_ended() -> None:
    assert play(endings.require_not_ended(ID), (RUN,)) == ([(Get(RUNS, (ID,)),)], Commit(None))
    with pytest.raises(RunEndedError, match="is canceled") as caught:
        play(endings.require_not_ended(ID), (RUN._replace(status="canceled"),))
    assert (caught.value.run_id, caught.value.status) == (ID, "canceled")
    with pytest.raises(NotFoundError):
        play(endings.require_not_ended(ID), (None,))


def _failures(*positions: int) -> list[FailureLedgerRow]:
    return [FailureLedgerRow(ID, n, f"s{n}", "why", NOW) for n in positions]


LAST = Scan(FAILURE_LEDGER, (ID,), limit=1, backwards=True)


def test_failure_absent() -> None:
    entry = FailureLedgerRow(ID, 0, "t", "why", NOW)
    asked, commit = play(
        ledgers.append_failure_entry_if_absent(entry),
        (RUN, _failures(9)),
        (_failures(8, 7, 6, 5),),
        (_failures(4, 3, 2, 1, 0),),
        ([],),
    )
    pages = [
        (Scan(FAILURE_LEDGER, (ID,), before=before, limit=limit, backwards=True),)
        for before, limit in ((9, 4), (5, 16), (0, 64))
    ]
    assert asked == [(Get(RUNS, (ID,)), LAST), *pages]
    assert commit == Commit(True, (Add(FAILURE_LEDGER, (entry._replace(position=10),)),))


def test_first_failure() -> None:
    entry = FailureLedgerRow(ID, 5, "t", "why", NOW)
    _, commit = play(ledgers.append_failure_entry_if_absent(entry), (RUN, []))
    assert commit == Commit(True, (Add(FAILURE_LEDGER, (entry._replace(position=0),)),))


@pytest.mark.parametrize(("step", "answers"), [("s9", 1), ("s6", 2)])
def test_failure_present(step: str, answers: int) -> None:
    entry = FailureLedgerRow(ID, 0, step, "why", "2026-03-05T00:00:00.000000000Z")
    pages = [(RUN, _failures(9)), (_failures(8, 7, 6, 5),)]
    asked, commit = play(ledgers.append_failure_entry_if_absent(entry), *pages[:answers])
    assert (len(asked), commit) == (answers, Commit(False))


def test_failure_of_a_missing_run() -> None:
    with pytest.raises(NotFoundError):
        play(ledgers.append_failure_entry_if_absent(_failures(0)[0]), (None, []))
