"""Tasks cancelled at random times while the browser works for them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import MobStores, open_stores
from mobstore.testing.samples import event

_BATCH = 3
_TASKS = 8
_MOST_ROUNDS = 500


async def run() -> None:
    """Cancel tasks until several were cancelled in time, and several too late."""
    name, chance = f"cancelled-{uuid4()}", random.Random(1)
    written: Counter[bool] = Counter()
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        for number in range(_MOST_ROUNDS):
            written += await _round(stores, f"{number}", chance)
            if min(written[False], written[True]) >= 5:
                break
        cursors = [one.cursor for one in await stores.events.replay_all()]
    await delete_database(name)
    assert cursors == list(range(1, len(cursors) + 1)), "cursors have gaps"
    assert written[False] >= 5, "no task was cancelled in time"
    assert written[True] >= 5, "no task was cancelled too late"


async def _round(stores: MobStores, tag: str, chance: random.Random) -> Counter[bool]:
    """Append batches in several tasks and cancel some; count which of those were written."""
    started = time.monotonic()
    before = await stores.events.append(event("first"))
    took = time.monotonic() - started
    mobs = [f"{tag}-{n}" for n in range(_TASKS)]
    tasks = {
        mob: asyncio.create_task(stores.events.append_batch([event(mob)] * _BATCH)) for mob in mobs
    }
    await asyncio.sleep(chance.uniform(0, 2 * took))
    cancelled = {mob for mob in mobs if chance.random() < 0.5 and tasks[mob].cancel()}
    results = await asyncio.gather(*tasks.values(), return_exceptions=True)
    await stores.events.append(event("last"))  # earlier batches are in the log by now
    log = Counter(str(one.mob_id) for one in await stores.events.poll(before.cursor, 1000))
    written: Counter[bool] = Counter()
    for mob, result in zip(mobs, results, strict=True):
        if mob in cancelled:
            assert isinstance(result, asyncio.CancelledError), repr(result)
            assert log[mob] in {0, _BATCH}, f"half of a batch: {log[mob]}"
            written[log[mob] > 0] += 1
        else:
            assert not isinstance(result, BaseException), repr(result)
            assert log[mob] == _BATCH, f"acknowledged, but {log[mob]} in the log"
    return written
