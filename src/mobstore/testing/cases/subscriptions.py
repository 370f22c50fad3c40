"""Cases of subscriptions to events."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from typing import Any, cast

from mobstore.errors import (
    InternalError,
    SerializationError,
    StaleCursorError,
)
from mobstore.scripts.tables import COUNTERS, EVENTS, NEXT_CURSOR
from mobstore.scripts.transaction import (
    Delete,
    DeleteRange,
    Put,
    Scan,
)
from mobstore.stores.events import MobEventStore
from mobstore.stores.mob_stores import MobStores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, run_id, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import CountingEngine, kind_of_run, take


async def _append_by_many(log: MobEventStore, tasks: int, each: int) -> None:
    async def append() -> None:
        for _ in range(each):
            await log.append(event())

    await asyncio.gather(*(append() for _ in range(tasks)))


@case("events.subscribe.catches-up")
async def catches_up(subject: Subject) -> None:
    """A subscription starts after its cursor and returns all existing events, in order."""
    log = (await subject.open()).events
    stored = await log.append_batch([event(f"{n % 3}") for n in range(700)])
    same(await take(log.subscribe(), 700), stored, "all events")
    same(await take(log.subscribe(690), 10), stored[690:], "the events after a cursor")
    await log.prune(timestamp(1))
    (added,) = await log.append_batch([event("late")])
    same(await take(log.subscribe(3), 1), [added], "the events left after a prune")


@case("events.subscribe.follows")
async def follows(subject: Subject) -> None:
    """A subscription continues with new events in the order of cursors, each once."""
    log = (await subject.open()).events
    await log.append(event("first"))
    fast, slow = log.subscribe(), log.subscribe(1)
    async with aclosing(fast), aclosing(slow):
        same((await anext(fast)).cursor, 1, "the first event")
        waiting = asyncio.create_task(take(fast, 200))
        await _append_by_many(log, 8, 25)
        same([one.cursor for one in await waiting], [*range(2, 202)], "the events after")
        same([one.cursor for one in await take(slow, 200)], [*range(2, 202)], "to the slow one")


@case("events.subscribe.subject")
async def subscribes_to_a_subject(subject: Subject) -> None:
    """A subscription to a mob or a run returns only its events."""
    log = (await subject.open()).events

    async def append() -> None:
        kinds = [kind_of_run(1), kind_of_run(2), None, kind_of_run(2)]
        for mob, kind in zip("abab", kinds, strict=True):
            await log.append(event(mob, kind=kind))

    of_mob, of_run, _ = await asyncio.gather(  # they start in this order
        take(log.subscribe(mob_id="b"), 2), take(log.subscribe(run_id=run_id(2)), 2), append()
    )
    same([one.cursor for one in of_mob], [2, 4], "the events of a mob")
    same([one.cursor for one in of_run], [2, 4], "the events of a run")


@case("events.subscribe.cancelled")
async def cancels_cleanly(subject: Subject) -> None:
    """Cancelling a waiting subscription does not affect the store or other subscriptions."""
    log = (await subject.open()).events
    patient = asyncio.create_task(take(log.subscribe(), 1))
    hasty = [asyncio.create_task(take(log.subscribe(), 1)) for _ in range(5)]
    same(await log.poll(0, 1), [], "the log")
    for task in hasty:
        task.cancel()
    await asyncio.gather(*hasty, return_exceptions=True)
    same([task.cancelled() for task in hasty], [True] * 5, "the cancelled tasks have ended so")
    stored = await log.append(event())
    same(await patient, [stored], "the event of the other one")


@case("events.subscribe.cancelled-step")
async def survives_cancelled_steps(subject: Subject) -> None:
    """A subscription whose single steps are cancelled still returns every event once."""
    log = (await subject.open()).events
    seen: list[int] = []
    async with log.subscribe() as subscription:
        for waits in range(20):
            step = asyncio.create_task(anext(subscription))
            for turn in range(waits):
                if turn == waits // 2:
                    await log.append(event())
                await asyncio.sleep(0)
            step.cancel()
            await asyncio.wait([step])
            if not step.cancelled():
                seen.append(step.result().cursor)
        latest = await log.latest_cursor()
        while seen[-1:] != [latest]:
            seen.append((await asyncio.wait_for(anext(subscription), 30)).cursor)
        same(seen, [*range(1, latest + 1)], "the cursors")
        for _ in range(2):
            try:
                await asyncio.wait_for(anext(subscription), 0.001)
            except TimeoutError:
                continue
            raise AssertionError("an event was returned that was not appended")
        await log.append(event())
        same((await anext(subscription)).cursor, latest + 1, "the next event")


@case("events.subscribe.one-task")
async def serves_one_task(subject: Subject) -> None:
    """While one task waits for a subscription, a second one is rejected."""
    log = (await subject.open()).events
    subscription = log.subscribe()
    waiting = asyncio.create_task(anext(subscription))
    await asyncio.sleep(0)
    await expect_error(InternalError, anext(subscription), "a second task")
    stored = await log.append(event())
    same(await waiting, stored, "the event of the first task")
    await subscription.aclose()


@case("events.subscribe.leaving")
async def ends_when_closed(subject: Subject) -> None:
    """A closed subscription ends, also for a waiting task; a dropped one closes itself."""
    stores = await subject.open()
    engine = CountingEngine(stores.engine)
    log = MobStores(engine, clock=subject.clock).events
    subscription = log.subscribe()
    waiting = asyncio.create_task(anext(subscription, None))
    await engine.until(lambda: engine.listening == 1)
    await subscription.aclose()
    same(await waiting, None, "the end, for a waiting task")
    await subscription.aclose()
    await log.append(event())
    same(await anext(subscription, None), None, "after the end")
    same([one async for one in subscription], [], "a loop after the end")
    async with log.subscribe() as entered:
        same((await anext(entered)).cursor, 1, "the first event")
    same(await anext(entered, None), None, "after the block")
    same(engine.listening, 0, "the number of listeners")
    for cycle in (False, True):
        dropped: Any = log.subscribe()
        await anext(dropped)
        same(engine.listening, 1, "the number of listeners")
        if cycle:
            dropped.itself = dropped
        del dropped
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        same(engine.listening, 0, "the number of listeners without a reference to the subscription")


@case("events.subscribe.stale")
async def rejects_stale_cursors(subject: Subject) -> None:
    """A cursor that was never assigned is rejected, also when the log shrinks below it."""
    stores = await subject.open()
    await stores.events.append_batch([event("a"), event("b"), event("a")])
    for after in (4, 2**63 - 1):
        for of in ({}, {"mob_id": "a"}, {"run_id": run_id(1)}):
            of_one: dict[str, Any] = of
            async with stores.events.subscribe(after, **of_one) as subscription:
                for _ in range(2):
                    stale = await expect_error(
                        StaleCursorError, anext(subscription), f"following from {after}"
                    )
                    same(stale.args, (after, 3), "the cursors that the error names")
    async with stores.events.subscribe(3) as subscription:
        waiting = asyncio.create_task(anext(subscription))
        added = await stores.events.append(event())
        same(await waiting, added, "the event after the latest cursor")
        await stores.events.clear()
        waiting = asyncio.create_task(anext(subscription))
        while not waiting.done():
            await stores.engine.write(
                write_script(DeleteRange(Scan(EVENTS)), Delete(COUNTERS, (NEXT_CURSOR,)))
            )
            await asyncio.sleep(0)
        stale = await expect_error(StaleCursorError, waiting, "waiting while the log begins anew")
        same(stale.args, (4, 0), "the cursors that the error names")


async def _damage(stores: MobStores, *cursors: int) -> None:
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    bad = [row._replace(kind='{"typ":"no"}') for row in rows if row.cursor in cursors]
    await stores.engine.write(write_script(Put(EVENTS, bad)))


@case("events.subscribe.unreadable")
async def names_unreadable_events(subject: Subject) -> None:
    """Events before an unreadable one are returned, then an error names its cursor."""
    stores = await subject.open()
    stored = await stores.events.append_batch([event(f"{n % 2}") for n in range(300)])
    sound = await stores.engine.read(read_script(Scan(EVENTS, after=3, before=5)))
    await _damage(stores, 4, 6, 290)
    async with stores.events.subscribe() as subscription:
        same([await anext(subscription) for _ in range(3)], stored[:3], "the events before")
        for _ in range(2):
            said = await expect_error(
                SerializationError, anext(subscription), "an unreadable event"
            )
            assert "cursor 4 " in said.detail, f"the error names the cursor: {said}"
        await stores.engine.write(write_script(Put(EVENTS, sound)))
        same([await anext(subscription) for _ in range(2)], stored[3:5], "after the repair")
        said = await expect_error(
            SerializationError, anext(subscription), "the next unreadable event"
        )
        assert "cursor 6 " in said.detail, f"the error names the cursor: {said}"
    left_out: list[tuple[int, str]] = []

    def note(cursor: int, error: SerializationError) -> None:
        left_out.append((cursor, error.detail))

    async with stores.events.subscribe(2, on_unreadable=note) as subscription:
        same([await anext(subscription) for _ in range(3)], stored[2:5], "the first events")
        same(left_out, [], "the events left out too early")
        same(
            [await anext(subscription) for _ in range(293)], [*stored[6:289], *stored[290:]], "all"
        )
        same([cursor for cursor, _ in left_out], [6, 290], "the events left out")
        assert all(f"cursor {n} " in said for n, said in left_out), f"the errors: {left_out}"
        (added,) = await stores.events.append_batch([event()])
        same(await anext(subscription), added, "the events after")
    notified: list[int] = []

    def fails_once(cursor: int, _: SerializationError) -> None:
        notified.append(cursor)
        if notified.count(cursor) == 1:
            raise LookupError("mine")

    async with stores.events.subscribe(4, on_unreadable=fails_once) as subscription:
        same(await anext(subscription), stored[4], "the events before")
        await expect_error(LookupError, anext(subscription), "a function that raises")
        same(await anext(subscription), stored[6], "the events after")
        same(notified, [6, 6], "the notifications, repeated after the failure")
    await _rejects_async_functions(stores)
    async with stores.events.subscribe(mob_id="0") as subscription:
        same(
            [(await anext(subscription)).cursor for _ in range(144)], [*range(1, 289, 2)], "a mob's"
        )


async def _rejects_async_functions(stores: MobStores) -> None:
    async def never_awaited(cursor: int, error: SerializationError) -> None: ...

    async def subscribe() -> None:
        stores.events.subscribe(on_unreadable=cast("Any", never_awaited))

    await expect_error(InternalError, subscribe(), "an async function")


@case("shared.subscribe.follows", needs=("shared",))
async def follows_other_handles(subject: Subject) -> None:
    """A subscription returns events of another handle, in order, each once."""
    stores, other = await subject.open(), await subject.open_second()
    waiting = asyncio.create_task(take(stores.events.subscribe(), 60))
    await _append_by_many(other.events, 3, 10)
    await asyncio.gather(
        _append_by_many(stores.events, 2, 10), _append_by_many(other.events, 1, 10)
    )
    same([one.cursor for one in await waiting], [*range(1, 61)], "the events of both handles")
