"""Cases of idempotent endings: failures recorded once, runs finished once, runs that have ended."""

from __future__ import annotations

from typing import Any, cast, get_args

from mobstore.errors import (
    ClaimLostError,
    ConflictError,
    NotFoundError,
    RunEndedError,
    UsageError,
)
from mobstore.model.event import FlowCanceled, FlowCompleted, FlowFailed, NewMobEvent
from mobstore.model.run import MobRun, TerminalStatus
from mobstore.stores.claims import run_claim_name
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, failure, full_run, make_run, run_id, state, timestamp
from mobstore.testing.subject import Subject

ENDINGS: tuple[TerminalStatus, ...] = get_args(TerminalStatus)


def _ending(n: int = 1, status: TerminalStatus = "completed", flow: str = "flow") -> NewMobEvent:
    run: dict[str, Any] = {"run_id": run_id(n), "flow_id": flow}
    if status == "failed":
        return event(kind=FlowFailed(**run, reason="r"))
    return event(kind=FlowCompleted(**run) if status == "completed" else FlowCanceled(**run))


async def _untouched(stores: MobStores, run: MobRun, events: int, what: str) -> None:
    """Assert that a run, and the number of events, are as before."""
    same(await stores.runs.get_run(run.run_id), run, f"{what}: the run")
    same(len(await stores.events.replay_all()), events, f"{what}: the number of events")


@case("runs.failures.if-absent")
async def appends_failures_if_absent(subject: Subject) -> None:
    """A failure is absent unless an entry has its step and reason; the time does not count."""
    runs = (await subject.open()).runs
    run = full_run(1, failure_ledger=())
    await runs.create_run(run)
    added = [failure("s", "a"), failure("s", "b"), failure("t", "a"), failure("", "s"),
             failure("S", "a"), failure("s", ""), failure("s", "x" * 10_000)]  # fmt: skip
    added += [failure(f"{n}", "many") for n in range(40)]
    for entry in added:
        appended = await runs.append_failure_entry_if_absent(run.run_id, entry)
        same(appended, True, f"{entry.step_id} the first time")
    for entry in added:
        later = entry.model_copy(update={"timestamp": timestamp(99)})
        appended = await runs.append_failure_entry_if_absent(run.run_id, later)
        same(appended, False, f"{entry.step_id} again, at another time")
    same(await runs.failure_entries(run.run_id), added, "the ledger")
    await runs.create_run(make_run(2))
    appended = await runs.append_failure_entry_if_absent(run_id(2), added[0])
    same(appended, True, "the same entry in another run")
    call = runs.append_failure_entry_if_absent(run_id(3), added[0])
    await expect_error(NotFoundError, call, "a missing run")


@case("runs.finish")
async def finishes_runs(subject: Subject) -> None:
    """A run ends with its status, time and event in one commit, whatever its status before."""
    stores = await subject.open()
    n = 0
    for before in ("pending", "running"):
        for status in ENDINGS:
            n += 1
            run = full_run(n, status=before, completed_at=None)
            await stores.runs.create_run(run)
            subject.clock.now = timestamp(n)
            finished = await stores.runs.finish_run(run.run_id, status, _ending(n, status))
            same(finished, True, f"a {before} run becomes {status}")
            want = run.model_copy(update={"status": status, "completed_at": timestamp(n)})
            same(await stores.runs.get_run(run.run_id), want, f"the {status} run")
            (last,) = await stores.events.poll(n - 1, 9)
            same((last.kind, last.timestamp), (_ending(n, status).kind, timestamp(n)), "its event")
    known = full_run(n + 1, status="running", completed_at=timestamp(-5))
    await stores.runs.create_run(known)
    at = event(at=timestamp(77))
    same(await stores.runs.finish_run(known.run_id, "failed", at), True, "an event without a run")
    want = known.model_copy(update={"status": "failed"})
    same(await stores.runs.get_run(known.run_id), want, "a run that had an end already")
    (last,) = await stores.events.poll(n, 9)
    same(last.timestamp, timestamp(77), "the time of an event that has one")
    same(await stores.claims.list(), [], "claims")
    same(await stores.runs.claim_next("ann", ttl=9), None, "work that is left")


