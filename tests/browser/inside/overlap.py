"""Calls that overlap in one tab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from browser.inside.indexeddb import delete_database, settled
from browser.inside.javascript import ffi, js
from mobstore import MobStores, Stores, open_stores
from mobstore.engines.indexeddb import rows
from mobstore.engines.indexeddb.reads import RoundTrip
from mobstore.testing.samples import event, run_id, timestamp


async def prune(events: int, turns: int) -> list[int]:
    """Prune the same events twice, the second time some turns of the event loop later."""
    name = f"prune-{uuid4()}"
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await stores.events.append_batch([event(at=timestamp(1))] * events)
        first = asyncio.create_task(stores.events.prune(timestamp(2)))
        for _ in range(turns):
            await asyncio.sleep(0)
        second = await stores.events.prune(timestamp(2))
        counts = [await first, second]
        assert await stores.events.replay_all() == []
    await delete_database(name)
    return counts


@asynccontextmanager
async def opened_twice() -> AsyncGenerator[tuple[MobStores, MobStores]]:
    """Open one database by two connections, and delete it in the end."""
    name = f"twice-{uuid4()}"
    async with (
        open_stores(f"indexeddb:{name}", durability="normal") as stores,
        open_stores(f"indexeddb:{name}", durability="normal") as others,
    ):
        yield stores, others
    await delete_database(name)


async def polls_during_appends(tasks: int) -> list[int]:
    """Return how often tasks poll while another one appends 20 events, in their store or not."""
    counts: list[int] = []
    async with opened_twice() as (stores, others):
        for writer in (stores, others):
            before = await stores.events.latest_cursor()

            async def append(to: Stores[bool] = writer) -> None:
                for _ in range(20):
                    await to.events.append(event())

            writing = asyncio.create_task(append())
            counts.append(0)

            async def poll(end: asyncio.Task[None] = writing, after: int = before) -> None:
                while not end.done():
                    await stores.events.poll(after, 100)
                    counts[-1] += 1

            await asyncio.gather(writing, *(poll() for _ in range(tasks)))
    return counts


async def polls_before_an_append(polls: int) -> int:
    """Return how many of the polls that were called before it an append waits for."""
    name, ended = f"gathered-{uuid4()}", 0
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:

        async def poll() -> None:
            nonlocal ended
            await stores.events.poll()
            ended += 1

        polling = asyncio.gather(*(poll() for _ in range(polls)))
        await asyncio.sleep(0)
        await stores.events.append(event())
        found = ended
        await polling
    await delete_database(name)
    return found


async def appends_beside_a_search(events: int) -> list[int]:
    """Return how many appends end while a search reads the whole log, in their store or not."""
    counts: list[int] = []
    async with opened_twice() as (stores, others):
        await stores.events.append_batch([event()] * events)
        for writer in (stores, others):
            searching = asyncio.create_task(stores.events.poll(member="nobody"))
            await asyncio.sleep(0)
            counts.append(0)
            while not searching.done():
                await writer.events.append(event())
                counts[-1] += 1
            assert await searching == []
    return counts


async def close_beside_a_stopped_writer() -> list[int]:
    """Close a store whose write was cancelled while another connection does not end its own.

    Return the cursors that are stored afterwards.
    """
    name, held = f"stopped-{uuid4()}", True
    stores = await open_stores(f"indexeddb:{name}", durability="normal")
    await stores.events.append(event())
    other = await settled(js.indexedDB.open(name))
    table = other.transaction("events", "readwrite").objectStore("events")

    def prolong(_: object = None) -> None:
        if held:
            table.count().onsuccess = again

    again = ffi.create_proxy(prolong)
    prolong()
    for call in (stores.events.append(event()), stores.events.latest_cursor()):
        try:
            async with asyncio.timeout(0.3):
                await call
        except TimeoutError:
            continue
        raise AssertionError("a call did not wait for the other connection")
    async with asyncio.timeout(20):
        await stores.close()
    held = False
    other.close()
    async with open_stores(f"indexeddb:{name}") as stores:
        cursors = [one.cursor for one in await stores.events.poll()]
    again.destroy()
    await delete_database(name)
    return cursors


async def round_trips() -> tuple[list[int], list[int]]:
    """Return the round trips of equal atomic calls, and the cursors of others that overlap."""
    trips = 0

    class Counted(RoundTrip):
        def __init__(self, *values: Any) -> None:
            nonlocal trips
            trips += 1
            super().__init__(*values)

    async def append(at: Stores[bool]) -> int:
        return (await at.events.append(event())).cursor

    async def append_after_a_read(at: Stores[bool]) -> int:
        await at.runs.get_run(run_id(1))
        return await append(at)

    name = f"trips-{uuid4()}"
    with patch.object(rows, "RoundTrip", Counted):
        async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
            counts: list[int] = []
            for _ in range(3):
                before = trips
                await stores.atomic(append_after_a_read)
                counts.append(trips - before)
            overlapping: list[Coroutine[Any, Any, int]] = []
            for _ in range(20):
                overlapping += append(stores), stores.atomic(append_after_a_read)
            cursors = await asyncio.gather(*overlapping)
    await delete_database(name)
    return counts, cursors
