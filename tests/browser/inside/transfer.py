"""Whole stores moved into IndexedDB and out of it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import MobStoreError, MobStores, open_stores, verify
from mobstore.maintenance.transfer import copy, export_stores, import_stores
from mobstore.meerkat import export_meerkat, import_meerkat
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


async def directory() -> list[Any]:
    """Export two mobs to a directory, import it into IndexedDB, and a second time.

    Returns:
        The names of the files, the offset of each, the cursors with their mobs, the error of the
        second import, and whether the store is sound.
    """
    name, folder = f"directory-{uuid4()}", Path(f"/tmp/{uuid4()}")  # noqa: S108 - in memory
    async with open_stores("memory:") as start:
        for mob in ("b", "a", "b"):
            await start.events.append(samples.event(mob))
        await start.runs.create_run(samples.make_run(1, mob="b", schema_version=4))
        await export_meerkat(start, folder, by_mob=True)
    text = ""
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await stores.events.append(samples.event("old"))
        report = await import_meerkat(folder, stores, into=True)
        try:
            await import_meerkat(folder, stores, into=True)
        except MobStoreError as error:
            text = str(error)
        events = [[event.cursor, event.mob_id] for event in await stores.events.replay_all()]
        sound = not (await verify(stores)).problems
    await delete_database(name)
    names = [Path(file.path).name for file in report.files]
    return [names, [file.offset for file in report.files], events, text, sound]
