"""Times that the engine answers while another transaction holds the lock."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import Any

from browser.inside.indexeddb import delete_database, settled
from browser.inside.javascript import ffi, js
from mobstore import Timestamp, open_stores
from mobstore.scripts.tables import IDENTITY, META, MetaRow
from mobstore.scripts.transaction import Commit, Get, Now, Put, Read, Script
from mobstore.testing.scripts import write_script

_HELD = 0.3  # seconds


async def behind_a_writer() -> list[list[str]]:
    """Ask for the time in several ways; return when the lock was free, and the answer."""
    name = "clock"
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        engine = stores.engine
        again = Put(META, (MetaRow(IDENTITY, str(await stores.identity())),))
        identity = Get(META, (IDENTITY,))
        results: list[list[str]] = []
        asked: list[tuple[tuple[Read, ...], ...]] = [
            ((Now(),),),
            ((), (Now(),)),
            ((Now(), identity),),
            ((identity, Now()),),
        ]
        for rounds in asked:
            for blind in (False, True):
                released = await _hold(name)
                calls: list[Any] = [engine.write(write_script(again))] if blind else []
                *_, answer = await asyncio.gather(*calls, engine.write(partial(_ask, rounds)))
                results.append([await released, answer])
    await delete_database(name)
    return results


def _ask(rounds: tuple[tuple[Read, ...], ...]) -> Script[str]:
    time = ""
    for reads in rounds:
        answers = yield reads
        for read, answer in zip(reads, answers, strict=True):
            time = answer if type(read) is Now else time
    return Commit(time)


async def _hold(name: str) -> asyncio.Task[str]:
    """Hold the lock of a database for a while; return a task for the time before it is free."""
    held = asyncio.Event()
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    database = await settled(js.indexedDB.open(name))
    store = database.transaction("meta", "readwrite").objectStore("meta")
    until = monotonic() + _HELD

    def again(_: object) -> None:
        held.set()
        if monotonic() < until:
            store.get("").onsuccess = handler
        else:
            ended.set_result(Timestamp.now().sortable)

    async def released() -> str:
        try:
            return await ended
        finally:
            handler.destroy()
            database.close()

    handler = ffi.create_proxy(again)
    store.get("").onsuccess = handler
    await held.wait()
    return asyncio.create_task(released())
