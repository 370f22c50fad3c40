"""Cases of watching runs, and of watches and subscriptions side by side."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from mobstore.errors import (
    InternalError,
    NotFoundError,
    ReadFailedError,
)
from mobstore.model.run import MobRunStatus
from mobstore.stores.mob_stores import MobStores
from mobstore.stores.subscription import Subscription
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import definition, event, make_run, run_id, state, timestamp
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import CountingEngine, kind_of_run, start_waiting


@case("events.subscribe.closed")
async def ends_with_the_store(subject: Subject) -> None:
    """Closing the store raises an error in tasks that wait for an event or a status."""
    stores = await subject.open()
    await stores.events.append(event())
    await stores.runs.create_run(make_run())
    subscription, watch = stores.events.subscribe(), stores.runs.watch(run_id(1))
    async with aclosing(subscription), aclosing(watch):
        await anext(subscription)
        await anext(watch)
        tasks = [await start_waiting(stores, anext(each)) for each in (subscription, watch)]
        await stores.close()
        for task in tasks:
            await expect_error(InternalError, task, "waiting when the store is closed")
        for each in (subscription, watch):
            await expect_error(InternalError, anext(each), "asking again")
    await expect_error(InternalError, anext(stores.events.subscribe()), "following a closed store")


@case("events.subscribe.error")
async def goes_on_after_errors(subject: Subject) -> None:
    """After an error, a subscription can be read again, and continues once the store works."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    engine = CountingEngine(stores.engine)
    counted = MobStores(engine, clock=subject.clock)
    async with counted.events.subscribe() as events, counted.runs.watch(run_id(1)) as headers:
        same((await anext(headers)).status, "pending", "the status at first")
        waiting = [asyncio.create_task(anext(events)), asyncio.create_task(anext(headers))]
        await engine.until(lambda: engine.listening == 2 and engine.reads == 2)
        engine.fault = ReadFailedError("gone")
        await stores.events.append(event())
        await stores.runs.cas_run_status(run_id(1), expected="pending", next="running")
        for step in waiting:
            await expect_error(ReadFailedError, step, "waiting when the medium is gone")
        await expect_error(ReadFailedError, anext(events), "asking again for events")
        await expect_error(ReadFailedError, anext(headers), "asking again for a status")
        engine.fault = None
        same((await anext(events)).cursor, 1, "the event that was missing")
        same((await anext(headers)).status, "running", "the status that was missing")


@case("events.subscribe.others")
async def is_not_woken_by_unrelated_commits(subject: Subject) -> None:
    """Commits about another mob, run or store wake no subscription or watch."""
    stores = await subject.open()
    runs = [make_run(n, mob=f"{n}") for n in range(10)]
    for run in runs:
        await stores.runs.create_run(run)
    engine = CountingEngine(stores.engine)
    counted = MobStores(engine, clock=subject.clock)
    subscriptions: list[Subscription[Any]] = [
        *(counted.events.subscribe(mob_id=f"mob {n}") for n in range(100)),
        *(counted.events.subscribe(run_id=run_id(n)) for n in range(10)),
        *(counted.runs.watch(run.run_id) for run in runs),
    ]
    for watch in subscriptions[110:]:
        await anext(watch)
    waiting = [asyncio.create_task(anext(one)) for one in subscriptions]
    await engine.until(lambda: engine.reads == 120)
    for n in range(3):
        await stores.events.append(event(f"mob {n}", kind=kind_of_run(n)))
    await stores.specs.put_spec("mob 5", definition())
    await stores.runs.cas_run_status(run_id(4), expected="pending", next="running")
    await stores.runs.cas_flow_state(run_id(5), expected=state(0), next=state(1))
    woken = [*waiting[:3], *waiting[100:103], waiting[114]]
    await asyncio.wait(woken)
    for _ in range(10):  # others may be scheduled
        await asyncio.sleep(0)
    same([task for task in waiting if task.done()], woken, "the tasks that were woken")
    same(engine.reads, 127, "the number of reads")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _watched(stores: MobStores, n: int) -> list[MobRunStatus]:
    async with aclosing(stores.runs.watch(run_id(n))) as headers:
        return [header.status async for header in headers]


@case("runs.watch")
async def watches_a_run(subject: Subject) -> None:
    """A watch returns the current status and each later one, and ends with the run."""
    stores = await subject.open()
    runs = stores.runs
    await expect_error(NotFoundError, _watched(stores, 1), "watching a run that is not there")
    await runs.create_run(make_run(1))
    await runs.create_run(make_run(2))
    async with aclosing(runs.watch(run_id(1))) as headers:
        same((await anext(headers)).status, "pending", "the status at first")
        await runs.cas_flow_state(run_id(1), expected=state(0), next=state(1))
        await runs.cas_run_status(run_id(2), expected="pending", next="failed")
        changed, _ = await asyncio.gather(  # they start in this order
            anext(headers), runs.cas_run_status(run_id(1), expected="pending", next="running")
        )
        same(changed.status, "running", "the status when it has changed")
        subject.clock.now = timestamp(7)
        await runs.cas_run_status(run_id(1), expected="running", next="completed")
        last = await anext(headers)
        same((last.status, last.completed_at), ("completed", timestamp(7)), "the last status")
        same([one async for one in headers], [], "statuses after the end")
    same(await _watched(stores, 2), ["failed"], "a run that has ended already")
    await runs.create_run(make_run(3))
    async with aclosing(runs.watch(run_id(3))) as headers:
        await anext(headers)
        await runs.delete_run(run_id(3))
        same([one async for one in headers], [], "statuses after the deletion")
