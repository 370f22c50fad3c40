"""The contract kit on IndexedDB."""

from __future__ import annotations

from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import (
    IndexedDbMobEventStore,
    IndexedDbMobRunStore,
    IndexedDbMobSpecStore,
    IndexedDbMobStores,
    IndexedDbRealmProfileStore,
    MobStores,
)
from mobstore.testing import Capability, Subject, all_cases, run_case


class IndexedDbSubject(Subject):
    """The IndexedDB engine, on its own database."""

    capabilities = frozenset[Capability](("durable", "shared"))

    def __init__(self) -> None:
        super().__init__()
        self._name = f"contract-{uuid4()}"

    async def connect(self) -> MobStores:
        """Open the database."""
        # These cases do not test power failures, and "full" is slower.
        return await IndexedDbMobStores.open(self._name, durability="normal", clock=self.clock)

    async def remove(self) -> None:
        """Delete the database."""
        await delete_database(self._name)


class SingleStores(MobStores):
    """The four stores of a database, each opened alone."""

    async def open_each(self, name: str) -> None:
        """Replace the stores by stores with connections of their own."""
        clock = self._clock
        self.events = events = await IndexedDbMobEventStore.open(name, clock=clock)
        self.runs = runs = await IndexedDbMobRunStore.open(name, clock=clock)
        self.specs = specs = await IndexedDbMobSpecStore.open(name, clock=clock)
        profiles = await IndexedDbRealmProfileStore.open(name, clock=clock)
        self.realm_profiles = profiles
        self._singles = (events, runs, specs, profiles)

    async def close(self) -> None:
        """Close each of them."""
        for store in self._singles:
            await store.close()
        await super().close()


class SingleSubject(IndexedDbSubject):
    """The stores of a database, each opened alone."""

    async def connect(self) -> MobStores:
        """Open the database five times."""
        stores = SingleStores((await super().connect()).engine, clock=self.clock)
        await stores.open_each(self._name)
        return stores


async def run(case_id: str) -> tuple[str, str]:
    """Run a case; return its status and the reason."""
    outcome = await run_case(all_cases()[case_id], IndexedDbSubject)
    return outcome.status, outcome.trace or outcome.message


async def run_alone(case_id: str) -> tuple[str, str]:
    """Run a case with each store opened alone; return its status and the reason."""
    outcome = await run_case(all_cases()[case_id], SingleSubject)
    return outcome.status, outcome.trace or outcome.message
