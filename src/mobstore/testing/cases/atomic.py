"""Cases of several operations in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from threading import get_ident
from typing import Any, cast

from mobstore.engines.memory import MemoryEngine
from mobstore.errors import (
    CasConflictError,
    InternalError,
    NotFoundError,
    RefusedError,
    SpecRevisionConflictError,
)
from mobstore.scripts.atomic import OPERATIONS_ONLY
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.stores.opening import open_stores
from mobstore.testing.cases.wrappers import WRAPPERS, Wrapper
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    definition,
    event,
    failure,
    frame,
    full_run,
    make_run,
    number_of,
    profile,
    run_id,
    state,
    step,
    timestamp,
)
from mobstore.testing.scripts import load_script
from mobstore.testing.subject import Subject


async def _everything(stores: Stores[bool]) -> tuple[object, ...]:
    return (
        await stores.events.replay_all(),
        await stores.events.latest_cursor(),
        await stores.runs.list_runs("mob"),
        [await stores.specs.get_spec(mob) for mob in await stores.specs.list_specs()],
        await stores.realm_profiles.list(),
    )


async def _much(at: Stores) -> str:
    """Write to all four stores."""
    await at.runs.create_run(full_run(2))
    await at.runs.append_step_entry(run_id(1), step("a"))
    await at.runs.append_failure_entry(run_id(1), failure())
    await at.events.append_batch([event("one"), event("two")])
    await at.runs.cas_run_status(run_id(1), expected="pending", next="running")
    await at.specs.put_spec("mob", definition(), 0)
    await at.realm_profiles.create("name", profile())
    return "done"


@case("atomic.all")
async def keeps_all(subject: Subject) -> None:
    """An atomic call on all four stores writes what its operations write one by one."""
    alone = await subject.open()
    together = MobStores(alone.engine, clock=subject.clock)
    await alone.runs.create_run(make_run())
    same(await together.atomic(_much), "done", "the function's result")
    runs = await alone.runs.list_runs("mob")
    same([run.run_id.int for run in runs], [1, 2], "the runs")
    same(runs[0].status, "running", "the status")
    same((len(runs[0].step_ledger), len(runs[0].failure_ledger)), (1, 1), "the ledgers")
    same(runs[1], full_run(2), "the new run")
    same([one.mob_id for one in await alone.events.replay_all()], ["one", "two"], "the events")
    same(await alone.specs.get_spec("mob"), (definition(), 1), "the spec")
    stored = await alone.realm_profiles.get("name")
    assert stored is not None, "the profile is there"
    same((stored.revision, stored.created_at), (1, timestamp(0)), "the profile")


@case("atomic.none")
async def keeps_none(subject: Subject) -> None:
    """If the function of an atomic call raises any error, nothing is kept."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    before = await _everything(stores)

    async def missing(at: Stores) -> None:
        await _much(at)
        await at.runs.append_step_entry(run_id(9), step())

    async def conflict(at: Stores) -> None:
        await _much(at)
        await at.specs.put_spec("mob", definition(), 0)

    async def own(at: Stores) -> None:
        await _much(at)
        raise LookupError("mine")

    await expect_error(NotFoundError, stores.atomic(missing), "an operation on a missing run")
    await expect_error(
        SpecRevisionConflictError, stores.atomic(conflict), "a spec of its own making"
    )
    await expect_error(LookupError, stores.atomic(own), "an error of its own")
    same(await _everything(stores), before, "the store")


