"""The mobstore side of two tabs, run by Pyodide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from itertools import cycle

from bench import samples
from mobstore import IndexedDbMobStores, MobStores
from mobstore.scripts.transaction import Durability

_following: list[asyncio.Task[None]] = []


async def follow(name: str, had: Callable[[], None]) -> None:
    """Subscribe to a store's log until the tab closes; return once it has caught up."""
    stores = await IndexedDbMobStores.open(name)

    async def go_on() -> None:
        async for _ in stores.events.subscribe(await stores.events.latest_cursor()):
            had()

    _following.append(asyncio.create_task(go_on()))
    await asyncio.sleep(0.5)


async def writer(name: str, durability: str) -> Writer:
    """Return a writer; `durability` is IndexedDB's word."""
    ours: dict[str, Durability] = {"relaxed": "normal", "strict": "full"}
    return Writer(await IndexedDbMobStores.open(name, durability=ours[durability]))


class Writer:
    """A tab that appends events in sequence."""

    def __init__(self, stores: MobStores) -> None:
        self._stores = stores
        self._now: Callable[[], float] = import_module("js").performance.now  # part of Pyodide
        self._events = cycle(samples.events(1_000))

    def text(self) -> str:
        """Return an event in the form that the other side sends."""
        return samples.events(1_000)[0].to_json()

    async def append(self) -> float:
        """Append an event and return the browser's clock in milliseconds afterwards."""
        await self._stores.events.append(next(self._events))
        return self._now()

    async def close(self) -> None:
        """Close the store."""
        await self._stores.close()
