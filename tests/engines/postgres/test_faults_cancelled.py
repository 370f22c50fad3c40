"""Cancelled tasks, ending event loops and closing leave nothing open on the server."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from time import monotonic

import pytest

from engines.postgres.journal import Journal
from engines.support import NOON
from mobstore import ClosedError, MobStores, Stores, open_stores
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import (
    make_run,
    number_of,
    run_id,
    state,
    step,
    tag_of,
    tagged_event,
)
from support.postgres.proxy import Proxy
from support.postgres.server import Server

RUN = run_id(1)


class Later:
    """Turns of the event loop before work is cancelled: 1, 2, 3 and so on, ever faster.

    How many turns it takes depends on the machine, so they go on until it has ended by itself a
    number of times.

    Attributes:
        ended: how often the work had ended by itself; the loop counts.
    """

    def __init__(self, factor: float = 1.2, times: int = 5) -> None:
        self.ended = 0
        self._factor, self._times = factor, times

    def __iter__(self) -> Iterator[int]:
        turns = 1
        while self.ended < self._times:
            yield turns
            turns = max(turns + 1, int(turns * self._factor))


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    """Close nothing by accident; collect garbage within the test, since warnings are errors."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def open_transactions(server: Server) -> list[tuple[object, ...]]:
    return server.execute(
        "SELECT a.state, a.query, l.locktype FROM pg_stat_activity a"
        " LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype IN ('advisory', 'transactionid')"
        " WHERE a.application_name = 'mobstore'"
        " AND (a.state <> 'idle' OR l.locktype IS NOT NULL)"
    )


def connections(server: Server) -> int:
    ((number,),) = server.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mobstore'"
    )
    assert isinstance(number, int)
    return number


async def settled(server: Server, read: Callable[[Server], object], seconds: float = 5) -> None:
    """Wait until nothing is open."""
    deadline = monotonic() + seconds
    while found := await asyncio.to_thread(read, server):
        assert monotonic() < deadline, f"still open: {found}"
        await asyncio.sleep(0.02)


async def change(at: Stores) -> None:
    """Count in a run, with several rounds of reads, and append two events."""
    run = await at.runs.get_run(RUN)
    assert run is not None
    number = number_of(run.flow_state)
    await at.runs.cas_flow_state(RUN, expected=state(number), next=state(number + 1))
    await at.runs.append_step_entry(RUN, step(str(number + 1)))
    await at.events.append(tagged_event(f"{number + 1}", "a"))
    await at.events.append(tagged_event(f"{number + 1}", "b"))


async def check(stores: MobStores) -> int:
    """Check that changes happened wholly or not at all, and return their number."""
    run = await stores.runs.get_run(RUN)
    assert run is not None
    number = number_of(run.flow_state)
    assert [int(entry.step_id) for entry in run.step_ledger] == list(range(1, number + 1))
    events = await stores.events.replay_all()
    assert [one.cursor for one in events] == list(range(1, len(events) + 1))
    tags = [tag_of(one.kind) for one in events]
    assert tags == [str(n) for n in range(1, number + 1) for _ in "ab"]
    return number


