"""Objects of the engine that outlive its stores, and objects that it keeps meanwhile."""

from __future__ import annotations

import asyncio
import gc
from time import monotonic
from uuid import uuid4

from browser.inside import handles
from browser.inside.indexeddb import delete_database, hold, release
from engines.support import RUN, every_call, rich_run
from mobstore import MobEvent, MobStores, open_stores
from mobstore.scripts.tables import EventRow
from mobstore.testing.samples import event

_PACKAGE = "mobstore.engines.indexeddb"
_MODULES = {
    f"{_PACKAGE}.{name}"
    for name in ("cache", "call", "channel", "database", "engine", "reads", "rows", "transactions")
}


async def _use(stores: MobStores) -> None:
    await stores.runs.create_run(rich_run(RUN))
    for call in every_call(stores):
        await call.make()
    tasks = [asyncio.create_task(stores.events.append(event())) for _ in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(3):
        stores.engine.listen(lambda: None)
    stores.engine.listen(lambda: None)()


async def left_behind() -> list[str]:
    """Use stores in every way and close them; return the names of the engine's live objects."""
    name = f"life-{uuid4()}"
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await _use(stores)
    assert await handles.open_(f"not-{name}", create=False)
    await hold(f"foreign-{name}", 1, "things")
    assert await handles.open_(f"foreign-{name}")
    release(f"foreign-{name}")
    # Delete a database while it is open.
    assert not await handles.open_(name)
    handles.held(name).engine.listen(lambda: None)
    await delete_database(name)
    assert await handles.write(name)
    await handles.close(name)
    await delete_database(f"foreign-{name}")
    del stores
    gc.collect()
    return sorted(
        type(one).__qualname__ for one in gc.get_objects() if type(one).__module__ in _MODULES
    )


async def kept() -> list[int]:
    """Return how many events and rows an idle engine keeps after writing and reading many."""
    name, many, left = f"kept-{uuid4()}", 300, [1]
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await stores.events.append_batch([event()] * many)
        read = await asyncio.gather(*(stores.events.poll() for _ in range(3)))
        assert list(map(len, read)) == [many] * 3
        del read
        deadline = monotonic() + 10  # a transaction ends some time after it has been read
        while any(left) and monotonic() < deadline:
            await asyncio.sleep(0.01)
            gc.collect()
            left = [
                sum(type(one) is kind for one in gc.get_objects()) for kind in (MobEvent, EventRow)
            ]
    await delete_database(name)
    return left
