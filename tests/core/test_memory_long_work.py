"""Long work in memory yields to the event loop, sees one snapshot, and blocks no other task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

import pytest

from mobstore import (
    InternalError,
    MobStores,
    NewMobEvent,
    Stores,
    UsageError,
    WriteFailedError,
)
from mobstore.codec import events as codec
from mobstore.engines import memory
from mobstore.engines.memory import MemoryEngine
from mobstore.maintenance.transfer import copy
from mobstore.maintenance.verification import verify
from mobstore.scripts.memory_tables import TableRows
from mobstore.scripts.tables import EVENTS, SPECS, EventRow, SpecRow
from mobstore.scripts.transaction import Add, Commit, Count, LoadingScript, Put, Scan, Script, fetch
from mobstore.testing.samples import event, make_run, run_id, step, timestamp
from mobstore.testing.scripts import read_script

T = TypeVar("T")


@pytest.fixture(autouse=True)
def every_step_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_SLICE": -1.0, "_FEW": 1, "_MANY": 3, "_PART": 2}.items():
        monkeypatch.setattr(memory, name, value)


def stores_in_memory() -> MobStores:
    return MobStores(MemoryEngine())


async def filled() -> MobStores:
    stores = stores_in_memory()
    await stores.events.append_batch([event(f"mob {n % 3}", at=timestamp(n)) for n in range(40)])
    for n in range(1, 9):
        ledger = tuple(step() for _ in range(5))
        run = make_run(n, status="failed", completed_at=timestamp(n), step_ledger=ledger)
        await stores.runs.create_run(run)
    return stores


async def turns(of: Coroutine[Any, Any, T]) -> tuple[T, int]:
    """Return the result of some work, and the number of turns of the event loop meanwhile."""
    task, turned = asyncio.ensure_future(of), 0
    while not task.done():
        await asyncio.sleep(0)
        turned += 1
    return task.result(), turned


def counting_twice(between: int) -> Script[tuple[int, int]]:
    first = yield from fetch(Count(Scan(EVENTS)))
    for _ in range(between):
        yield (Scan(SPECS),)
    rows = yield from fetch(Scan(EVENTS))
    return Commit((first, len(rows)))


def adding_spec(rounds: int, name: str) -> Script[int]:
    """Count rows, read more, then write the count."""
    first = yield from fetch(Count(Scan(SPECS)))
    for _ in range(rounds):
        yield (Scan(EVENTS, limit=1),)
    again = yield from fetch(Count(Scan(SPECS)))
    assert first == again, "one state"
    return Commit(first, (Add(SPECS, (SpecRow(name, first + 1, "{}"),)),))


def loading_events(start: int, count: int) -> LoadingScript[int]:
    for n in range(start, start + count):
        yield (Add(EVENTS, (EventRow(n, "m", "t", "mob_reset", "", "{}"),)),)
    (seen,) = yield (Count(Scan(EVENTS)),)
    return Commit(seen, (Put(SPECS, (SpecRow("loaded", seen, "{}"),)),))


def test_the_loop_turns_while_a_large_batch_is_encoded_and_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On every engine; an atomic call encodes at once, since it may await operations only."""
    batch = [event() for _ in range(30)]
    wrong = [*batch, NewMobEvent.model_construct(mob_id="m", kind="no event", timestamp=None)]

    async def add(at: Stores[bool]) -> None:
        await at.events.append_batch(batch)

    async def turned(part: int) -> int:
        monkeypatch.setattr(codec, "_BATCH", part)
        stores = stores_in_memory()
        stored, turned = await turns(stores.events.append_batch(batch))
        assert len({one.timestamp for one in stored}) == 1
        await stores.atomic(add)
        with pytest.raises(UsageError, match=r"events\[30\]\.kind"):
            await stores.events.append_batch(wrong)
        assert await stores.events.replay_all() == [*stored, *await stores.events.poll(30)]
        assert await stores.events.latest_cursor() == 60
        return turned

    async def check() -> None:
        assert await turned(1) >= await turned(1000) + 2 * 29

    asyncio.run(check())


def test_what_is_long_lets_the_loop_turn() -> None:
    async def check() -> None:
        stores = await filled()
        works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "verify": lambda: verify(stores),
            "overview": stores.overview,
            "list_runs": stores.runs.list_runs,
            "copy": lambda: copy(stores, stores_in_memory()),
            "prune_runs": lambda: stores.runs.prune_runs(timestamp(9)),
            "prune": lambda: stores.events.prune(timestamp(30)),
            "clear": stores.events.clear,
            "a load": lambda: stores.engine.load(lambda: loading_events(900, 20)),
        }
        for name, work in works.items():
            _, turned = await turns(work())
            assert turned > 2, name

    asyncio.run(check())


