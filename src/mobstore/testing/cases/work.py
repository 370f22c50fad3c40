"""Cases of claiming the next run, and of waiting for runs to claim."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import Any, cast

from mobstore.errors import ClosedError, UsageError
from mobstore.model.claim import RunClaim
from mobstore.stores.claims import run_claim_name
from mobstore.stores.mob_stores import MobStores
from mobstore.testing.cases.claims import FAR, MICROSECOND, MINUTE, TTL
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, full_run, make_run, run_id, state, timestamp
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import CountingEngine, start_waiting


async def _next(stores: MobStores, holder: str = "ann", **options: Any) -> int | None:
    """Claim the next run and return its number."""
    claim = await stores.runs.claim_next(holder, ttl=TTL, **options)
    return None if claim is None else claim.run.run_id.int


@case("runs.claim-next")
async def claims_the_next_run(subject: Subject) -> None:
    """A claim on the next run has its header; runs that are held or have ended are no work."""
    stores = await subject.open()
    same(await _next(stores), None, "a run of an empty store")
    await stores.runs.create_run(full_run(1))
    await stores.runs.create_run(make_run(2))
    await stores.runs.create_run(make_run(3, status="running"))
    claim = await stores.runs.claim_next("ann", ttl=TTL)
    assert claim is not None, "there is a run"
    header = await stores.runs.get_run_header(run_id(2))
    want = RunClaim(
        name=run_claim_name(run_id(2)), holder="ann", epoch=1, expires_at=timestamp(0) + MINUTE,
        ttl=60.0, run=cast("Any", header),
    )  # fmt: skip
    same(claim, want, "the claim and the header")
    same(claim.run.due_at, claim.expires_at, "the due time in the header")
    await stores.runs.cas_run_status(run_id(2), expected="pending", next="running")
    await stores.claims.hold(claim)
    same(await _next(stores, "bob"), 3, "the next run")
    same(await _next(stores, "bob"), None, "a run that is free")
    subject.clock.now += MINUTE
    await stores.runs.cas_run_status(run_id(2), expected="running", next="failed")
    same(await _next(stores, "bob"), 3, "the expired claim on a run that has not ended")
    same(await _next(stores), None, "a run that has ended, with an expired claim")
    same(await stores.claims.release(claim), True, "the release of the run that has ended")
    same(await _next(stores), None, "a run that has ended, without a claim")
    await stores.runs.delete_run(run_id(3))
    same(await _next(stores), None, "a run that was removed")
    call: Any = stores.runs.claim_next
    wrong: list[dict[str, Any]] = [
        {"holder": ""}, {"holder": 1}, {"ttl": 0}, {"ttl": "1"}, {"statuses": ()},
        {"statuses": "pending"}, {"statuses": ["completed"]}, {"statuses": [1]}, {"mob_id": 1},
        {"flow_id": "flow"}, {"most": 0}, {"most": -1}, {"most": True},
    ]  # fmt: skip

    async def iterate(**options: Any) -> None:
        cast("Any", stores.runs.claims)(**options)

    for options in wrong:
        for begin in (call, iterate):
            arguments = {"holder": "ann", "ttl": 1, **options}
            await expect_error(UsageError, begin(**arguments), f"{options}")


@case("runs.claim-next.order")
async def claims_the_one_due_longest(subject: Subject) -> None:
    """The run that has been due longest comes first; of several, the one created first."""
    stores = await subject.open()
    subject.clock.now = timestamp(0) + MINUTE
    created = {1: 5, 2: 3, 3: 4, 4: 3, 5: 99}
    for n, seconds in created.items():
        at = timestamp(0) + timedelta(seconds=seconds)
        status = "running" if n % 2 else "pending"
        await stores.runs.create_run(make_run(n, status=status, created_at=at))
    same([await _next(stores) for _ in range(6)], [2, 4, 3, 1, 5, None], "the order of creation")
    for n, seconds in {3: 7, 1: 9, 4: 8, 2: 0, 5: 7}.items():
        claim = await stores.claims.get(run_claim_name(run_id(n)))
        assert claim is not None, "the run is held"
        await stores.claims.release(claim, timedelta(seconds=seconds) if seconds else None)
    same([await _next(stores), await _next(stores)], [2, None], "the run that is due")
    start = subject.clock.now
    subject.clock.now = start + timedelta(seconds=7) - MICROSECOND
    same(await _next(stores), None, "a microsecond before")
    subject.clock.now = start + timedelta(seconds=8)
    same([await _next(stores) for _ in range(4)], [3, 5, 4, None], "the order of due times")
    subject.clock.now = start + MINUTE + timedelta(seconds=8)
    same([await _next(stores) for _ in range(3)], [1, 2, 3], "due runs before expired claims")


@case("runs.claim-next.filter")
async def claims_the_wanted_runs(subject: Subject) -> None:
    """Runs can be chosen by status, by mob and by flow of a mob."""
    stores = await subject.open()
    makers = [("a", "x"), ("a", "y"), ("b", "x"), ("", ""), ("a", "x")]
    for n, (mob, flow) in enumerate(makers, 1):
        status = "running" if n == 5 else "pending"
        await stores.runs.create_run(make_run(n, mob=mob, flow=flow, status=status))
    same(await _next(stores, mob_id="c"), None, "another mob")
    same(await _next(stores, mob_id="b", flow_id="y"), None, "another flow")
    same(await _next(stores, mob_id="a", flow_id="y"), 2, "a flow of a mob")
    same(await _next(stores, mob_id="a", statuses=["running"]), 5, "a status of a mob")
    same(await _next(stores, mob_id="", flow_id=""), 4, "empty names")
    same(await _next(stores, statuses={"running"}), None, "another status")
    same(await _next(stores, mob_id="b"), 3, "a mob")
    same(await _next(stores, statuses=("pending", "pending")), 1, "a status")


@case("runs.claim-next.most")
async def claims_no_more_than_that(subject: Subject) -> None:
    """A holder with as many unexpired claims on runs as `most` gets no further one."""
    stores = await subject.open()
    for n in range(1, 9):
        await stores.runs.create_run(make_run(n))
    assert await stores.claims.acquire("name", "ann", TTL), "claims on names do not count"
    same([await _next(stores, most=2) for _ in range(3)], [1, 2, None], "two runs")
    same(await _next(stores, "an", most=1), 3, "a run for another holder")
    same(await _next(stores, "bob", most=1), 4, "a run for a third one")
    same(await _next(stores, most=3), 5, "with a greater number")
    claim = await stores.claims.get(run_claim_name(run_id(2)))
    assert claim is not None, "the run is held"
    await stores.claims.release(claim, timedelta(1))
    same(await _next(stores, most=3), 6, "after a release")
    subject.clock.now += MINUTE
    same([await _next(stores, most=1) for _ in range(2)], [7, None], "after the claims expired")
    got = await asyncio.gather(*(_next(stores, "dan", most=3) for _ in range(8)))
    same(len([n for n in got if n is not None]), 3, "runs of a holder with several tasks")


@case("runs.claim-next.once")
async def claims_each_run_once(subject: Subject) -> None:
    """Of several tasks that claim runs, each run is claimed by one."""
    stores = await subject.open()
    for n in range(1, 13):
        await stores.runs.create_run(make_run(n))

    async def work(holder: str) -> list[RunClaim]:
        claims: list[RunClaim] = []
        while (claim := await stores.runs.claim_next(holder, ttl=TTL)) is not None:
            claims.append(claim)
        return claims

    found = await asyncio.gather(*(work(f"w-{n}") for n in range(4)))
    claims = [claim for each in found for claim in each]
    same(sorted(claim.run.run_id.int for claim in claims), [*range(1, 13)], "the runs")
    same(sorted(claim.epoch for claim in claims), [*range(1, 13)], "the epochs")


@case("runs.claims")
async def waits_for_runs(subject: Subject) -> None:
    """An iterator over claims waits for runs that are created, released or changed."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(1))
    async with stores.runs.claims("ann", ttl=TTL, most=9, mob_id="mob") as claims:
        first = await anext(claims)
        same((first.run.run_id, first.holder), (run_id(1), "ann"), "the first claim")

        async def after(change: Any, n: int) -> None:
            claim = await start_waiting(stores, anext(claims))
            await change
            same((await claim).run.run_id, run_id(n), f"the run after a change: {n}")

        await stores.runs.create_run(make_run(2, mob="another"))
        await after(stores.runs.create_run(make_run(3)), 3)
        await after(stores.claims.release(first), 1)
        subject.clock.now += MINUTE
        expired = await anext(claims)
        same((expired.run.run_id, expired.epoch), (run_id(1), 4), "an expired claim")
        same((await anext(claims)).run.run_id, run_id(3), "another one")
        await stores.claims.release(expired, FAR)
        await after(stores.runs.create_run(make_run(4)), 4)
    await expect_error(StopAsyncIteration, anext(claims), "an iterator that was closed")
    async with aclosing(stores.runs.claims("bob", ttl=TTL, mob_id="x")) as closed:
        claim = await start_waiting(stores, anext(closed))
        await stores.close()
        await expect_error(ClosedError, claim, "waiting when the store is closed")


