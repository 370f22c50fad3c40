"""Corrupt rows: values that mobstore did not write."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from browser.inside import handles
from browser.inside.indexeddb import delete_database, settled
from browser.inside.javascript import js
from mobstore import open_stores
from mobstore.testing.samples import make_run, state


async def beside_sound_ones(number: int) -> list[dict[str, Any] | None]:
    """Corrupt one run's state, then change it and others at once; return all errors."""
    name = f"damaged-{uuid4()}"
    runs = [make_run(n) for n in range(number)]
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        for run in runs:
            await stores.runs.create_run(run)
        await _damage(name, str(runs[0].run_id))
        errors = await asyncio.gather(
            *(
                handles.error_of(
                    stores.runs.cas_flow_state(run.run_id, expected=run.flow_state, next=state(1))
                )
                for run in runs
            )
        )
    await delete_database(name)
    return list(errors)


async def _damage(name: str, run_id: str) -> None:
    database = await settled(js.indexedDB.open(name))
    states = database.transaction("run_states", "readwrite").objectStore("run_states")
    await settled(states.put(js.JSON.parse('{"other": 1}'), run_id))
    database.close()


async def remove_created_at(name: str, run_id: str) -> None:
    """Remove a field that every run has from one."""
    database = await settled(js.indexedDB.open(name))
    run = await settled(database.transaction("runs").objectStore("runs").get(run_id))
    del run.created_at
    runs = database.transaction("runs", "readwrite").objectStore("runs")
    await settled(runs.put(run, run_id))
    database.close()
