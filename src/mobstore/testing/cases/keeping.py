"""Cases of keeping claims, of claims in atomic calls, and of several handles."""

from __future__ import annotations

import asyncio

from mobstore.errors import ClaimLostError, UsageError
from mobstore.model.claim import Claim
from mobstore.stores.claims import run_claim_name
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.cases.claims import MINUTE, TTL, acquired
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, make_run, run_id
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import start_waiting


@case("claims.keep")
async def keeps(subject: Subject) -> None:
    """A block that keeps a claim renews it, does not release it, and may release it itself."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        claim = await acquired(stores, name)
        subject.clock.now += MINUTE * 2
        keeping = stores.claims.keep(claim)
        async with keeping as kept:
            same(kept.expires_at, subject.clock.now + MINUTE, "the expiry within the block")
        same(await stores.claims.get(name), kept, "the claim after the block")
        await expect_error(UsageError, keeping.__aenter__(), "entering it again")
        async with stores.claims.keep(claim), stores.claims.keep(kept):
            same(await stores.claims.release(claim), True, "the release within the block")
            taken = await acquired(stores, name, "bob")
            for _ in range(3):
                await stores.events.append(event())
        async with stores.claims.keep(taken):

            async def release(at: Stores, taken: Claim = taken) -> None:
                await at.claims.release(taken)

            await stores.atomic(release)
            last = await acquired(stores, name)
            for _ in range(3):
                await stores.events.append(event())
        entering = stores.claims.keep(taken)
        await expect_error(ClaimLostError, entering.__aenter__(), "keeping a lost claim")
        await stores.claims.release(last)


async def _waiting(stores: MobStores, claim: Claim, entered: asyncio.Event) -> None:
    async with stores.claims.keep(claim):
        entered.set()
        await asyncio.Event().wait()


@case("claims.keep.lost")
async def notifies_its_task(subject: Subject) -> None:
    """A task that keeps a claim is cancelled once another holder has it, and gets the reason."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    for name in ("name", run_claim_name(run_id(1))):
        claim = await acquired(stores, name)
        entered = asyncio.Event()
        task = asyncio.create_task(_waiting(stores, claim, entered))
        await entered.wait()
        subject.clock.now += MINUTE
        taken = await acquired(stores, name, "bob")
        error = await expect_error(ClaimLostError, task, "the task")
        same((error.name, error.epoch), (name, claim.epoch), "the lost claim")
        same(task.cancelling(), 0, "cancellations of the task that are left")
        same(await stores.claims.get(name), taken, "the claim in the store")
    entered = asyncio.Event()
    task = asyncio.create_task(_waiting(stores, await acquired(stores, "another"), entered))
    await entered.wait()
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled(), "a task that is cancelled by others is cancelled"


@case("claims.keep.released")
async def continues_after_its_own_release_only(subject: Subject) -> None:
    """A release from outside of the block, or one that was rolled back, is not its own."""
    stores = await subject.open()

    async def fail(at: Stores, claim: Claim) -> None:
        await at.claims.release(claim)
        raise LookupError("mine")

    async def block(claim: Claim, begun: asyncio.Event, way: str) -> None:
        async with stores.claims.keep(claim):
            if way == "rolled back":
                call = stores.atomic(lambda at: fail(at, claim))
                await expect_error(LookupError, call, "an atomic call that fails")
            if way == "by its task":
                await asyncio.create_task(stores.claims.release(claim))
            begun.set()
            await asyncio.Event().wait()

    for way in ("rolled back", "from outside", "by its task"):
        claim, begun = await acquired(stores, way), asyncio.Event()
        task = asyncio.create_task(block(claim, begun, way))
        await begun.wait()
        if way == "from outside":
            same(await stores.claims.release(claim), True, "an operator's release")
        subject.clock.now += MINUTE
        await acquired(stores, way, "bob")
        if way == "by its task":
            for _ in range(3):
                await stores.events.append(event())
            same(task.done(), False, "the end of a block that has released its claim")
            task.cancel()
            await asyncio.wait((task,))
        else:
            await expect_error(ClaimLostError, task, f"a block whose claim was released {way}")


