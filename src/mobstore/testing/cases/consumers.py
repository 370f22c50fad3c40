"""Cases of named consumers of the event log."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from mobstore.errors import ConsumerMovedError, SerializationError, StaleCursorError, UsageError
from mobstore.model.consumer import Consumer
from mobstore.stores.following import EventBatch
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.stores.subscription import Subscription
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, profile, timestamp
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import CountingEngine, take

_AN_HOUR = 3600


def cursors(batch: EventBatch) -> list[int]:
    """List the cursors of a batch."""
    return [one.cursor for one in batch.events]


async def append_events(stores: Stores[bool], number: int) -> None:
    """Append events a nanosecond apart."""
    await stores.events.append_batch([event(at=timestamp(n)) for n in range(number)])


async def _position(stores: Stores[bool], name: str = "name") -> int | None:
    return next((one.cursor for one in await stores.events.consumers() if one.name == name), None)


@case("events.follow.batches")
async def returns_batches(subject: Subject) -> None:
    """Batches hold all events in order, at most `most`, and their positions are consecutive."""
    stores = await subject.open()
    await append_events(stores, 7)
    seen: list[tuple[list[int], int, int, int]] = []
    async with stores.events.follow("name", most=3, linger=0) as batches:
        async for batch in batches:
            seen.append((cursors(batch), batch.after, batch.cursor, batch.removed))
            same(batch.name, "name", "the name of the consumer")
            await batch.done()
            if batch.cursor == 7:
                break
        stored = await stores.events.append(event("next"))
        same((await anext(batches)).events, (stored,), "an event appended later")
    same(seen, [([1, 2, 3], 0, 3, 0), ([4, 5, 6], 3, 6, 0), ([7], 6, 7, 0)], "the batches")


@case("events.follow.continues", needs=("durable",))
async def continues_after_reopening(subject: Subject) -> None:
    """A consumer continues after the last batch that was done, also after the store is reopened."""
    stores = await subject.open()
    await append_events(stores, 5)
    async with stores.events.follow("name", most=2) as batches:
        await (await anext(batches)).done()
        same(cursors(await anext(batches)), [3, 4], "a batch that is never done")
    stores = await subject.reopen()
    (batch,) = await take(stores.events.follow("name", linger=0), 1)
    same(cursors(batch), [3, 4, 5], "the batch after reopening")


@case("events.follow.done")
async def stores_positions(subject: Subject) -> None:
    """`done` stores the position and the store's time; calling it again does nothing."""
    stores = await subject.open()
    await append_events(stores, 3)
    async with stores.events.follow("name", most=2, linger=0) as batches:
        first = await anext(batches)
        start = Consumer(name="name", cursor=0, updated_at=timestamp(0))
        same(await stores.events.consumers(), [start], "the consumer before")
        subject.clock.now = timestamp(8)
        await first.done()
        subject.clock.now = timestamp(9)
        await first.done()
        after = Consumer(name="name", cursor=2, updated_at=timestamp(8))
        same(await stores.events.consumers(), [after], "the consumer after")
        await (await anext(batches)).done()
        await first.done()
    same(await _position(stores), 3, "the position after the second batch")
    wrong: Any = stores.engine
    await expect_error(UsageError, first.done(wrong), "done with something else than stores")


@case("events.follow.not-done")
async def repeats_batches(subject: Subject) -> None:
    """A batch that was not done comes again, with the events appended since."""
    stores = await subject.open()
    await append_events(stores, 2)
    async with stores.events.follow("name", linger=0) as batches:
        first = await anext(batches)
        again = await anext(batches)
        same(again.events, first.events, "the same events")
        await append_events(stores, 1)
        longer = await anext(batches)
        same((cursors(longer), longer.after), ([1, 2, 3], 0), "the batch with a new event")
        await first.done()  # the position is still where it begins
        await expect_error(ConsumerMovedError, longer.done(), "done with an overlapping batch")
        same(cursors(await anext(batches)), [3], "the events after the first batch")


