"""Subscriptions to events that other tabs write."""

from __future__ import annotations

from contextlib import aclosing

from browser.inside.calls import send
from mobstore import open_stores
from mobstore.testing.samples import event


async def follow(name: str, count: int) -> list[int]:
    """Return the cursors of the next `count` events; sends a message once it is ready."""
    async with open_stores(f"indexeddb:{name}") as stores:
        send("following")
        async with aclosing(stores.events.subscribe()) as events:
            return [(await anext(events)).cursor for _ in range(count)]


async def append(name: str, count: int) -> list[int]:
    """Append events one by one; return their cursors."""
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        return [(await stores.events.append(event())).cursor for _ in range(count)]
