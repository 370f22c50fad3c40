"""Cases of what an atomic call's function may await and use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from threading import get_ident
from typing import Any, cast

from mobstore.engines.memory import MemoryEngine
from mobstore.errors import InternalError
from mobstore.scripts.atomic import OPERATIONS_ONLY
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.stores.opening import open_stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, make_run, run_id, step
from mobstore.testing.scripts import load_script
from mobstore.testing.subject import Subject


async def _append(at: Stores) -> None:
    await at.events.append(event())


@case("atomic.awaits")
async def awaits_operations_only(subject: Subject) -> None:
    """An atomic call can await only operations of its stores, which are unusable afterwards."""
    stores = await subject.open()
    kept: list[Stores] = []

    async def sleeps(at: Stores) -> None:
        kept.append(at)
        await at.events.append(event())
        await asyncio.sleep(0)

    async def subscribes(at: Stores) -> None:
        await anext(at.events.subscribe())

    def plain(at: Stores) -> None: ...

    await expect_error(InternalError, stores.atomic(sleeps), "awaiting something else")
    await expect_error(InternalError, stores.atomic(subscribes), "waiting for an event")
    await expect_error(InternalError, stores.atomic(cast("Any", plain)), "no async function")
    await expect_error(InternalError, kept[0].events.append(event()), "its stores after the call")
    same(await stores.events.latest_cursor(), 0, "the log")


@case("atomic.event-loop")
async def finds_no_event_loop(subject: Subject) -> None:
    """In an atomic call, use of the event loop raises an error and leaves no task behind."""
    stores = await subject.open()
    happened, bound = asyncio.Event(), asyncio.Lock()
    await bound.acquire()
    waiting = asyncio.create_task(bound.acquire())
    ran: list[str] = []

    async def other() -> None:
        ran.append("a task that the function started")

    async def times_out(at: Stores) -> None:
        async with asyncio.timeout(60):
            await at.events.append(event())

    async def begins_tasks(_: Stores) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(other())

    async def groups(_: Stores) -> None:
        try:
            await asyncio.sleep(0.01)
        except InternalError as error:
            raise ExceptionGroup("as newer versions of asyncio raise it", [error]) from None

    async def begins(_: Stores) -> None:
        asyncio.create_task(other())  # noqa: RUF006

    calls: dict[str, Callable[[Stores], Coroutine[Any, Any, object]]] = {
        "sleep(0)": lambda _: asyncio.sleep(0),
        "sleep": lambda _: asyncio.sleep(0.01),
        "timeout": times_out,
        "TaskGroup": begins_tasks,
        "a group of errors": groups,
        "create_task": begins,
        "gather": lambda _: _waiting(lambda: asyncio.gather(other())),
        "shield": lambda _: _waiting(lambda: asyncio.shield(other())),
        "to_thread": lambda _: asyncio.to_thread(ran.append, "a thread"),
        "an event": lambda _: happened.wait(),
        "a lock of the loop": lambda _: bound.acquire(),
    }
    for what, call in calls.items():

        async def function(
            at: Stores, call: Callable[[Stores], Coroutine[Any, Any, object]] = call
        ) -> None:
            await at.events.append(event())
            await call(at)

        before = asyncio.all_tasks()
        error = await expect_error(InternalError, stores.atomic(function), what)
        same(error.detail, OPERATIONS_ONLY, f"{what}: the error")
        for _ in range(3):
            await asyncio.sleep(0)  # a cancelled task would end here
        assert asyncio.all_tasks() <= before, f"{what}: no task is left behind"
    same(ran, [], "the functions that ran")
    same(await stores.events.latest_cursor(), 0, "the log")
    bound.release()
    await waiting


async def _waiting(begin: Callable[[], Awaitable[object]]) -> None:
    await begin()


@case("atomic.own-stores")
async def uses_own_stores_only(subject: Subject) -> None:
    """In an atomic call, use of any other stores raises an error instead of a deadlock."""
    stores, other = await subject.open(), MobStores(MemoryEngine())
    await stores.runs.create_run(make_run())

    async def nested(_: Stores) -> None:
        await other.atomic(_append)

    def begun(at: Stores) -> None:
        """Start tasks through an event loop that was found outside."""
        loop.call_soon_threadsafe(begin, stores)
        if get_ident() == home:
            loop.call_soon(begin, at)

    def begin(of: Stores[bool]) -> None:
        tasks.append(loop.create_task(of.events.append(event())))

    loop, home = asyncio.get_running_loop(), get_ident()
    tasks: list[asyncio.Task[object]] = []
    calls: dict[str, Callable[[MobStores], Awaitable[object]]] = {
        "a read": lambda of: of.events.replay_all(),
        "a write": lambda of: of.events.append(event()),
        "a write of a run": lambda of: of.runs.append_step_entry(run_id(1), step()),
        "an atomic call": lambda of: of.atomic(_append),
        "an atomic call within another": lambda of: of.atomic(nested),
        "a subscription": lambda of: anext(of.events.subscribe()),
        "a watch": lambda of: anext(of.runs.watch(run_id(1))),
        "a load": lambda of: of.engine.load(load_script()),
        "an overview": lambda of: of.overview(),
        "compacting": lambda of: of.compact(),
        "closing": lambda of: of.close(),
        "opening": lambda _: open_stores("memory:"),
    }
    for which, outer in (("its", stores), ("another's", other)):
        for what, call in calls.items():

            async def uses(
                at: Stores,
                outer: MobStores = outer,
                call: Callable[[MobStores], Awaitable[object]] = call,
            ) -> None:
                await at.events.append(event())
                begun(at)
                await call(outer)

            await expect_error(
                InternalError, stores.atomic(uses), f"{what} of {which} outer stores"
            )
    for task in tasks:
        await expect_error(InternalError, task, "a write of a task that the function started")
    assert tasks, "tasks were started"
    same(await stores.events.latest_cursor(), 0, "the log")
    same((await stores.runs.step_entries(run_id(1))), [], "the ledger")
    same(await other.events.latest_cursor(), 0, "the other log")

    async def catches(at: Stores) -> int:
        try:
            await stores.events.append(event("outside"))
        except InternalError:
            return (await at.events.append(event("inside"))).cursor
        return 0

    same(await stores.atomic(catches), 1, "the call after it caught the error")
    same([one.mob_id for one in await stores.events.replay_all()], ["inside"], "the log in the end")


@case("atomic.context")
async def sees_the_context(subject: Subject) -> None:
    """The function sees its caller's context variables; its own changes stay within the call."""
    stores = await subject.open()
    name: ContextVar[str] = ContextVar("name", default="outside")

    async def who(at: Stores) -> str:
        seen = name.get()
        await at.events.append(event(seen))
        seen += f", then {name.get()}"
        name.set("the function")
        return seen

    async def caller(of: str) -> str:
        name.set(of)
        return await stores.atomic(who)

    seen = await asyncio.gather(*(asyncio.create_task(caller(f"{n}")) for n in range(3)))
    same(sorted(seen), [f"{n}, then {n}" for n in range(3)], "the values that the function saw")
    same(name.get(), "outside", "the variable outside")
