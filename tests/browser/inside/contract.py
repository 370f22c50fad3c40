"""The contract kit on IndexedDB."""

from __future__ import annotations

from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import IndexedDbMobStores, MobStores
from mobstore.testing import Capability, Subject, all_cases, run_case


class IndexedDbSubject(Subject):
    """The engine that keeps rows in IndexedDB, here in a database of its own."""

    capabilities = frozenset[Capability](("durable", "shared"))

    def __init__(self) -> None:
        super().__init__()
        self._name = f"contract-{uuid4()}"

    async def connect(self) -> MobStores:
        """Open the database."""
        # What survives a power failure is not the question here, and asking it takes its time.
        return await IndexedDbMobStores.open(self._name, durability="normal", clock=self.clock)

    async def remove(self) -> None:
        """Delete the database."""
        await delete_database(self._name)


async def run(case_id: str) -> tuple[str, str]:
    """Run a case; its status, and why."""
    outcome = await run_case(all_cases()[case_id], IndexedDbSubject)
    return outcome.status, outcome.trace or outcome.message
