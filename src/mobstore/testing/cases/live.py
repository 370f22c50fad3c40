"""Cases of following a store: events and statuses as they are committed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, TypeVar, cast

from mobstore.errors import (
    InternalError,
    NotFoundError,
    ReadFailedError,
    SerializationError,
    StaleCursorError,
)
from mobstore.model.event import FlowCompleted, MobEventKind
from mobstore.model.ids import FlowId
from mobstore.model.run import MobRunStatus
from mobstore.scripts.tables import COUNTERS, EVENTS, NEXT_CURSOR
from mobstore.scripts.transaction import (
    Delete,
    DeleteRange,
    Engine,
    LoadingScript,
    Put,
    Scan,
    Script,
)
from mobstore.stores.events import MobEventStore
from mobstore.stores.mob_stores import MobStores
from mobstore.stores.subscription import Subscription
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import definition, event, make_run, run_id, state, timestamp
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject

T = TypeVar("T")


async def _take(of: Subscription[T], count: int) -> list[T]:
    async with aclosing(of):
        return [await anext(of) for _ in range(count)]


class _Counting(Engine):
    """Counts what an engine is asked, and fails to read when it is told to.

    Attributes:
        reads: how often it was read.
        listening: how many listen.
        fault: what reading raises.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.reads = self.listening = 0
        self._counted = asyncio.Event()
        self.fault: ReadFailedError | None = None

    async def read(self, make: Callable[[], Script[T]]) -> T:
        if self.fault is not None:
            raise self.fault
        self.reads += 1
        self._counted.set()
        return await self._engine.read(make)

    async def write(self, make: Callable[[], Script[T]]) -> T:
        return await self._engine.write(make)

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        return await self._engine.load(make)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        stop = self._engine.listen(wake, to)
        self.listening += 1
        self._counted.set()

        def end() -> None:
            self.listening -= 1
            stop()

        return end

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._counted.clear()
            await self._counted.wait()

    async def compact(self) -> None:
        await self._engine.compact()

    async def close(self) -> None:
        await self._engine.close()


def _of_run(n: int) -> MobEventKind:
    return FlowCompleted(run_id=run_id(n), flow_id=FlowId("flow"))


async def _append_by_many(log: MobEventStore, tasks: int, each: int) -> None:
    async def append() -> None:
        for _ in range(each):
            await log.append(event())

    await asyncio.gather(*(append() for _ in range(tasks)))


@case("events.subscribe.catches-up")
async def catches_up(subject: Subject) -> None:
    """A subscription begins after its cursor and gives all that is there, in order."""
    log = (await subject.open()).events
    stored = await log.append_batch([event(f"{n % 3}") for n in range(700)])
    same(await _take(log.subscribe(), 700), stored, "all events")
    same(await _take(log.subscribe(690), 10), stored[690:], "the events after a cursor")
    await log.prune(timestamp(1))
    (added,) = await log.append_batch([event("late")])
    same(await _take(log.subscribe(3), 1), [added], "what is left after a prune")


@case("events.subscribe.follows")
async def follows(subject: Subject) -> None:
    """A subscription goes on with what is committed, in the order of cursors, each event once."""
    log = (await subject.open()).events
    await log.append(event("first"))
    fast, slow = log.subscribe(), log.subscribe(1)
    async with aclosing(fast), aclosing(slow):
        same((await anext(fast)).cursor, 1, "the first event")
        waiting = asyncio.create_task(_take(fast, 200))
        await _append_by_many(log, 8, 25)
        same([one.cursor for one in await waiting], [*range(2, 202)], "what follows")
        same([one.cursor for one in await _take(slow, 200)], [*range(2, 202)], "to the slow one")


@case("events.subscribe.subject")
async def subscribes_to_a_subject(subject: Subject) -> None:
    """A subscription to a mob or a run gives its events alone."""
    log = (await subject.open()).events

    async def append() -> None:
        kinds = [_of_run(1), _of_run(2), None, _of_run(2)]
        for mob, kind in zip("abab", kinds, strict=True):
            await log.append(event(mob, kind=kind))

    of_mob, of_run, _ = await asyncio.gather(  # in this order they begin
        _take(log.subscribe(mob_id="b"), 2), _take(log.subscribe(run_id=run_id(2)), 2), append()
    )
    same([one.cursor for one in of_mob], [2, 4], "the events of a mob")
    same([one.cursor for one in of_run], [2, 4], "the events of a run")


