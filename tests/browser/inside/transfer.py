"""Whole stores moved into IndexedDB and out of it."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import MobStoreError, MobStores, open_stores
from mobstore.maintenance.transfer import copy, export_stores, import_stores
from mobstore.testing import samples
from support import golden


async def exported(stores: MobStores) -> bytes:
    """Return the store's exported file."""
    file = BytesIO()
    await export_stores(stores, file)
    return file.getvalue()


async def moves(calls: list[dict[str, Any]]) -> list[bool]:
    """Copy the outcome of these calls from memory to IndexedDB, back, and into another database.

    Returns:
        Whether the exported files are equal, after each copy.
    """
    name = f"moved-{uuid4()}"
    async with open_stores("memory:") as start, open_stores("memory:") as end:
        for call in calls:
            await golden.replay(start, call)
        file = await exported(start)
        async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
            await import_stores(BytesIO(file), stores)
            there = await exported(stores)
            await copy(stores, end)
        async with open_stores(f"indexeddb:{name}-copied", durability="normal") as stores:
            await copy(end, stores)
            back = await exported(stores)
    for database in (name, f"{name}-copied"):
        await delete_database(database)
    return [there == file, back == file]


async def damaged_import() -> list[Any]:
    """Import a file with a damaged last table; return the error, and the events left."""
    name = f"damaged_import-{uuid4()}"
    async with open_stores("memory:") as start:
        await start.events.append_batch([samples.event()] * 2000)
        await start.realm_profiles.create("p", samples.profile())
        file = await exported(start)
    damaged = bytearray(file)
    damaged[file.index(b"realm_profiles.jsonl") + 60] ^= 4
    text = ""
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        try:
            await import_stores(BytesIO(bytes(damaged)), stores)
        except MobStoreError as error:
            text = str(error)
        left = len(await stores.events.replay_all())
        await import_stores(BytesIO(file), stores)
        whole = await exported(stores) == file
    await delete_database(name)
    return [text, left, whole]
