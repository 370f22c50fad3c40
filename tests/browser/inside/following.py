"""Following what other tabs write."""

from __future__ import annotations

from contextlib import aclosing

from browser.inside.calls import say
from mobstore import open_stores
from mobstore.testing.samples import event


async def follow(name: str, count: int) -> list[int]:
    """The cursors of so many events, as they come; says when it has begun."""
    async with open_stores(f"indexeddb:{name}") as stores:
        say("following")
        async with aclosing(stores.events.subscribe()) as events:
            return [(await anext(events)).cursor for _ in range(count)]


async def append(name: str, count: int) -> list[int]:
    """Append so many events, one by one; their cursors."""
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        return [(await stores.events.append(event())).cursor for _ in range(count)]