@case("events.subscribe.closed")
async def ends_with_the_store(subject: Subject) -> None:
    """Whoever waits for an event when the store is closed is told so."""
    stores = await subject.open()
    await stores.events.append(event())
    await stores.runs.create_run(make_run())
    subscription, watch = stores.events.subscribe(), stores.runs.watch(run_id(1))
    async with aclosing(subscription), aclosing(watch):
        await anext(subscription)
        await anext(watch)
        waiting = [asyncio.create_task(anext(subscription)), asyncio.create_task(anext(watch))]
        await stores.events.latest_cursor()
        await stores.close()
        for task in waiting:
            await expect_error(InternalError, task, "waiting when the store is closed")
        for following in (subscription, watch):
            await expect_error(InternalError, anext(following), "asking again")
    await expect_error(InternalError, anext(stores.events.subscribe()), "following a closed store")


@case("events.subscribe.cancelled")
async def cancels_cleanly(subject: Subject) -> None:
    """A subscription that is cancelled while it waits leaves the store and the others alone."""
    log = (await subject.open()).events
    patient = asyncio.create_task(_take(log.subscribe(), 1))
    hasty = [asyncio.create_task(_take(log.subscribe(), 1)) for _ in range(5)]
    same(await log.poll(0, 1), [], "the log")
    for task in hasty:
        task.cancel()
    await asyncio.gather(*hasty, return_exceptions=True)
    same([task.cancelled() for task in hasty], [True] * 5, "the cancelled tasks have ended so")
    stored = await log.append(event())
    same(await patient, [stored], "what the other one gets")


@case("events.subscribe.cancelled-step")
async def survives_cancelled_steps(subject: Subject) -> None:
    """A subscription of which single steps are cancelled gives every event once all the same."""
    log = (await subject.open()).events
    seen: list[int] = []
    async with log.subscribe() as following:
        for waits in range(20):
            step = asyncio.create_task(anext(following))
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
            seen.append((await asyncio.wait_for(anext(following), 30)).cursor)
        same(seen, [*range(1, latest + 1)], "what came")
        for _ in range(2):
            try:
                await asyncio.wait_for(anext(following), 0.001)
            except TimeoutError:
                continue
            raise AssertionError("an event came that nobody has appended")
        await log.append(event())
        same((await anext(following)).cursor, latest + 1, "the next event")


@case("events.subscribe.one-task")
async def serves_one_task(subject: Subject) -> None:
    """While one task waits for a subscription another one is refused, and the first one served."""
    log = (await subject.open()).events
    following = log.subscribe()
    waiting = asyncio.create_task(anext(following))
    await asyncio.sleep(0)
    await expect_error(InternalError, anext(following), "a second task")
    stored = await log.append(event())
    same(await waiting, stored, "what the first task gets")
    await following.aclose()


@case("events.subscribe.leaving")
async def leaves(subject: Subject) -> None:
    """A subscription that is closed ends, also for who waits; one that is dropped closes itself."""
    stores = await subject.open()
    engine = _Counting(stores.engine)
    log = MobStores(engine, clock=subject.clock).events
    following = log.subscribe()
    waiting = asyncio.create_task(anext(following, None))
    await engine.until(lambda: engine.listening == 1)
    await following.aclose()
    same(await waiting, None, "what a task gets that waits")
    await following.aclose()
    await log.append(event())
    same(await anext(following, None), None, "what comes after the end")
    same([one async for one in following], [], "what a loop gets after the end")
    async with log.subscribe() as entered:
        same((await anext(entered)).cursor, 1, "the first event")
    same(await anext(entered, None), None, "what comes after the block")
    same(engine.listening, 0, "how many listen")
    for cycle in (False, True):
        dropped: Any = log.subscribe()
        await anext(dropped)
        same(engine.listening, 1, "how many listen")
        if cycle:
            dropped.itself = dropped
        del dropped
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        same(engine.listening, 0, "how many listen when nobody holds the subscription")