@case("atomic.refused")
async def names_the_failed_operation(subject: Subject) -> None:
    """A failed comparison raises, names its operation and rolls back all, unless it is caught."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(frames={"frame": frame(0)}))
    before = await _everything(stores)

    async def swap(at: Stores, expected: int) -> bool:
        return await at.runs.cas_frame_state(
            run_id(1), frame_id="frame", expected=frame(expected), next=frame(5)
        )

    async def wrong(at: Stores) -> None:
        await at.events.append(event())
        await at.runs.append_step_entry(run_id(1), step())
        await swap(at, 3)

    error = await expect_error(RefusedError, stores.atomic(wrong), "a frame in another state")
    same(error.operation, 3, "the operation that failed")
    same(error.method, "runs.cas_frame_state", "its method")
    same(error.run_id, str(run_id(1)), "its run")
    for part in (error.method, str(run_id(1)), error.reason, "operation 3"):
        assert part in str(error), f"the error names {part}"
    assert isinstance(error, CasConflictError), "it is a conflict"
    assert "frame 'frame'" in str(error), "the error names the frame"
    same(await _everything(stores), before, "the store")

    async def caught(at: Stores) -> bool:
        try:
            await swap(at, 3)
        except RefusedError:
            await at.events.append(event())
            return await swap(at, 0)
        return False

    same(await stores.atomic(caught), True, "a swap after a failed one")
    same(await stores.events.latest_cursor(), 1, "the event that was appended")
    run = await stores.runs.get_run(run_id(1))
    assert run is not None, "the run is there"
    same(number_of(next(iter(run.frames.values())).kernel_state), 5, "the frame")


async def _call_wrapper(wrapper: Wrapper, n: int, at: Stores) -> object:
    return await wrapper.call(at.runs, run_id(n))


@case("atomic.refused.method")
async def names_every_method(subject: Subject) -> None:
    """A refused operation names itself, its run and the reason, whichever it is."""
    stores = await subject.open()
    calls: list[tuple[str, Callable[[Stores], Awaitable[object]]]] = []
    for n, wrapper in enumerate(WRAPPERS, 1):
        _, run = next(iter(wrapper.violated(n)))
        await stores.runs.create_run(run)
        calls.append((wrapper.method, partial(_call_wrapper, wrapper, n)))
    await stores.runs.create_run(make_run(20, status="canceled"))
    swap: dict[str, Any] = {"expected_flow_state": state(0), "next_flow_state": state(1)}
    more: list[tuple[str, Callable[[Stores], Awaitable[object]]]] = [
        ("cas_run_status", lambda at: at.runs.cas_run_status(
            run_id(20), expected="canceled", next="running")),
        ("cas_run_status", lambda at: at.runs.cas_run_status(
            run_id(21), expected="pending", next="running")),
        ("cas_flow_state", lambda at: at.runs.cas_flow_state(
            run_id(20), expected=state(3), next=state(4))),
        ("cas_run_snapshot", lambda at: at.runs.cas_run_snapshot(
            run_id(20), expected_status="pending", next_status="running", **swap)),
    ]  # fmt: skip
    numbers = [*range(1, len(WRAPPERS) + 1), 20, 21, 20, 20]
    for (method, call), n in zip([*calls, *more], numbers, strict=True):

        async def work(at: Stores, call: Callable[[Stores], Awaitable[object]] = call) -> None:
            await at.events.append(event())
            await call(at)

        error = await expect_error(RefusedError, stores.atomic(work), method)
        same(error.operation, 2, f"{method}: its number")
        same(error.method, f"runs.{method}", "the method")
        same(error.run_id, str(run_id(n)), f"{method}: the run")
        assert str(run_id(n)) in error.reason, f"{method}: the reason names the run"

    async def delete(at: Stores) -> None:
        await at.specs.delete_spec("mob", 3)

    error = await expect_error(RefusedError, stores.atomic(delete), "a spec at another revision")
    same((error.method, error.run_id), ("specs.delete_spec", None), "deleting a spec")
    same(await stores.events.latest_cursor(), 0, "the log")


@case("atomic.sees-itself")
async def sees_itself(subject: Subject) -> None:
    """An operation in an atomic call sees the writes of earlier ones; other callers do not."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(1, step_ledger=(step("s", at=1), step("s", at=2))))
    await stores.events.append_batch([event(at=timestamp(n)) for n in range(4)])
    seen: list[object] = []

    async def look(at: Stores) -> None:
        seen.clear()  # it may be run again
        seen.append((await at.events.append(event("new", at=timestamp(9)))).cursor)
        seen.append((await at.events.append(event("new", at=timestamp(1)))).cursor)
        seen.append(await at.events.prune(timestamp(2)))
        seen.append([one.cursor for one in await at.events.replay_all()])
        seen.append([one.cursor for one in await at.events.poll(0, 2)])
        seen.append([one.cursor for one in await at.events.poll(0, 9, mob_id="new")])
        await at.runs.append_step_entry(run_id(1), step("t", at=3))
        await at.runs.put_step_output(run_id(1), "t", 7)
        await at.runs.put_step_output(run_id(1), "s", 8)
        entries = await at.runs.step_entries(run_id(1))
        seen.append([(entry.step_id, entry.output) for entry in entries])
        await at.runs.cas_run_status(run_id(1), expected="pending", next="failed")
        seen.append([one.run_id.int for one in await at.runs.run_headers(status="pending")])
        seen.append([one.run_id.int for one in await at.runs.run_headers(status="failed")])
        seen.append(await at.runs.delete_run(run_id(1)))
        seen.append(await at.runs.get_run(run_id(1)))
        await at.runs.create_run(make_run(1))
        seen.append(await at.runs.list_runs("mob"))
        await at.events.clear()
        seen.append((await at.events.append(event("last"))).cursor)
        seen.append([one.cursor for one in await at.events.replay_all()])

    await stores.atomic(look)
    want = [
        5, 6, 3, [3, 4, 5], [3, 4], [5], [("s", None), ("s", 8), ("t", 7)],
        [], [1], True, None, [make_run(1)], 7, [7],
    ]  # fmt: skip
    same(seen, want, "the results of the operations")
    same(await stores.runs.list_runs("mob"), [make_run(1)], "the runs in the end")
    same([one.cursor for one in await stores.events.replay_all()], [7], "the log in the end")


@case("atomic.one-by-one")
async def runs_one_by_one(subject: Subject) -> None:
    """Atomic calls of several tasks run one after the other, and none sees half of another."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())

    async def count(at: Stores) -> int:
        run = await at.runs.get_run(run_id(1))
        assert run is not None, "the run is there"
        value = number_of(run.flow_state)
        await at.runs.cas_flow_state(run_id(1), expected=state(value), next=state(value + 1))
        appended = await at.events.append(event())
        assert appended.cursor == value + 1, "the run and the log are in step"
        return value

    counted = await asyncio.gather(*(stores.atomic(count) for _ in range(30)))
    same(sorted(counted), [*range(30)], "the values that were found")
    same(await stores.events.latest_cursor(), 30, "events")


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
        await other.atomic(_much)

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
        "an atomic call": lambda of: of.atomic(_much),
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
