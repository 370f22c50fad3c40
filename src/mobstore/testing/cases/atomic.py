"""Cases of several operations in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from mobstore.errors import CasConflictError, NotFoundError, RefusedError, SpecRevisionConflictError
from mobstore.stores.mob_stores import MobStores, Stores
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
