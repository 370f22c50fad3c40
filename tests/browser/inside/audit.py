"""Corrupt rows in IndexedDB, found and repaired."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import mobstore
from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from mobstore.scripts.tables import COUNTERS, EVENTS, FRAMES, STEP_LEDGER, CounterRow, FrameRow
from mobstore.scripts.transaction import Delete, Put, Scan
from mobstore.testing import samples
from mobstore.testing.scripts import read_script, write_script


async def damaged() -> list[Any]:
    """Return the problems and differences before the damage, after it, and after the repair."""
    name = f"damaged-{uuid4()}"
    results: list[Any] = []
    async with (
        open_stores("memory:", clock=lambda: samples.timestamp(0)) as sound,
        open_stores(
            f"indexeddb:{name}", durability="normal", clock=lambda: samples.timestamp(0)
        ) as stores,
    ):

        async def add_results() -> None:
            found = await mobstore.verify(stores)
            results.append([(problem.table, list(problem.key)) for problem in found.problems])
            differing = mobstore.diff(sound, stores)
            results.append([(one.kind, one.key, list(one.fields)) async for one in differing])

        for each in (sound, stores):
            await each.events.append_batch([samples.event()] * 600)
            for n in (1, 2):
                await each.runs.create_run(samples.full_run(n))
        await add_results()
        (event,) = await stores.engine.read(read_script(Scan(EVENTS, (500,))))
        state = samples.state(0).to_json()
        damage = write_script(
            Put(EVENTS, (event._replace(type="mob_reset", kind=f" {event.kind}"),)),
            Put(COUNTERS, (CounterRow("next_cursor", 400),)),
            Put(FRAMES, (FrameRow(str(samples.run_id(3)), "lost", state),)),
            Delete(STEP_LEDGER, (str(samples.run_id(2)), 1)),
        )
        await stores.engine.write(damage)
        await add_results()
        results.append(len((await mobstore.verify(stores, repair=True)).left))
        await add_results()
    await delete_database(name)
    return results
