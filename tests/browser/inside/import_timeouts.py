"""Imports that are cancelled by a timeout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import MobStores, open_stores
from mobstore.maintenance.transfer import export_stores, import_stores
from mobstore.meerkat import export_meerkat, import_meerkat
from mobstore.testing import samples

_EVENTS = 3000
_PARTS = 7


async def _source(stores: MobStores) -> None:
    await stores.events.append_batch([samples.event()] * _EVENTS)
    for n in range(5):
        await stores.runs.create_run(samples.make_run(n))
    await stores.realm_profiles.create("p", samples.profile())


async def cancelled_imports(kind: str) -> list[int]:
    """Import a file under increasing timeouts; return the number of events after each."""
    async with open_stores("memory:") as source:
        await _source(source)
        if kind == "meerkat":
            path = Path(f"/tmp/{uuid4()}.db")  # noqa: S108 - Pyodide's files are its own
            await export_meerkat(source, path)
            bring = _of_meerkat(path)
        else:
            file = BytesIO()
            await export_stores(source, file)
            bring = _of_mobstore(file.getvalue())
    names = [f"cancelled-import-{uuid4()}" for _ in range(_PARTS)]
    left: list[int] = []
    started = time.monotonic()
    await _try(names[0], bring, 60)
    whole = time.monotonic() - started
    for number, name in enumerate(names[1:], 1):
        left.append(await _try(name, bring, whole * number / _PARTS))
    return left


def _of_meerkat(path: Path) -> Callable[[MobStores], Awaitable[object]]:
    return lambda stores: import_meerkat(path, stores)


def _of_mobstore(file: bytes) -> Callable[[MobStores], Awaitable[object]]:
    return lambda stores: import_stores(BytesIO(file), stores)


async def _try(name: str, bring: Callable[[MobStores], Awaitable[object]], seconds: float) -> int:
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        try:
            async with asyncio.timeout(seconds):
                await bring(stores)
        except TimeoutError:
            pass
        overview = await stores.overview()
        left = (overview.events, overview.runs, overview.realm_profiles, overview.next_cursor)
        assert left in {(0, 0, 0, 1), (_EVENTS, 5, 1, _EVENTS + 1)}, f"half of it: {left}"
        added = await stores.events.append(samples.event())
        assert added.cursor == left[3], f"a cursor twice: {added.cursor}"
        log = await stores.events.replay_all()
        assert [one.cursor for one in log] == list(range(1, left[3] + 1))
    await delete_database(name)
    return left[0]
