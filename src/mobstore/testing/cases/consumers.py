"""Cases of named consumers of the event log."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import (
    ConsumerMovedError,
    SerializationError,
    StaleCursorError,
    UsageError,
)
from mobstore.model.consumer import Consumer
from mobstore.scripts.tables import CONSUMERS, COUNTERS, EVENTS, NEXT_CURSOR, CounterRow
from mobstore.scripts.transaction import DeleteRange, Put, Scan
from mobstore.stores.following import EventBatch
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.stores.subscription import Subscription
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, profile, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import CountingEngine, take

_AN_HOUR = 3600


def _cursors(batch: EventBatch) -> list[int]:
    return [one.cursor for one in batch.events]


async def _append(stores: Stores[bool], number: int) -> None:
    await stores.events.append_batch([event(at=timestamp(n)) for n in range(number)])


async def _position(stores: Stores[bool], name: str = "name") -> int | None:
    return next((one.cursor for one in await stores.events.consumers() if one.name == name), None)


@case("events.follow.batches")
async def returns_batches(subject: Subject) -> None:
    """Batches hold all events in order, at most `most`, and their positions are consecutive."""
    stores = await subject.open()
    await _append(stores, 7)
    seen: list[tuple[list[int], int, int, int]] = []
    async with stores.events.follow("name", most=3, linger=0) as batches:
        async for batch in batches:
            seen.append((_cursors(batch), batch.after, batch.cursor, batch.removed))
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
    await _append(stores, 5)
    async with stores.events.follow("name", most=2) as batches:
        await (await anext(batches)).done()
        same(_cursors(await anext(batches)), [3, 4], "a batch that is never done")
    stores = await subject.reopen()
    (batch,) = await take(stores.events.follow("name", linger=0), 1)
    same(_cursors(batch), [3, 4, 5], "the batch after reopening")


@case("events.follow.done")
async def stores_positions(subject: Subject) -> None:
    """`done` stores the position and the store's time; calling it again does nothing."""
    stores = await subject.open()
    await _append(stores, 3)
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
    await _append(stores, 2)
    async with stores.events.follow("name", linger=0) as batches:
        first = await anext(batches)
        again = await anext(batches)
        same(again.events, first.events, "the same events")
        await _append(stores, 1)
        longer = await anext(batches)
        same((_cursors(longer), longer.after), ([1, 2, 3], 0), "the batch with a new event")
        await first.done()  # the position is still where it begins
        await expect_error(ConsumerMovedError, longer.done(), "done with an overlapping batch")
        same(_cursors(await anext(batches)), [3], "the events after the first batch")


@case("events.follow.names")
async def separates_names(subject: Subject) -> None:
    """Consumers of different names are independent; they are listed by name."""
    stores = await subject.open()
    await _append(stores, 3)
    names = ["\U0010ffff", "b", "\uffff", "a\0", "a", "x" * 65_536]
    for count, name in enumerate(names):
        async with stores.events.follow(name, most=1) as batches:
            for _ in range(count % 3):
                await (await anext(batches)).done()
            same(_cursors(await anext(batches)), [count % 3 + 1], f"the next event of {name[:9]!r}")
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
    await _append(stores, 10)

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
    await _append(stores, 3)
    one, other = (stores.events.follow("name", most=2, linger=0) for _ in range(2))
    async with one, other:
        fast, slow = await anext(one), await anext(other)
        same(fast.events, slow.events, "the events of both")
        await fast.done()
        for _ in range(2):
            moved = await expect_error(ConsumerMovedError, slow.done(), "the second one")
            same(moved.args, ("name", 0, 2), "name, expected and actual position")
        same(await _position(stores), 2, "the position")
        same(_cursors(await anext(other)), [3], "the next batch of the second one")
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
    await _append(stores, 2)
    (full,) = await take(log.follow("full", most=2, linger=_AN_HOUR), 1)
    same(_cursors(full), [1, 2], "a full batch, without lingering")
    (at_once,) = await take(log.follow("at once", linger=0), 1)
    same(_cursors(at_once), [1, 2], "a batch without linger time")
    for _ in range(10):  # so that the clock of a browser moves on while a timer is set
        (short,) = await take(log.follow("short", linger=0.001), 1)
        same(_cursors(short), [1, 2], "a batch after the linger time")
    async with log.follow("name", most=4, linger=_AN_HOUR) as batches:
        waiting = await _start_step(engine, batches)
        waiting.cancel()
        await asyncio.wait([waiting])
        waiting = await _start_step(engine, batches)
        await log.append(event())
        await log.append(event())
        batch = await waiting
        same(_cursors(batch), [1, 2, 3, 4], "the gathered events")
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
    await _append(stores, 6)
    async with stores.events.follow("name", linger=0, most=2) as batches:
        await (await anext(batches)).done()
        await stores.events.prune(timestamp(4))
        batch = await anext(batches)
        same((_cursors(batch), batch.removed), ([5, 6], 2), "the events left, and the removed ones")
        await batch.done()
        await _append(stores, 3)
        lost = await anext(batches)
        same((_cursors(lost), lost.removed), ([7, 8], 0), "a batch that is removed before its end")
        await stores.events.clear()
        waiting = asyncio.create_task(anext(batches))
        await _append(stores, 1)
        batch = await waiting
        same((_cursors(batch), batch.after, batch.removed), ([10], 6, 3), "the batch after a clear")
        await batch.done()
        await expect_error(ConsumerMovedError, lost.done(), "done with the removed batch")
    (fresh,) = await take(stores.events.follow("fresh", linger=0), 1)
    same((_cursors(fresh), fresh.removed), ([10], 9), "the first batch of a new consumer")