def test_a_long_reader_sees_one_state_and_hinders_nobody() -> None:
    async def check() -> None:
        stores = await filled()
        reader = asyncio.create_task(stores.engine.read(lambda: counting_twice(20)))
        await asyncio.sleep(0)
        for _ in range(5):
            await stores.events.append(event())
        assert not reader.done()
        await stores.events.clear()
        assert await stores.engine.read(read_script(Count(Scan(EVENTS)))) == 0
        assert await reader == (40, 40)
        assert await stores.events.latest_cursor() == 45

    asyncio.run(check())


def test_a_long_writer_is_run_again_where_another_has_written() -> None:
    async def check() -> None:
        stores = await filled()
        writer = asyncio.create_task(stores.engine.write(lambda: adding_spec(20, "slow")))
        undisturbed = await stores.engine.write(lambda: adding_spec(0, "fast"))
        assert (undisturbed, await writer) == (0, 1)
        assert await stores.engine.write(lambda: adding_spec(20, "last")) == 2

    asyncio.run(check())


def test_long_writers_of_many_tasks_all_end() -> None:
    async def check() -> None:
        stores = await filled()
        writers = [stores.engine.write(lambda n=n: adding_spec(n, f"{n}")) for n in range(12)]  # type: ignore[misc]
        assert sorted(await asyncio.gather(*writers)) == list(range(12))
        specs = await stores.engine.read(read_script(Scan(SPECS)))
        assert sorted(row.revision for row in specs) == list(range(1, 13))

    asyncio.run(check())


@pytest.mark.parametrize("disturbed", [False, True])
def test_a_load_is_seen_when_it_has_ended(*, disturbed: bool) -> None:
    async def check() -> None:
        stores = await filled()
        load = asyncio.create_task(stores.engine.load(lambda: loading_events(900, 30)))
        for _ in range(10):
            await asyncio.sleep(0)
            assert await stores.engine.read(read_script(Count(Scan(EVENTS)))) == 40
        if disturbed:
            await stores.events.append(event())
        assert await load == 70 + disturbed
        assert await stores.engine.read(read_script(Count(Scan(EVENTS)))) == 70 + disturbed
        await stores.events.append(event())

    asyncio.run(check())


def test_a_load_that_clashes_with_what_was_written_meanwhile() -> None:
    async def check() -> None:
        stores = await filled()
        load = asyncio.create_task(stores.engine.load(lambda: loading_events(41, 30)))
        await asyncio.sleep(0)
        await stores.events.append(event("mine"))
        with pytest.raises(WriteFailedError, match="key 41"):
            await load
        log = await stores.events.replay_all()
        assert (len(log), log[-1].mob_id) == (41, "mine")

    asyncio.run(check())


def works(stores: MobStores) -> dict[str, Callable[[], Coroutine[Any, Any, object]]]:
    async def many(at: Stores) -> None:
        for _ in range(9):
            await at.runs.append_step_entry(run_id(1), step())

    return {
        "read": lambda: stores.engine.read(lambda: counting_twice(20)),
        "write": lambda: stores.engine.write(lambda: adding_spec(20, "slow")),
        "many rows": lambda: stores.events.append_batch([event() for _ in range(9)]),
        "atomic": lambda: stores.atomic(many),
        "load": lambda: stores.engine.load(lambda: loading_events(900, 30)),
    }


@pytest.mark.parametrize("name", ["read", "write", "many rows", "atomic", "load"])
def test_cancelled_at_any_step(name: str) -> None:
    async def held(stores: MobStores) -> tuple[int, int, int]:
        run = await stores.runs.get_run(run_id(1))
        assert run is not None
        engine = stores.engine
        events, specs = [await engine.read(read_script(Count(Scan(t)))) for t in (EVENTS, SPECS)]
        return events, specs, len(run.step_ledger)

    async def check() -> None:
        stores = await filled()
        before = await held(stores)
        await works(stores)[name]()
        after = await held(stores)
        for steps in range(100):
            stores = await filled()
            task = asyncio.ensure_future(works(stores)[name]())
            for _ in range(steps):
                await asyncio.sleep(0)
            ended = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await held(stores) == after if ended else await held(stores) in (before, after)
            assert (await stores.events.append(event())).cursor
            if ended:
                assert steps > 3
                return
        raise AssertionError("it never ends")

    asyncio.run(check())


def test_a_task_that_ends_the_process_leaves_the_others() -> None:
    """No task waits for it, on any event loop, and none of its writes is stored."""
    stores = asyncio.run(filled())

    def exiting() -> LoadingScript[object]:
        yield from loading_events(900, 5)
        raise SystemExit(3)

    def leaving() -> Iterator[Coroutine[Any, Any, object]]:
        yield stores.engine.load(exiting)
        yield stores.engine.write(lambda: _exit_after(adding_spec(3, "gone")))
        yield stores.engine.read(lambda: _exit_after(counting_twice(3)))

    for call in leaving():

        async def check(call: Coroutine[Any, Any, object] = call) -> None:
            beside = [asyncio.create_task(stores.events.append(event())) for _ in range(3)]
            try:
                await call
            finally:
                await asyncio.gather(*beside)

        before = asyncio.run(stores.events.latest_cursor())
        with pytest.raises(SystemExit):
            asyncio.run(check())
        assert asyncio.run(stores.events.latest_cursor()) == before + 3
        assert asyncio.run(stores.specs.list_specs()) == []


