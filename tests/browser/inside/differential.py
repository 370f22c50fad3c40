"""Random scripts on IndexedDB; what came of them is compared with plain dicts outside."""

from __future__ import annotations

from browser.inside.indexeddb import delete_database
from browser.inside.races import all_have_come
from differential.packing import pack, unpack
from differential.scenario import Scenario, rows_of
from mobstore import open_stores


async def run(name: str, seed: int, kind: str, place: int, tabs: int) -> str:
    """Run a scenario on a database; its records, packed.

    Args:
        name: the database.
        seed: chooses the scripts.
        kind: what there is in the scenario, packed.
        place: this tab's number among those that do this.
        tabs: how many do; none begins before all are there.
    """
    scenario = Scenario(seed, unpack(kind), place)
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        async with open_stores(f"indexeddb:{name}-gate") as gate:
            await all_have_come(gate, tabs)
        await scenario.run([stores.engine])
    return pack(scenario.records)


async def create(name: str) -> str:
    """Create a database; all its rows, packed."""
    async with open_stores(f"indexeddb:{name}") as stores:
        return pack(await rows_of(stores.engine))


async def remove(name: str) -> str:
    """Delete a database; all rows that it had, packed."""
    async with open_stores(f"indexeddb:{name}", create=False) as stores:
        found = pack(await rows_of(stores.engine))
    for each in (name, f"{name}-gate"):
        await delete_database(each)
    return found
