"""Random scripts on IndexedDB; what came of them is compared with plain dicts outside."""

from __future__ import annotations

from contextlib import AsyncExitStack

from browser.inside.indexeddb import delete_database
from differential.packing import pack, unpack
from differential.scenario import Scenario, final_of
from mobstore import open_stores


async def run(name: str, seed: int, kind: str, place: int) -> str:
    """Run a scenario on a database; its records, packed.

    Args:
        name: the database.
        seed: chooses the scripts.
        kind: what there is in the scenario, packed.
        place: this tab's number among those that do this.
    """
    scenario = Scenario(seed, unpack(kind), place)
    async with AsyncExitStack() as stack:
        url = f"indexeddb:{name}"
        stores = await stack.enter_async_context(open_stores(url, durability="normal"))
        await scenario.run([stores.engine])
    return pack(scenario.records)


async def final(name: str) -> str:
    """All that a database holds, packed; then it is deleted."""
    async with open_stores(f"indexeddb:{name}", create=False) as stores:
        found = await final_of(stores.engine)
    await delete_database(name)
    return pack(found)