@case("runs.finish.once")
async def finishes_once(subject: Subject) -> None:
    """A run that has ended is not ended again; only a claim that is still held ends."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(status="running"))
    claim = await stores.claims.acquire(run_claim_name(run_id(1)), "ann", 9)
    subject.clock.now = timestamp(5)
    finished = await stores.runs.finish_run(run_id(1), "completed", _ending(), claim=claim)
    same(finished, True, "the first time")
    run = cast("MobRun", await stores.runs.get_run(run_id(1)))
    same((run.status, run.completed_at), ("completed", timestamp(5)), "the run")
    subject.clock.now = timestamp(6)
    for status in ENDINGS:
        for again in (claim, None):
            finished = await stores.runs.finish_run(
                run_id(1), status, _ending(1, status), claim=again
            )
            same(finished, False, f"{status}, again")
    await _untouched(stores, run, 1, "a run that has ended")
    await stores.runs.create_run(make_run(9, status="running"))
    kept = await stores.claims.acquire(run_claim_name(run_id(9)), "ann", 9)
    await stores.runs.cas_run_status(run_id(9), expected="running", next="completed")
    finished = await stores.runs.finish_run(run_id(9), "completed", _ending(9), claim=kept)
    same(finished, False, "a run that was ended by its status")
    same(await stores.claims.list(), [], "the claim that was still held")
    for n, status in enumerate(ENDINGS, 2):
        ended = full_run(n, status=status, completed_at=None)
        await stores.runs.create_run(ended)
        finished = await stores.runs.finish_run(run_id(n), "failed", _ending(n, "failed"))
        same(finished, False, f"a run created as {status}")
        await _untouched(stores, ended, 1, f"a run created as {status}")


@case("runs.finish.claim")
async def finishes_with_claim(subject: Subject) -> None:
    """A claim is released with the end of its run; a lost one raises and nothing is written."""
    stores = await subject.open()
    run = make_run(status="running")
    await stores.runs.create_run(run)
    name = run_claim_name(run_id(1))
    lost = await stores.claims.acquire(name, "ann", 5)
    assert lost is not None, "the run can be claimed"
    subject.clock.now = lost.expires_at
    held = await stores.claims.acquire(name, "bob", 5)
    assert held is not None, "an expired claim can be taken"
    call = stores.runs.finish_run(run_id(1), "completed", _ending(), claim=lost)
    await expect_error(ClaimLostError, call, "a claim that another holder has")
    await _untouched(stores, run, 0, "a lost claim")
    same(await stores.claims.get(name), held, "the claim of the other holder")
    call = stores.runs.finish_run(run_id(2), "completed", _ending(2))
    await expect_error(NotFoundError, call, "a missing run")
    subject.clock.now = held.expires_at
    finished = await stores.runs.finish_run(run_id(1), "completed", _ending(), claim=held)
    same(finished, True, "a claim that has expired, but is still its holder's")
    same(await stores.claims.get(name), None, "the claim in the end")
    same(await stores.claims.acquire(name, "eve", 5), None, "claiming a run that has ended")
    same(await stores.claims.release(held), False, "releasing it again")


@case("runs.finish.holder")
async def fences_off_the_holder(subject: Subject) -> None:
    """A held run that is ended without its claim is its holder's no more."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(status="running"))
    claim = await stores.claims.acquire(run_claim_name(run_id(1)), "ann", 9)
    assert claim is not None, "the run can be claimed"
    same(
        await stores.runs.finish_run(run_id(1), "canceled", _ending(1, "canceled")),
        True,
        "by an operator",
    )

    async def fenced(at: Stores) -> None:
        await at.runs.append_failure_entry(run_id(1), failure())

    error = await expect_error(ClaimLostError, stores.atomic(fenced, claim=claim), "a fenced write")
    same((error.holder, error.epoch), ("ann", claim.epoch), "the error")
    await expect_error(ClaimLostError, stores.claims.renew(claim), "renewing")
    same(await stores.runs.failure_entries(run_id(1)), [], "the failure ledger")