@case("runs.claims.most")
async def waits_for_its_own_claims(subject: Subject) -> None:
    """An iterator waits while its holder has as many runs as `most`, by default one."""
    stores = await subject.open()
    for n in range(1, 5):
        await stores.runs.create_run(make_run(n))
    async with stores.runs.claims("ann", ttl=TTL) as claims:
        for n in range(1, 4):
            claim = await anext(claims)
            same(claim.run.run_id, run_id(n), "the run")
            another = asyncio.create_task(anext(claims))
            await stores.runs.cas_run_status(run_id(n), expected="pending", next="completed")
            for _ in range(9):
                await stores.events.latest_cursor()
            assert not another.done(), "it waits for a release"
            another.cancel()
            await asyncio.wait((another,))
            same(await stores.claims.release(claim), True, "the release")
    same([claim.name for claim in await stores.claims.list()], [], "claims after the end")


@case("runs.claims.others")
async def is_not_woken_in_vain(subject: Subject) -> None:
    """Renewals, ends of runs, and changes of other mobs wake no worker that waits for a run."""
    stores = await subject.open()
    for n, mob in enumerate(["busy", "busy", "busy", "mob", "mob"]):
        await stores.runs.create_run(make_run(n, mob=mob))
    await stores.runs.create_run(make_run(5, mob="mob", status="running"))
    own = await stores.runs.claim_next("dan", ttl=TTL)
    held = [await stores.runs.claim_next("bob", ttl=TTL) for _ in range(4)]
    assert own is not None, "there is a run"
    engine = CountingEngine(stores.engine)
    counted = MobStores(engine, clock=subject.clock)
    workers = [
        counted.runs.claims(holder, ttl=TTL, mob_id="mob", statuses={"pending"})
        for holder in ("ann", "dan")
    ]
    waiting = [asyncio.create_task(anext(worker)) for worker in workers]

    async def has_read(times: int, why: str) -> None:
        async with asyncio.timeout(30):
            await engine.until(lambda: engine.reads >= times)
        for _ in range(10):  # others may be scheduled
            await stores.events.latest_cursor()
        same(engine.reads, times, f"reads after {why}")

    await has_read(3, "the start; dan reads again, once it listens to its own claim")
    for claim in held:
        assert claim is not None, "there are as many runs"
        await stores.claims.renew(claim)
    await stores.runs.cas_run_status(run_id(1), expected="pending", next="running")
    await stores.claims.release(cast("RunClaim", held[0]))
    same(await _next(stores, "eve", mob_id="busy"), 1, "the run that was released")
    same(await _next(stores, "eve", mob_id="mob", statuses={"running"}), 5, "the running one")
    await stores.runs.create_run(make_run(9, mob="busy"))
    for n, mob in ((2, "busy"), (3, "mob")):
        await stores.runs.finish_run(run_id(n), "completed", event(mob))
    await stores.claims.acquire("name", "bob", TTL)
    await has_read(3, "changes that make no run due for them")
    await stores.runs.cas_flow_state(run_id(4), expected=state(0), next=state(1))
    await stores.claims.renew(cast("RunClaim", held[3]), TTL / 2)
    await has_read(5, "a claim that expires earlier")
    await stores.claims.release(own)
    await has_read(6, "the end of the claim of one of them")
    same(
        await _next(stores, "eve", mob_id="busy", statuses={"pending"}), 0, "the run of that claim"
    )
    await has_read(6, "a claim that belonged to one of them")
    await stores.claims.release(cast("RunClaim", held[3]))
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await stores.runs.create_run(make_run(10, mob="mob"))
    got = [(await task).run.run_id.int for task in waiting]
    same(sorted(got), [4, 10], "the runs")
    for worker in workers:
        await worker.aclose()
    same(engine.listening, 0, "the number of listeners in the end")


@case("runs.claims.cancelled")
async def loses_no_claim(subject: Subject) -> None:
    """A step that is cancelled while it claims loses no claim; the next one or the end has it."""
    stores = await subject.open()
    for n in range(1, 4):
        await stores.runs.create_run(make_run(n))
    engine = CountingEngine(stores.engine)
    counted = MobStores(engine, clock=subject.clock)
    async with counted.runs.claims("ann", ttl=TTL, most=9) as claims:

        async def cancelled() -> asyncio.Task[RunClaim]:
            """Cancel a step once it claims."""
            reads = engine.reads
            step = asyncio.create_task(anext(claims))
            await engine.until(lambda: engine.reads > reads)
            await asyncio.sleep(0)
            step.cancel()
            await asyncio.wait((step,))
            return step

        for n in (1, 2):
            step = await cancelled()
            claim = await anext(claims) if step.cancelled() else step.result()
            same(claim.run.run_id, run_id(n), "the run")
        step = await cancelled()
    left = [one.run_id for one in await stores.claims.list() if one.run_id is not None]
    want = [run_id(1), run_id(2)] if step.cancelled() else [run_id(1), run_id(2), run_id(3)]
    same(left, want, "the claims in the end")
