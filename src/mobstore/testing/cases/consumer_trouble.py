"""Cases of consumers in trouble: stale positions, unreadable rows, cancelled steps, no writes."""

from __future__ import annotations

import asyncio

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import SerializationError, StaleCursorError, UsageError
from mobstore.scripts.tables import CONSUMERS, COUNTERS, EVENTS, NEXT_CURSOR, CounterRow
from mobstore.scripts.transaction import DeleteRange, Put, Scan
from mobstore.stores.following import EventBatch
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.stores.subscription import Subscription
from mobstore.testing.cases.consumers import append_events, cursors
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject
from mobstore.testing.subscriptions import take


@case("events.follow.stale")
async def rejects_stale_positions(subject: Subject) -> None:
    """A position past the latest cursor is rejected, as after restoring an older state."""
    stores = await subject.open()
    await append_events(stores, 3)
    async with stores.events.follow("name", linger=0) as batches:
        await (await anext(batches)).done()
        await stores.engine.write(
            write_script(DeleteRange(Scan(EVENTS)), Put(COUNTERS, (CounterRow(NEXT_CURSOR, 2),)))
        )
        for _ in range(2):
            stale = await expect_error(StaleCursorError, anext(batches), "a stale position")
            same(stale.args, (3, 1, "name"), "the cursors that the error names")
        await stores.events.forget_consumer("name")
        await append_events(stores, 1)
        same(cursors(await anext(batches)), [2], "the events after forgetting the position")


@case("events.follow.unreadable")
async def names_unreadable_events(subject: Subject) -> None:
    """A batch ends before an unreadable event, which is an error, or is skipped on request."""
    stores = await subject.open()
    await append_events(stores, 6)
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    bad = [row._replace(kind='{"typ":"no"}') for row in rows if row.cursor in {2, 3, 6}]
    await stores.engine.write(write_script(Put(EVENTS, bad)))
    async with stores.events.follow("strict", linger=0) as batches:
        batch = await anext(batches)
        same((cursors(batch), batch.cursor), ([1], 1), "the batch before")
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
        same((cursors(batch), batch.removed), ([4, 5], 1), "the events after")
        await batch.done()
        skipping = stores.events.follow("other", start=3, linger=0, on_unreadable=skip)
        (other,) = await take(skipping, 1)
        same((cursors(other), other.cursor, other.removed), ([4, 5], 6, 0), "one at the end")
        waiting = asyncio.create_task(anext(batches))
        await append_events(stores, 1)
        batch = await waiting
        same((cursors(batch), batch.after, batch.removed), ([7], 5, 0), "the last batch")
        same(skipped, [2, 2, 3, 6, 6], "the skipped events of both")
        await batch.done()


@case("events.follow.cancelled-step")
async def survives_cancelled_steps(subject: Subject) -> None:
    """A consumer whose steps and commits are cancelled still sees every event."""
    log = (await subject.open()).events
    seen: set[int] = set()

    async def step(batches: Subscription[EventBatch]) -> int:
        batch = await anext(batches)
        seen.update(cursors(batch))
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
    await append_events(stores, 1)
    reading = MobStores(ReadOnlyEngine(stores.engine))
    async with reading.events.follow("name") as batches:
        await expect_error(UsageError, anext(batches), "the first step of a new consumer")
        await take(stores.events.follow("name"), 1)
        batch = await anext(batches)
        same(cursors(batch), [1], "the events of a known consumer")
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
    await append_events(stores, 1)
    await take(stores.events.follow("name"), 1)
    (row,) = await stores.engine.read(read_script(Scan(CONSUMERS)))
    await stores.engine.write(write_script(Put(CONSUMERS, (row._replace(updated_at="no"),))))
    said = await expect_error(SerializationError, stores.events.consumers(), "the consumers")
    assert "consumer name" in said.detail, f"the error names the consumer: {said}"