@case("runs.finish.wrong")
async def rejects_wrong_endings(subject: Subject) -> None:
    """Events of another run or outcome, other claims, and statuses that are no end are rejected."""
    stores = await subject.open()
    run = make_run(status="running")
    await stores.runs.create_run(run)
    await stores.runs.create_run(make_run(2))
    other = await stores.claims.acquire(run_claim_name(run_id(2)), "ann", 9)
    named = await stores.claims.acquire("mine", "ann", 9)
    finish: Any = stores.runs.finish_run
    await expect_error(
        UsageError, finish(run_id(1), "failed", _ending(2, "failed")), "another run's event"
    )
    for claim in (other, named):
        call = finish(run_id(1), "failed", _ending(1, "failed"), claim=claim)
        await expect_error(UsageError, call, "another claim")
    for wrong in (
        _ending(1, "completed"),
        _ending(1, "canceled"),
        _ending(1, "failed", flow="other"),
        event("other"),
    ):
        call = finish(run_id(1), "failed", wrong)
        await expect_error(UsageError, call, f"the event {wrong!r}")
    for status in ("running", "pending", "done", "", None, 1):
        call = finish(run_id(1), status, _ending())
        await expect_error(UsageError, call, f"the status {status!r}")
    await _untouched(stores, run, 0, "after errors")


@case("runs.finish.atomic")
async def finishes_in_atomic(subject: Subject) -> None:
    """In an atomic call, a run is finished with the other operations, or not at all."""
    stores = await subject.open()
    run = make_run(status="running")
    await stores.runs.create_run(run)

    async def twice(at: Stores) -> tuple[bool, bool]:
        await at.events.append(event())
        first = await at.runs.finish_run(run_id(1), "failed", _ending(1, "failed"))
        return first, await at.runs.finish_run(run_id(1), "completed", _ending())

    async def fails(at: Stores) -> None:
        await twice(at)
        raise LookupError("mine")

    await expect_error(LookupError, stores.atomic(fails), "a function that raises")
    await _untouched(stores, run, 0, "after the error")
    same(await stores.atomic(twice), (True, False), "finishing twice")
    kinds = [one.kind for one in await stores.events.replay_all()]
    same(kinds, [event().kind, _ending(1, "failed").kind], "the log")


@case("atomic.unless-ended")
async def rejects_ended_runs(subject: Subject) -> None:
    """An atomic call is rejected once the run that it depends on has ended, or is gone."""
    stores = await subject.open()
    called: list[str] = []

    async def goes_on(at: Stores) -> str:
        called.append("called")
        await at.runs.cas_flow_state(run_id(1), expected=state(0), next=state(0))
        return (await at.events.append(event())).mob_id

    await stores.runs.create_run(make_run(status="running"))
    same(await stores.atomic(goes_on, unless_ended=run_id(1)), "mob", "a running run")
    same(await stores.atomic(goes_on, unless_ended=str(run_id(1))), "mob", "its id as text")
    for n, status in enumerate(ENDINGS, 2):
        await stores.runs.create_run(full_run(n, status=status))
        call = stores.atomic(goes_on, unless_ended=run_id(n))
        text = f"Run ended: run {run_id(n)} is {status}"
        error = await expect_error(RunEndedError, call, f"a {status} run", text)
        assert isinstance(error, ConflictError), "the error is one of conflicts"
        same((error.run_id, error.status), (str(run_id(n)), status), "the error")
    await expect_error(
        NotFoundError, stores.atomic(goes_on, unless_ended=run_id(9)), "a missing run"
    )
    wrong = cast("str", "no uuid")
    await expect_error(UsageError, stores.atomic(goes_on, unless_ended=wrong), "no run id")
    assert len(called) >= 2, "the function was called for the running run"
    same(len(await stores.events.replay_all()), 2, "the log")

    async def ends(at: Stores) -> bool:
        return await at.runs.finish_run(run_id(1), "completed", _ending())

    same(await stores.atomic(ends, unless_ended=run_id(1)), True, "ending it in the call itself")
