"""The contract kit on IndexedDB."""

from __future__ import annotations

from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import IndexedDbMobStores, MobStores
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


async def run(case_id: str) -> tuple[str, str]:
    """Run a case; return its status and the reason."""
    outcome = await run_case(all_cases()[case_id], IndexedDbSubject)
    return outcome.status, outcome.trace or outcome.message