@case("claims.atomic")
async def takes_part_in_atomic_calls(subject: Subject) -> None:
    """Claims are made, renewed and released in atomic calls, all or none."""
    stores = await subject.open()
    name = run_claim_name(run_id(1))

    async def all_of_them(at: Stores) -> list[Claim]:
        await at.runs.create_run(make_run(1, mob="new"))
        await at.runs.create_run(make_run(2, mob="new"))
        first = await acquired(at, name)
        second = await at.runs.claim_next("bob", ttl=TTL, mob_id="new")
        assert second is not None, "there is a second run"
        same(await at.runs.claim_next("bob", ttl=TTL, mob_id="new"), None, "a third run")
        third = await acquired(at, "name")
        same(await at.claims.acquire("name", "bob", TTL), None, "a name held within the call")
        await at.claims.hold(third)
        third = await at.claims.renew(third, TTL * 2)
        same(await at.claims.release(first), True, "a release within the call")
        fourth = await acquired(at, name, "bob")
        await expect_error(ClaimLostError, at.claims.hold(first), "the first claim")
        await at.runs.cas_run_status(run_id(2), expected="pending", next="running")
        return [first, second, third, fourth]

    async def fails(at: Stores) -> None:
        await all_of_them(at)
        raise LookupError("mine")

    await expect_error(LookupError, stores.atomic(fails), "a call that fails")
    same(await stores.claims.list(), [], "claims after it")
    first, second, third, fourth = await stores.atomic(all_of_them)
    same(second.run_id, run_id(2), "the run of the second claim")
    epochs = [one.epoch for one in (first, second, third, fourth)]
    assert epochs == sorted(set(epochs)), f"the epochs grow: {epochs}"
    held = [claim.epoch for claim in await stores.claims.list()]
    same(held, [third.epoch, fourth.epoch, second.epoch], "the claims in the store")
    same(await stores.claims.get("name"), third, "the claim that was renewed")
    same((await acquired(stores, "later")).epoch, fourth.epoch + 1, "the next epoch")


@case("claims.reopened", needs=["durable"])
async def survives_reopening(subject: Subject) -> None:
    """Claims, due times and epochs survive closing and opening."""
    stores = await subject.open()
    for n in (1, 2):
        await stores.runs.create_run(make_run(n))
    held = await acquired(stores, "held")
    run = await stores.runs.claim_next("ann", ttl=TTL)
    assert run is not None, "there is a run"
    put_off = await acquired(stores, run_claim_name(run_id(2)))
    await stores.claims.release(put_off, MINUTE)
    await stores.claims.release(await acquired(stores, "released"))
    stores = await subject.reopen()
    same(await stores.claims.get("held"), held, "a claim on a name")
    same((await stores.claims.list())[1].run_id, run.run_id, "a claim on a run")
    await stores.claims.hold(run)
    same(await stores.runs.claim_next("ann", ttl=TTL), None, "a run that is due")
    same((await acquired(stores, "released")).epoch, 5, "the next epoch")
    subject.clock.now += MINUTE
    due = await stores.runs.claim_next("ann", ttl=TTL)
    assert due is not None, "a run is due"
    same(due.run_id, run_id(1), "the run whose claim expired")


@case("shared.claims", needs=("shared",))
async def is_shared(subject: Subject) -> None:
    """Two handles on one store agree on holders, and a loss by the other one is noticed."""
    stores = await subject.open()
    second = await subject.open_second()
    await stores.runs.create_run(make_run())
    claim = await acquired(stores, "name")
    same(await second.claims.get("name"), claim, "the claim, seen by the other handle")
    same(await second.claims.acquire("name", "bob", TTL), None, "a held name")
    run = await second.runs.claim_next("bob", ttl=TTL)
    assert run is not None, "the other handle finds the run"
    same(await stores.runs.claim_next("ann", ttl=TTL), None, "a run held through another handle")
    entered = asyncio.Event()
    task = asyncio.create_task(_waiting(stores, claim, entered))
    await entered.wait()
    subject.clock.now += MINUTE
    taken = await acquired(second, "name", "bob")
    await expect_error(ClaimLostError, task, "the task of the former holder")

    async def append(at: Stores) -> None:
        await at.events.append(event())

    await expect_error(ClaimLostError, stores.atomic(append, claim=claim), "its writes")
    await stores.atomic(append, claim=taken)
    async with stores.runs.claims("ann", ttl=TTL, statuses=["running"]) as work:
        found = await start_waiting(stores, anext(work))
        await second.runs.cas_run_status(run_id(1), expected="pending", next="running")
        same((await found).run.status, "running", "the run that another handle changed")
