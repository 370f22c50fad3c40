"""Cases of following a store: events and statuses as they are committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from mobstore.bundles import MobStores
from mobstore.errors import InternalError, NotFoundError
from mobstore.interfaces import MobEventStore
from mobstore.model.event import FlowCompleted, MobEventKind
from mobstore.model.ids import FlowId
from mobstore.model.run import MobRunStatus
from mobstore.testing.kit import case, refused, same
from mobstore.testing.samples import event, make_run, moment, run_id, state
from mobstore.testing.subject import Subject

T = TypeVar("T")


async def _take(of: AsyncGenerator[T], count: int) -> list[T]:
    async with aclosing(of):
        return [await anext(of) for _ in range(count)]


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
    await log.prune(moment(1))
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
            await refused(InternalError, task, "waiting when the store is closed")


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
    await refused(NotFoundError, _watched(stores, 1), "watching a run that is not there")
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
        subject.clock.now = moment(7)
        await runs.cas_run_status(run_id(1), expected="running", next="completed")
        last = await anext(headers)
        same((last.status, last.completed_at), ("completed", moment(7)), "the last status")
        same([one async for one in headers], [], "what follows the end")
    same(await _watched(stores, 2), ["failed"], "a run that has ended already")
    await runs.create_run(make_run(3))
    async with aclosing(runs.watch(run_id(3))) as headers:
        await anext(headers)
        await runs.delete_run(run_id(3))
        same([one async for one in headers], [], "what follows the deletion")