def _exit_after(script: Script[Any]) -> Script[Any]:
    yield from script
    raise SystemExit(3)


def test_a_loop_that_stands_still_hinders_nobody() -> None:
    """Work started on an abandoned event loop has no effect."""
    stores = asyncio.run(filled())
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(call()) for call in works(stores).values()]
    loop.run_until_complete(asyncio.sleep(0))
    assert not any(task.done() for task in tasks)
    assert asyncio.run(stores.events.append(event())).cursor == 41
    assert asyncio.run(turns(verify(stores)))[0].problems == ()
    asyncio.run(stores.close())
    loop.run_until_complete(asyncio.gather(*tasks))
    loop.close()


def test_what_had_begun_ends_though_the_store_is_closed() -> None:
    async def check() -> None:
        stores = await filled()
        tasks = [asyncio.ensure_future(call()) for call in works(stores).values()]
        await asyncio.sleep(0)
        await stores.events.append(event())
        await stores.close()
        with pytest.raises(InternalError, match="closed"):
            await stores.events.append(event())
        await asyncio.gather(*tasks)
        assert not vars(stores.engine)["_tables"].rows(EVENTS), "the rows are let go of"

    asyncio.run(check())


def test_stores_of_an_atomic_call_are_of_no_use_to_a_task_beside_it() -> None:
    async def check() -> None:
        stores, loop = await filled(), asyncio.get_running_loop()
        tasks: list[asyncio.Task[object]] = []

        async def work(at: Stores) -> None:
            for _ in range(5):
                await at.runs.append_step_entry(run_id(1), step())
                tasks.append(loop.create_task(at.runs.append_step_entry(run_id(1), step())))

        await stores.atomic(work)
        for task in tasks:
            with pytest.raises(InternalError, match="belong to an atomic call"):
                await task
        assert len(await stores.runs.step_entries(run_id(1))) == 10

    asyncio.run(check())


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the tables that are copied from now on."""
    names: list[str] = []
    copy_rows = TableRows.copy

    def counted(rows: TableRows) -> TableRows:
        names.append(rows.table.name)
        return copy_rows(rows)

    monkeypatch.setattr(TableRows, "copy", counted)
    return names


def failing(rounds: int) -> Script[int]:
    for _ in range(rounds):
        yield (Scan(EVENTS, limit=1),)
    raise InternalError("no")


def test_rows_that_no_reader_shares_any_more_are_not_copied(copied: list[str]) -> None:
    async def check() -> None:
        stores = await filled()
        copied.clear()
        await verify(stores)
        with pytest.raises(InternalError):
            await stores.engine.read(lambda: failing(9))
        with pytest.raises(InternalError):
            await stores.engine.write(lambda: failing(9))
        task = asyncio.create_task(stores.engine.read(lambda: counting_twice(9)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def look(at: Stores) -> None:
            for _ in range(9):
                await at.events.poll(limit=1)

        await stores.atomic(look)
        await stores.events.append(event())
        assert not copied
        reader = asyncio.create_task(stores.engine.read(lambda: counting_twice(9)))
        await asyncio.sleep(0)
        for _ in range(5):
            await stores.events.append(event())
        assert not reader.done()
        assert copied.count("events") == 1, "while it is read"
        assert await reader == (41, 41)

    asyncio.run(check())


def test_a_long_writer_copies_no_table_or_each_once(copied: list[str]) -> None:
    async def check() -> None:
        stores = await filled()

        async def append(at: Stores, number: int) -> None:
            for _ in range(9):
                await at.events.poll(limit=1)
            for _ in range(number):
                await at.events.append(event())

        for number, times in ((1, 0), (20, 1)):
            copied.clear()
            for n in range(1, 4):
                await stores.atomic(partial(append, number=number))
                await stores.events.append(event())
                assert copied.count("events") == copied.count("counters") == n * times
        copied.clear()
        await stores.engine.load(lambda: loading_events(900, 9))
        assert copied == ["events"]
        await stores.events.clear()
        copied.clear()
        await stores.events.append(event())
        assert not copied
        last = await stores.events.latest_cursor()
        late = asyncio.create_task(stores.atomic(partial(append, number=20)))
        await asyncio.sleep(0)
        await stores.events.append(event())
        assert not late.done()
        await late
        assert copied.count("events") == 1, "by the other writer"
        assert await stores.events.latest_cursor() == last + 21

    asyncio.run(check())