@case("events.follow.start")
async def starts_at_a_position(subject: Subject) -> None:
    """A new consumer starts where its caller says; the first step stores that position."""
    stores = await subject.open()
    await _append(stores, 3)
    async with stores.events.follow("name", start=3, linger=0) as batches:
        waiting = asyncio.create_task(anext(batches))
        await _append(stores, 1)
        same(_cursors(await waiting), [4], "the first events after the start")
    same(await _position(stores), 3, "the position, though no batch was done")
    await _append(stores, 1)
    (batch,) = await take(stores.events.follow("name", start=5, linger=0), 1)
    same(_cursors(batch), [4, 5], "the start of a consumer with a position is not used")
    async with stores.events.follow("stale", start=6) as batches:
        stale = await expect_error(StaleCursorError, anext(batches), "a start never assigned")
    same(stale.args, (6, 5), "the cursors that the error names")
    same(await _position(stores, "stale"), None, "the position of the rejected consumer")


@case("events.follow.forget")
async def forgets_consumers(subject: Subject) -> None:
    """A forgotten consumer is new again, and its batches cannot be done."""
    stores = await subject.open()
    await _append(stores, 2)
    async with stores.events.follow("name", most=1) as batches:
        await (await anext(batches)).done()
        batch = await anext(batches)
        same(await stores.events.forget_consumer("name"), True, "forgetting a consumer")
        same(await stores.events.forget_consumer("name"), False, "forgetting it again")
        same(await stores.events.consumers(), [], "the consumers")
        moved = await expect_error(ConsumerMovedError, batch.done(), "done with a batch of it")
        same(moved.args, ("name", 1, None), "name, expected and actual position")
        same(_cursors(await anext(batches)), [1], "the next batch")


@case("events.follow.stale")
async def rejects_stale_positions(subject: Subject) -> None:
    """A position past the latest cursor is rejected, as after restoring an older state."""
    stores = await subject.open()
    await _append(stores, 3)
    async with stores.events.follow("name", linger=0) as batches:
        await (await anext(batches)).done()
        await stores.engine.write(
            write_script(DeleteRange(Scan(EVENTS)), Put(COUNTERS, (CounterRow(NEXT_CURSOR, 2),)))
        )
        for _ in range(2):
            stale = await expect_error(StaleCursorError, anext(batches), "a stale position")
            same(stale.args, (3, 1, "name"), "the cursors that the error names")
        await stores.events.forget_consumer("name")
        await _append(stores, 1)
        same(_cursors(await anext(batches)), [2], "the events after forgetting the position")