@case("events.follow.names")
async def separates_names(subject: Subject) -> None:
    """Consumers of different names are independent; they are listed by name."""
    stores = await subject.open()
    await append_events(stores, 3)
    names = ["\U0010ffff", "b", "\uffff", "a\0", "a", "x" * 65_536]
    for count, name in enumerate(names):
        async with stores.events.follow(name, most=1) as batches:
            for _ in range(count % 3):
                await (await anext(batches)).done()
            same(cursors(await anext(batches)), [count % 3 + 1], f"the next event of {name[:9]!r}")
    listed = [(one.name, one.cursor) for one in await stores.events.consumers()]
    same(listed, sorted((name, count % 3) for count, name in enumerate(names)), "the consumers")
    for name, kind in (("", UsageError), ("x" * 65_537, SerializationError)):
        try:
            stores.events.follow(name)
        except kind:
            continue
        raise AssertionError(f"a name of {len(name)} characters is rejected")


@case("events.follow.exactly-once")
async def counts_exactly_once(subject: Subject) -> None:
    """The position and own state are one commit; a function that fails stores neither."""
    stores = await subject.open()
    await stores.realm_profiles.create("count", profile())  # its revision is the count, from 1
    await append_events(stores, 10)

    async def count(at: Stores, batch: EventBatch) -> None:
        for _ in batch.events:
            stored = await at.realm_profiles.get("count")
            assert stored is not None, "the profile is there"
            await at.realm_profiles.update("count", profile(), stored.revision)
        await batch.done(at)

    async def fail(at: Stores, batch: EventBatch) -> None:
        await count(at, batch)
        raise LookupError("mine")

    async def counted() -> int:
        stored = await stores.realm_profiles.get("count")
        return -1 if stored is None else stored.revision - 1

    async with stores.events.follow("name", most=3, linger=0) as batches:
        for cursor in (3, 6, 9, 10):
            batch = await anext(batches)
            before = await counted()
            await expect_error(
                LookupError, stores.atomic(partial(fail, batch=batch)), "the function's error"
            )
            same((await counted(), await _position(stores)), (before, batch.after), "nothing")
            batch = await anext(batches)
            await stores.atomic(partial(count, batch=batch))
            same((await counted(), await _position(stores)), (cursor, cursor), "count, position")
            await expect_error(
                ConsumerMovedError,
                stores.atomic(partial(count, batch=batch)),
                "counting a batch twice",
            )
            await expect_error(ConsumerMovedError, batch.done(), "done after the atomic call")
            same((await counted(), await _position(stores)), (cursor, cursor), "count, position")


@case("events.follow.moved")
async def notices_others(subject: Subject) -> None:
    """Of two loops with one name one is done with a batch; the other continues after it."""
    stores = await subject.open()
    await append_events(stores, 3)
    one, other = (stores.events.follow("name", most=2, linger=0) for _ in range(2))
    async with one, other:
        fast, slow = await anext(one), await anext(other)
        same(fast.events, slow.events, "the events of both")
        await fast.done()
        for _ in range(2):
            moved = await expect_error(ConsumerMovedError, slow.done(), "the second one")
            same(moved.args, ("name", 0, 2), "name, expected and actual position")
        same(await _position(stores), 2, "the position")
        same(cursors(await anext(other)), [3], "the next batch of the second one")
    outcomes: list[BaseException | None] = []
    async with stores.events.follow("race", most=2, linger=0) as batches:
        racing = [await anext(batches) for _ in range(5)]
        outcomes += await asyncio.gather(*(one.done() for one in racing), return_exceptions=True)
    same(outcomes.count(None), 1, "the number of winners")
    same(sum(isinstance(one, ConsumerMovedError) for one in outcomes), 4, "the others")


async def _start_step(
    engine: CountingEngine, batches: Subscription[EventBatch]
) -> asyncio.Task[EventBatch]:
    """Start a step, and wait until it has read."""

    async def step() -> EventBatch:
        return await anext(batches)

    reads = engine.reads
    stepping = asyncio.create_task(step())
    await engine.until(lambda: engine.reads > reads)
    return stepping


