"""Calls that overlap in one tab."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from mobstore.testing.samples import event, timestamp


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