async def cancelled(work: Awaitable[object], turns: int) -> bool:
    """Cancel a task after some turns of the event loop; return False if it ended before."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
        return True
    return False


@pytest.mark.slow
def test_tasks_cancelled_at_every_turn(postgres: Server, postgres_url: str) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            await stores.runs.create_run(make_run(1))
            for call in (
                lambda: stores.atomic(change),
                lambda: stores.runs.get_run(RUN),
                stores.overview,
            ):
                for turns in (later := Later()):
                    later.ended += not await cancelled(call(), turns)
            await stores.atomic(change)  # those before it have ended
            assert await check(stores) > 1
            await settled(postgres, open_transactions)
            assert connections(postgres) <= 5

    asyncio.run(main())


@pytest.mark.slow
def test_openings_cancelled_at_every_turn(postgres: Server, postgres_url: str) -> None:
    """Creating included, in the first rounds."""

    async def main() -> None:
        for turns in (later := Later()):
            opening: list[PostgresMobStores] = []

            async def work(opening: list[PostgresMobStores] = opening) -> None:
                opening.append(await PostgresMobStores.open(postgres_url))

            later.ended += not await cancelled(work(), turns)
            for stores in opening:
                await stores.close()
        await settled(postgres, connections)
        async with PostgresMobStores.open(postgres_url) as stores:
            assert await stores.events.replay_all() == []
        await settled(postgres, connections)

    asyncio.run(main())


@pytest.mark.slow
def test_event_loops_that_end_at_every_turn(postgres: Server, postgres_url: str) -> None:
    """`asyncio.run` cancels all tasks; the next loop uses the store, and the last closes it."""
    stores: list[PostgresMobStores] = []

    async def start() -> None:
        stores.append(await PostgresMobStores.open(postgres_url))
        await stores[0].runs.create_run(make_run(1))

    async def end(turns: int) -> bool:
        tasks = [
            asyncio.create_task(stores[0].atomic(change)),
            asyncio.create_task(stores[0].events.replay_all()),
            asyncio.create_task(stores[0].overview()),
        ]
        for _ in range(turns):
            await asyncio.sleep(0)
        return all(task.done() for task in tasks)

    async def finish() -> int:
        number = await check(stores[0])
        await stores[0].close()
        await settled(postgres, connections)
        return number

    asyncio.run(start())
    for turns in (later := Later(1.09)):
        later.ended += asyncio.run(end(turns))
    assert asyncio.run(finish()) > 0


def test_event_loops_in_threads(postgres: Server, postgres_url: str) -> None:
    """Loops come and go, at the same time and one after the other, and share one store."""

    async def main() -> None:
        journals = [Journal(f"loop{n}", 100 * n) for n in range(1, 4)]
        async with PostgresMobStores.open(postgres_url) as stores:

            async def load(journal: Journal) -> None:
                async with journal.load(stores, appending=3, changing=2):
                    await journal.until(60)

            await asyncio.gather(
                *(asyncio.to_thread(asyncio.run, load(one)) for one in journals[:2])
            )
            await load(journals[2])
            events = await stores.events.replay_all()
            assert [one.cursor for one in events] == list(range(1, len(events) + 1))
            known = {tag_of(one.kind): one.cursor for one in events}
            for journal in journals:
                assert journal.cursors.items() <= known.items()
                assert journal.errors == []
            assert len(known) == len(events)
            # Two loops have ended without closing, and a third one closes what they left.
        await settled(postgres, connections)

    asyncio.run(main())


@pytest.mark.parametrize("ending", [False, True])
def test_closing_while_another_loop_runs(postgres: Server, postgres_url: str, ending: bool) -> None:
    """The other loop may be busy, and end before it can help."""
    stores = asyncio.run(opened(postgres_url))
    used, released = threading.Event(), threading.Event()

    async def other() -> None:
        await stores.events.append(tagged_event("other"))
        used.set()
        released.wait(10)  # blocks the loop
        if not ending:
            await asyncio.sleep(1)

    thread = threading.Thread(target=asyncio.run, args=[other()])
    thread.start()
    assert used.wait(10)

    async def close() -> None:
        closing = asyncio.create_task(stores.close())
        await asyncio.sleep(0.1)
        released.set()
        await asyncio.wait_for(closing, 5)
        await settled(postgres, connections)

    try:
        asyncio.run(close())
    finally:
        released.set()
        thread.join(10)


async def opened(url: str) -> MobStores:
    return await open_stores(url)


def test_closing_during_load(postgres: Server, postgres_url: str) -> None:
    """Writes that were submitted are finished, and later ones are rejected."""

    async def main() -> None:
        stores = await PostgresMobStores.open(postgres_url)
        appending = [
            asyncio.create_task(stores.events.append(tagged_event(f"{n}"))) for n in range(3000)
        ]
        await asyncio.sleep(0)
        await asyncio.wait_for(stores.close(), 30)
        assert all(task.done() for task in appending)
        cursors = sorted(task.result().cursor for task in appending)
        assert cursors == list(range(1, 3001))
        for call in (stores.events.append(tagged_event("late")), stores.events.latest_cursor()):
            with pytest.raises(ClosedError):
                await call
        await settled(postgres, connections)

    asyncio.run(main())


@pytest.mark.slow
def test_closing_while_reads_last(postgres: Server, postgres_url: str) -> None:
    """Reads that do not end are interrupted, also those that wait for a connection."""

    async def main() -> None:
        stores = await PostgresMobStores.open(postgres_url)
        schema = postgres_url.rpartition("=")[2]
        with postgres.connect() as blocker:
            blocker.execute("BEGIN")
            blocker.execute(f"LOCK {schema}.events IN ACCESS EXCLUSIVE MODE".encode())
            reading = [asyncio.create_task(stores.events.poll(0, n)) for n in range(1, 200)]
            await asyncio.sleep(0.2)
            begun = monotonic()
            await asyncio.wait_for(stores.close(), 30)
            assert monotonic() - begun < 10  # the reads wait until the lock is released
            done, pending = await asyncio.wait(reading, timeout=1)
            assert not pending, f"{len(pending)} reads never end"
            for task in done:
                assert isinstance(task.exception(), ClosedError)
        await settled(postgres, connections)

    asyncio.run(main())


@pytest.mark.slow
def test_closings_cancelled_at_every_turn(postgres: Server, postgres_url: str) -> None:
    """Submitted calls are finished and connections closed in the background."""

    async def main() -> None:
        for cursor, turns in enumerate(later := Later(1.7, times=3), start=1):
            stores = await PostgresMobStores.open(postgres_url)
            writing = asyncio.create_task(stores.events.append(tagged_event(f"{turns}")))
            reading = asyncio.create_task(stores.events.latest_cursor())
            await asyncio.sleep(0)
            later.ended += not await cancelled(stores.close(), turns)
            assert (await writing).cursor == cursor
            await reading
            await settled(postgres, connections)

    asyncio.run(main())


@pytest.mark.slow
def test_tasks_cancelled_while_the_server_is_silent(
    postgres: Server, postgres_proxy: Proxy, postgres_schema: str
) -> None:
    """A cancelled caller need not wait for the server."""

    async def main() -> None:
        url = postgres_proxy.url(schema=postgres_schema)
        stores = await PostgresMobStores.open(url)
        await stores.events.append(tagged_event("before"))
        postgres_proxy.stall()
        for call in (
            stores.events.append(tagged_event("cancelled")),
            stores.events.latest_cursor(),
            stores.events.prune(NOON),
        ):
            begun = monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await call
            assert monotonic() - begun < 4  # `timeout` is five seconds
        postgres_proxy.resume()
        after = await stores.events.append(tagged_event("after"))
        tags = [tag_of(one.kind) for one in await stores.events.replay_all()]
        assert tags in (["before", "cancelled", "after"], ["before", "after"])
        assert after.cursor == len(tags)
        await stores.close()
        await settled(postgres, connections)

    asyncio.run(main())


def test_a_store_that_is_never_closed(postgres: Server, postgres_url: str) -> None:
    async def main() -> None:
        stores = await PostgresMobStores.open(postgres_url)
        await stores.events.append(tagged_event("e"))
        await asyncio.gather(*(stores.events.replay_all() for _ in range(100)))

    def abandon() -> None:
        asyncio.run(main())
        gc.collect()

    with pytest.warns(ResourceWarning, match=r"the store on .*schema .* was never closed") as noted:
        abandon()
    assert len(noted) == 1, [str(one.message) for one in noted]
    asyncio.run(settled(postgres, connections))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


@pytest.mark.parametrize("turns", range(7))
def test_a_program_that_cancels_all_tasks(postgres_url: str, turns: int) -> None:
    """Tasks of the engine are included: what tasks call then, and later, is done."""

    async def main() -> None:
        async with open_stores(postgres_url) as stores:
            await stores.events.append(tagged_event("before"))

            async def use() -> str:
                try:
                    await stores.events.append(tagged_event("cancelled"))
                    await stores.events.poll()
                except asyncio.CancelledError:
                    found = await stores.events.poll(0, 1)
                    await stores.events.append(tagged_event("at the end"))
                    return tag_of(found[0].kind)
                return "too late"

            tasks = [asyncio.create_task(use()) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            if turns:
                assert ended == ["before"] * 3
            await stores.events.append(tagged_event("after"))

    async def in_time() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(in_time())
