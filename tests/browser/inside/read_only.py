"""Databases that are only read."""

from __future__ import annotations

from typing import Any

from browser.inside.handles import described
from mobstore import MobStoreError, MobStores
from mobstore.engines.indexeddb import IndexedDbEngine


async def cursors(name: str) -> list[int] | dict[str, Any]:
    """The cursors of all events of a database, or why it cannot be opened to be read."""
    try:
        engine = await IndexedDbEngine.open(
            name, durability="normal", timeout=5, create=True, read_only=True
        )
    except MobStoreError as error:
        return described(error)
    async with MobStores(engine) as stores:
        return [one.cursor for one in await stores.events.replay_all()]
