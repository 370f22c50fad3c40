"""Random scripts on IndexedDB; the tests compare their outcomes with plain dicts."""

from __future__ import annotations

from browser.inside.indexeddb import delete_database
from browser.inside.races import wait_for_tabs
from differential.packing import pack, unpack
from differential.scenario import Scenario, rows_of
from mobstore import open_stores


async def run(name: str, seed: int, kind: str, number: int, tabs: int) -> str:
    """Run a scenario on a database and return its records, packed.

    Args:
        name: the database.
        seed: seed of the scripts.
        kind: the scenario's `Kind`, packed.
        number: number of this tab.
        tabs: number of tabs; none starts before all are ready.
    """
    scenario = Scenario(seed, unpack(kind), number)
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        async with open_stores(f"indexeddb:{name}-gate") as gate:
            await wait_for_tabs(gate, tabs)
        await scenario.run([stores.engine])
    return pack(scenario.records)


async def create(name: str) -> str:
    """Create a database and return all its rows, packed."""
    async with open_stores(f"indexeddb:{name}") as stores:
        return pack(await rows_of(stores.engine))


async def remove(name: str) -> str:
    """Delete a database and return all its rows, packed."""
    async with open_stores(f"indexeddb:{name}", create=False) as stores:
        found = pack(await rows_of(stores.engine))
    for each in (name, f"{name}-gate"):
        await delete_database(each)
    return found