@case("events.follow.unreadable")
async def names_unreadable_events(subject: Subject) -> None:
    """A batch ends before an unreadable event, which is an error, or is skipped on request."""
    stores = await subject.open()
    await _append(stores, 6)
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    bad = [row._replace(kind='{"type":"no"}') for row in rows if row.cursor in {2, 3, 6}]
    await stores.engine.write(write_script(Put(EVENTS, bad)))
    async with stores.events.follow("strict", linger=0) as batches:
        batch = await anext(batches)
        same((_cursors(batch), batch.cursor), ([1], 1), "the batch before")
        await batch.done()
        for _ in range(2):
            said = await expect_error(SerializationError, anext(batches), "an unreadable event")
            assert "cursor 2 " in said.detail, f"the error names the cursor: {said}"
    await stores.events.prune(timestamp(1))  # removes the first one
    skipped: list[int] = []

    def skip(cursor: int, _: SerializationError) -> None:
        skipped.append(cursor)
        if skipped == [2]:
            raise LookupError("mine")

    async with stores.events.follow("name", most=2, linger=0, on_unreadable=skip) as batches:
        await expect_error(LookupError, anext(batches), "a function that raises")
        batch = await anext(batches)
        same(skipped, [2, 2, 3], "the skipped events, again after the failure")
        same((_cursors(batch), batch.removed), ([4, 5], 1), "the events after")
        await batch.done()
        skipping = stores.events.follow("other", start=3, linger=0, on_unreadable=skip)
        (other,) = await take(skipping, 1)
        same((_cursors(other), other.cursor, other.removed), ([4, 5], 6, 0), "one at the end")
        waiting = asyncio.create_task(anext(batches))
        await _append(stores, 1)
        batch = await waiting
        same((_cursors(batch), batch.after, batch.removed), ([7], 5, 0), "the last batch")
        same(skipped, [2, 2, 3, 6, 6], "the skipped events of both")
        await batch.done()


@case("events.follow.cancelled-step")
async def survives_cancelled_steps(subject: Subject) -> None:
    """A consumer whose steps and commits are cancelled still sees every event."""
    log = (await subject.open()).events
    seen: set[int] = set()

    async def step(batches: Subscription[EventBatch]) -> int:
        batch = await anext(batches)
        seen.update(_cursors(batch))
        await batch.done()
        return batch.cursor

    async with log.follow("name", most=2, linger=0.001) as batches:
        for waits in range(30):
            stepping = asyncio.create_task(step(batches))
            for turn in range(waits):
                if turn == waits // 2:
                    await log.append(event())
                await asyncio.sleep(0)
            stepping.cancel()
            await asyncio.wait([stepping])
        latest = await log.latest_cursor()
        await log.append(event())
        while await step(batches) <= latest:
            pass
    same(seen, {*range(1, latest + 2)}, "the events seen")


@case("events.follow.read-only")
async def follows_without_writing(subject: Subject) -> None:
    """A read-only store returns the batches of a known consumer, and rejects all that writes."""
    stores = await subject.open()
    await _append(stores, 1)
    reading = MobStores(ReadOnlyEngine(stores.engine))
    async with reading.events.follow("name") as batches:
        await expect_error(UsageError, anext(batches), "the first step of a new consumer")
        await take(stores.events.follow("name"), 1)
        batch = await anext(batches)
        same(_cursors(batch), [1], "the events of a known consumer")
        await expect_error(UsageError, batch.done(), "done")
    await expect_error(UsageError, reading.events.forget_consumer("name"), "forgetting")
    same(await reading.events.consumers(), await stores.events.consumers(), "the consumers")

    async def within(at: Stores) -> None:
        known = len(await at.events.consumers())
        same(known, 1, "the number of consumers within an atomic call")
        await expect_error(UsageError, anext(at.events.follow("name")), "waiting for commits")

    await stores.atomic(within)


@case("events.follow.unreadable-position")
async def names_unreadable_positions(subject: Subject) -> None:
    """A consumer whose row is unreadable is named by the list of consumers."""
    stores = await subject.open()
    await _append(stores, 1)
    await take(stores.events.follow("name"), 1)
    (row,) = await stores.engine.read(read_script(Scan(CONSUMERS)))
    await stores.engine.write(write_script(Put(CONSUMERS, (row._replace(updated_at="no"),))))
    said = await expect_error(SerializationError, stores.events.consumers(), "the consumers")
    assert "consumer name" in said.detail, f"the error names the consumer: {said}"


@case("shared.follow", needs=("shared",))
async def follows_other_handles(subject: Subject) -> None:
    """A consumer returns events of another handle, and continues after what another one did."""
    stores, other = await subject.open(), await subject.open_second()
    async with stores.events.follow("name", most=10, linger=_AN_HOUR) as batches:
        waiting = asyncio.create_task(anext(batches))
        for _ in range(10):
            await other.events.append(event())
        same(_cursors(await waiting), [*range(1, 11)], "the events of the other handle")
        (batch,) = await take(other.events.follow("name", most=10), 1)
        await batch.done()
        waiting = asyncio.create_task(anext(batches))
        await _append(other, 10)
        same(_cursors(await waiting), [*range(11, 21)], "the events after those done elsewhere")
