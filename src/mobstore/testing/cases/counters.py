"""Cases of counters that are behind their rows, or used up: nothing is overwritten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mobstore.errors import InternalError, WriteFailedError
from mobstore.model.json import I64_MAX
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    FAILURE_LEDGER,
    NEXT_CURSOR,
    NEXT_RUN,
    RUNS,
    STEP_LEDGER,
    CounterRow,
)
from mobstore.scripts.transaction import Delete, Put, Scan, counter_too_low, key_in_use
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, failure, make_run, run_id, step
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject


async def _put_back(stores: MobStores, counter: str, value: int) -> None:
    await stores.engine.write(write_script(Put(COUNTERS, (CounterRow(counter, value),))))


async def _appends(at: Stores) -> None:
    await at.runs.create_run(make_run(7))
    await at.events.append(event("again"))


def _taken(cursor: int) -> str:
    return str(key_in_use(EVENTS, (cursor,)))


@case("events.counter-behind")
async def keeps_events(subject: Subject) -> None:
    """When the counter of cursors is behind, appending fails and overwrites nothing."""
    stores = await subject.open()
    await stores.events.append_batch([event(f"{n}") for n in range(1, 5)])
    log = await stores.events.replay_all()
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "append": lambda: stores.events.append(event("again")),
        "append_batch": lambda: stores.events.append_batch([event("again")] * 3),
        "an atomic call": lambda: stores.atomic(_appends),
    }
    for behind in (1, 2, 4):
        await _put_back(stores, NEXT_CURSOR, behind)
        for what, call in calls.items():
            await expect_error(WriteFailedError, call(), f"{what} at {behind}", _taken(behind))
    await _put_back(stores, NEXT_CURSOR, 3)
    await expect_error(
        WriteFailedError, calls["append_batch"](), "a batch whose first cursor is taken", _taken(3)
    )
    await stores.engine.write(write_script(Delete(EVENTS, (3,))))
    await expect_error(
        WriteFailedError, calls["append_batch"](), "a batch whose second cursor is taken", _taken(4)
    )
    same(await stores.events.replay_all(), [*log[:2], log[3]], "the log")
    same(await stores.runs.run_headers("mob"), [], "the runs of an atomic call that failed")
    await _put_back(stores, NEXT_CURSOR, 5)
    same((await stores.events.append(event())).cursor, 5, "a cursor after the counter was repaired")


@case("runs.counter-behind")
async def keeps_runs_apart(subject: Subject) -> None:
    """When the counter of runs is behind, creating a run fails: no two runs share a number."""
    stores = await subject.open()
    for n in (1, 2, 3):
        await stores.runs.create_run(make_run(n))
    for behind in (1, 3):
        await _put_back(stores, NEXT_RUN, behind)
        text = str(key_in_use(RUNS, (3,), "number"))
        await expect_error(
            WriteFailedError, stores.runs.create_run(make_run(4)), "create_run", text
        )
        await expect_error(WriteFailedError, stores.atomic(_appends), "an atomic call")
    same([one.run_id for one in await stores.runs.run_headers("mob")], [*map(run_id, (1, 2, 3))],
         "the runs")  # fmt: skip
    same(await stores.events.latest_cursor(), 0, "the log of an atomic call that failed")
    await _put_back(stores, NEXT_RUN, 4)
    await stores.runs.create_run(make_run(4))
    same(len(await stores.runs.run_headers("mob")), 4, "runs after the counter was repaired")


@case("events.counter-used-up")
async def ends_with_the_last_cursor(subject: Subject) -> None:
    """The last cursor is 2**63 - 2; further appends raise an error, and the log stays readable."""
    stores = await subject.open()
    await _put_back(stores, NEXT_CURSOR, I64_MAX - 1)
    same((await stores.events.append(event())).cursor, I64_MAX - 1, "the last cursor")
    for count in (1, 3):
        text = f"Internal error: cursor value {I64_MAX + count} exceeds i64::MAX"
        batch = stores.events.append_batch([event()] * count)
        await expect_error(InternalError, batch, f"appending {count}", text)
    same([one.cursor for one in await stores.events.poll(0, 10)], [I64_MAX - 1], "the log")
    same(await stores.events.latest_cursor(), I64_MAX - 1, "the latest cursor")


@case("runs.counter-used-up")
async def ends_with_the_last_number(subject: Subject) -> None:
    """Used-up numbers of runs or positions of a ledger raise an error that says so."""
    stores = await subject.open()
    await _put_back(stores, NEXT_RUN, I64_MAX - 1)
    await stores.runs.create_run(make_run(1))
    text = "Internal error: the numbers of runs are used up"
    await expect_error(InternalError, stores.runs.create_run(make_run(2)), "create_run", text)
    await _put_back(stores, NEXT_RUN, 5)  # no repair could correct it
    await expect_error(InternalError, stores.runs.create_run(make_run(2)), "create_run", text)
    await stores.runs.append_step_entry(run_id(1), step("s"))
    await stores.runs.append_failure_entry(run_id(1), failure("s"))
    (steps,) = await stores.engine.read(read_script(Scan(STEP_LEDGER)))
    (failures,) = await stores.engine.read(read_script(Scan(FAILURE_LEDGER)))
    last_steps = Put(STEP_LEDGER, (steps._replace(position=I64_MAX),))
    last_failures = Put(FAILURE_LEDGER, (failures._replace(position=I64_MAX),))
    await stores.engine.write(write_script(last_steps, last_failures))
    text = f"Internal error: run {run_id(1)} has an entry at the last possible position"
    for what, call in {
        "a step": stores.runs.append_step_entry(run_id(1), step("t")),
        "a failure": stores.runs.append_failure_entry(run_id(1), failure("t")),
    }.items():
        await expect_error(InternalError, call, what, text)


@case("engine.counters.impossible")
async def begins_with_one(subject: Subject) -> None:
    """A counter below 1 is rejected: its rows could not be found again."""
    stores = await subject.open()
    for value in (0, -7):
        for counter in (NEXT_CURSOR, NEXT_RUN):
            await _put_back(stores, counter, value)
        text = str(counter_too_low(NEXT_CURSOR, value))
        await expect_error(WriteFailedError, stores.events.append(event()), "append", text)
        text = str(counter_too_low(NEXT_RUN, value))
        await expect_error(
            WriteFailedError, stores.runs.create_run(make_run(1)), "create_run", text
        )