@case("events.subscribe.error")
async def goes_on_after_errors(subject: Subject) -> None:
    """What a subscription raises it can be asked again after; when all is well again it goes on."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    engine = _Counting(stores.engine)
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


@case("events.subscribe.stale")
async def refuses_stale_cursors(subject: Subject) -> None:
    """A cursor that was never given is refused, at first and when the log shrinks beneath it."""
    stores = await subject.open()
    await stores.events.append_batch([event("a"), event("b"), event("a")])
    for after in (4, 2**63 - 1):
        for of in ({}, {"mob_id": "a"}, {"run_id": run_id(1)}):
            of_one: dict[str, Any] = of
            async with stores.events.subscribe(after, **of_one) as following:
                for _ in range(2):
                    stale = await expect_error(
                        StaleCursorError, anext(following), f"following from {after}"
                    )
                    same(stale.args, (after, 3), "the cursors that the error names")
    async with stores.events.subscribe(3) as following:
        waiting = asyncio.create_task(anext(following))
        added = await stores.events.append(event())
        same(await waiting, added, "what follows the latest cursor")
        await stores.events.clear()
        waiting = asyncio.create_task(anext(following))
        while not waiting.done():
            await stores.engine.write(
                write_script(DeleteRange(Scan(EVENTS)), Delete(COUNTERS, (NEXT_CURSOR,)))
            )
            await asyncio.sleep(0)
        stale = await expect_error(StaleCursorError, waiting, "waiting while the log begins anew")
        same(stale.args, (4, 0), "the cursors that the error names")


async def _damage(stores: MobStores, *cursors: int) -> None:
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    bad = [row._replace(kind='{"type":"no"}') for row in rows if row.cursor in cursors]
    await stores.engine.write(write_script(Put(EVENTS, bad)))


@case("events.subscribe.unreadable")
async def names_unreadable_events(subject: Subject) -> None:
    """What precedes an event that cannot be read comes, then an error with its cursor."""
    stores = await subject.open()
    stored = await stores.events.append_batch([event(f"{n % 2}") for n in range(300)])
    sound = await stores.engine.read(read_script(Scan(EVENTS, after=3, before=5)))
    await _damage(stores, 4, 6, 290)
    async with stores.events.subscribe() as following:
        same([await anext(following) for _ in range(3)], stored[:3], "what precedes")
        for _ in range(2):
            said = await expect_error(SerializationError, anext(following), "an unreadable event")
            assert "cursor 4 " in said.detail, f"the error names the cursor: {said}"
        await stores.engine.write(write_script(Put(EVENTS, sound)))
        same([await anext(following) for _ in range(2)], stored[3:5], "when it is mended")
        said = await expect_error(SerializationError, anext(following), "the next unreadable event")
        assert "cursor 6 " in said.detail, f"the error names the cursor: {said}"
    left_out: list[tuple[int, str]] = []

    def note(cursor: int, error: SerializationError) -> None:
        left_out.append((cursor, error.detail))

    async with stores.events.subscribe(2, on_unreadable=note) as following:
        same([await anext(following) for _ in range(3)], stored[2:5], "the first events")
        same(left_out, [], "what is left out before its turn")
        same([await anext(following) for _ in range(293)], [*stored[6:289], *stored[290:]], "all")
        same([cursor for cursor, _ in left_out], [6, 290], "what is left out")
        assert all(f"cursor {n} " in said for n, said in left_out), f"the errors: {left_out}"
        (added,) = await stores.events.append_batch([event()])
        same(await anext(following), added, "what follows")
    told: list[int] = []

    def fails_once(cursor: int, _: SerializationError) -> None:
        told.append(cursor)
        if told.count(cursor) == 1:
            raise LookupError("mine")

    async with stores.events.subscribe(4, on_unreadable=fails_once) as following:
        same(await anext(following), stored[4], "what precedes")
        await expect_error(LookupError, anext(following), "a function that raises")
        same(await anext(following), stored[6], "what follows")
        same(told, [6, 6], "what was told, again where that had failed")
    await _refuses_async(stores)
    async with stores.events.subscribe(mob_id="0") as following:
        same([(await anext(following)).cursor for _ in range(144)], [*range(1, 289, 2)], "a mob's")


async def _refuses_async(stores: MobStores) -> None:
    async def never_awaited(cursor: int, error: SerializationError) -> None: ...

    async def subscribe() -> None:
        stores.events.subscribe(on_unreadable=cast("Any", never_awaited))

    await expect_error(InternalError, subscribe(), "an async function")


@case("events.subscribe.others")
async def is_not_woken_by_others(subject: Subject) -> None:
    """What is committed about another mob, another run or another store wakes no follower."""
    stores = await subject.open()
    runs = [make_run(n, mob=f"{n}") for n in range(10)]
    for run in runs:
        await stores.runs.create_run(run)
    engine = _Counting(stores.engine)
    counted = MobStores(engine, clock=subject.clock)
    following: list[Subscription[Any]] = [
        *(counted.events.subscribe(mob_id=f"mob {n}") for n in range(100)),
        *(counted.events.subscribe(run_id=run_id(n)) for n in range(10)),
        *(counted.runs.watch(run.run_id) for run in runs),
    ]
    for watch in following[110:]:
        await anext(watch)
    waiting = [asyncio.create_task(anext(one)) for one in following]
    await engine.until(lambda: engine.reads == 120)
    for n in range(3):
        await stores.events.append(event(f"mob {n}", kind=_of_run(n)))
    await stores.specs.put_spec("mob 5", definition())
    await stores.runs.cas_run_status(run_id(4), expected="pending", next="running")
    await stores.runs.cas_flow_state(run_id(5), expected=state(0), next=state(1))
    woken = [*waiting[:3], *waiting[100:103], waiting[114]]
    await asyncio.wait(woken)
    for _ in range(10):  # others may be on their way
        await asyncio.sleep(0)
    same([task for task in waiting if task.done()], woken, "who was woken")
    same(engine.reads, 127, "how often the store was asked")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@case("shared.subscribe.follows", needs=("shared",))
async def hears_of_others(subject: Subject) -> None:
    """A subscription gives what is written through another handle, in order, each event once."""
    stores, other = await subject.open(), await subject.open_second()
    waiting = asyncio.create_task(_take(stores.events.subscribe(), 60))
    await _append_by_many(other.events, 3, 10)
    await asyncio.gather(
        _append_by_many(stores.events, 2, 10), _append_by_many(other.events, 1, 10)
    )
    same([one.cursor for one in await waiting], [*range(1, 61)], "what both have written")


async def _watched(stores: MobStores, n: int) -> list[MobRunStatus]:
    async with aclosing(stores.runs.watch(run_id(n))) as headers:
        return [header.status async for header in headers]


@case("runs.watch")
async def watches_a_run(subject: Subject) -> None:
    """A watch gives the status now and after each change, and ends with the run."""
    stores = await subject.open()
    runs = stores.runs
    await expect_error(NotFoundError, _watched(stores, 1), "watching a run that is not there")
    await runs.create_run(make_run(1))
    await runs.create_run(make_run(2))
    async with aclosing(runs.watch(run_id(1))) as headers:
        same((await anext(headers)).status, "pending", "the status at first")
        await runs.cas_flow_state(run_id(1), expected=state(0), next=state(1))
        await runs.cas_run_status(run_id(2), expected="pending", next="failed")
        changed, _ = await asyncio.gather(  # in this order they begin
            anext(headers), runs.cas_run_status(run_id(1), expected="pending", next="running")
        )
        same(changed.status, "running", "the status when it has changed")
        subject.clock.now = timestamp(7)
        await runs.cas_run_status(run_id(1), expected="running", next="completed")
        last = await anext(headers)
        same((last.status, last.completed_at), ("completed", timestamp(7)), "the last status")
        same([one async for one in headers], [], "what follows the end")
    same(await _watched(stores, 2), ["failed"], "a run that has ended already")
    await runs.create_run(make_run(3))
    async with aclosing(runs.watch(run_id(3))) as headers:
        await anext(headers)
        await runs.delete_run(run_id(3))
        same([one async for one in headers], [], "what follows the deletion")