@case("events.follow.lingers")
async def lingers(subject: Subject) -> None:
    """A step gathers events within the linger time, and returns as soon as the batch is full."""
    stores = await subject.open()
    engine = CountingEngine(stores.engine)
    log = MobStores(engine, clock=subject.clock).events
    await append_events(stores, 2)
    (full,) = await take(log.follow("full", most=2, linger=_AN_HOUR), 1)
    same(cursors(full), [1, 2], "a full batch, without lingering")
    (at_once,) = await take(log.follow("at once", linger=0), 1)
    same(cursors(at_once), [1, 2], "a batch without linger time")
    for _ in range(10):  # so that the clock of a browser moves on while a timer is set
        (short,) = await take(log.follow("short", linger=0.001), 1)
        same(cursors(short), [1, 2], "a batch after the linger time")
    async with log.follow("name", most=4, linger=_AN_HOUR) as batches:
        waiting = await _start_step(engine, batches)
        waiting.cancel()
        await asyncio.wait([waiting])
        waiting = await _start_step(engine, batches)
        await log.append(event())
        await log.append(event())
        batch = await waiting
        same(cursors(batch), [1, 2, 3, 4], "the gathered events")
        await batch.done()
        await log.append(event())
        waiting = await _start_step(engine, batches)
        await batches.aclose()
        await expect_error(StopAsyncIteration, waiting, "a step that lingers when it is closed")
    same(engine.listening, 0, "the number of listeners")


@case("events.follow.removed")
async def counts_removed_events(subject: Subject) -> None:
    """Events removed before a consumer was done with them are counted."""
    stores = await subject.open()
    await append_events(stores, 6)
    async with stores.events.follow("name", linger=0, most=2) as batches:
        await (await anext(batches)).done()
        await stores.events.prune(timestamp(4))
        batch = await anext(batches)
        same((cursors(batch), batch.removed), ([5, 6], 2), "the events left, and the removed ones")
        await batch.done()
        await append_events(stores, 3)
        lost = await anext(batches)
        same((cursors(lost), lost.removed), ([7, 8], 0), "a batch that is removed before its end")
        await stores.events.clear()
        waiting = asyncio.create_task(anext(batches))
        await append_events(stores, 1)
        batch = await waiting
        same((cursors(batch), batch.after, batch.removed), ([10], 6, 3), "the batch after a clear")
        await batch.done()
        await expect_error(ConsumerMovedError, lost.done(), "done with the removed batch")
    (fresh,) = await take(stores.events.follow("fresh", linger=0), 1)
    same((cursors(fresh), fresh.removed), ([10], 9), "the first batch of a new consumer")


@case("events.follow.start")
async def starts_at_a_position(subject: Subject) -> None:
    """A new consumer starts where its caller says; the first step stores that position."""
    stores = await subject.open()
    await append_events(stores, 3)
    async with stores.events.follow("name", start=3, linger=0) as batches:
        waiting = asyncio.create_task(anext(batches))
        await append_events(stores, 1)
        same(cursors(await waiting), [4], "the first events after the start")
    same(await _position(stores), 3, "the position, though no batch was done")
    await append_events(stores, 1)
    (batch,) = await take(stores.events.follow("name", start=5, linger=0), 1)
    same(cursors(batch), [4, 5], "the start of a consumer with a position is not used")
    async with stores.events.follow("stale", start=6) as batches:
        stale = await expect_error(StaleCursorError, anext(batches), "a start never assigned")
    same(stale.args, (6, 5), "the cursors that the error names")
    same(await _position(stores, "stale"), None, "the position of the rejected consumer")


@case("events.follow.forget")
async def forgets_consumers(subject: Subject) -> None:
    """A forgotten consumer is new again, and its batches cannot be done."""
    stores = await subject.open()
    await append_events(stores, 2)
    async with stores.events.follow("name", most=1) as batches:
        await (await anext(batches)).done()
        batch = await anext(batches)
        same(await stores.events.forget_consumer("name"), True, "forgetting a consumer")
        same(await stores.events.forget_consumer("name"), False, "forgetting it again")
        same(await stores.events.consumers(), [], "the consumers")
        moved = await expect_error(ConsumerMovedError, batch.done(), "done with a batch of it")
        same(moved.args, ("name", 1, None), "name, expected and actual position")
        same(cursors(await anext(batches)), [1], "the next batch")


@case("shared.follow", needs=("shared",))
async def follows_other_handles(subject: Subject) -> None:
    """A consumer returns events of another handle, and continues after what another one did."""
    stores, other = await subject.open(), await subject.open_second()
    async with stores.events.follow("name", most=10, linger=_AN_HOUR) as batches:
        waiting = asyncio.create_task(anext(batches))
        for _ in range(10):
            await other.events.append(event())
        same(cursors(await waiting), [*range(1, 11)], "the events of the other handle")
        (batch,) = await take(other.events.follow("name", most=10), 1)
        await batch.done()
        waiting = asyncio.create_task(anext(batches))
        await append_events(other, 10)
        same(cursors(await waiting), [*range(11, 21)], "the events after those done elsewhere")
