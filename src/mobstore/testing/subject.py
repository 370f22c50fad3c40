"""The subject that an engine's author supplies to test a store, and the clock of its stores."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, final, get_args

from mobstore.engines.memory import MemoryEngine
from mobstore.model.timestamp import Timestamp
from mobstore.stores.mob_stores import MobStores
from mobstore.stores.sqlite import SqliteMobStores
from mobstore.testing.samples import timestamp

Capability: TypeAlias = Literal["durable", "shared"]
"""An optional capability. "durable": the data survive closing and reopening. "shared": what one
handle writes can be read through another that is open at the same time."""

CAPABILITIES: frozenset[Capability] = frozenset(get_args(Capability))


class FakeClock:
    """A clock that stops until a case sets it, with nanoseconds."""

    def __init__(self) -> None:
        self.now: Timestamp = timestamp(0)

    def __call__(self) -> Timestamp:
        """Return the time."""
        return self.now


class Subject(ABC):
    """A store under test, with data of its own: every case gets a new subject.

    Derive from this class: declare `capabilities`, write `connect`, and `remove` if data stay
    behind. A declared capability that the store lacks makes cases fail.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self) -> None:
        self.clock: FakeClock = FakeClock()
        self._open: list[MobStores] = []

    @abstractmethod
    async def connect(self) -> MobStores:
        """Open this subject's data, which are empty at first; `self.clock` is the store's clock.

        It is called again after closing for "durable" subjects. For "shared" subjects it is also
        called while earlier stores are open, and opens the same data.
        """

    async def remove(self) -> None:
        """Remove the data, after all stores are closed."""
        return

    @final
    async def open(self) -> MobStores:
        """Open the stores. Cases call this once."""
        stores = await self.connect()
        self._open.append(stores)
        return stores

    @final
    async def reopen(self) -> MobStores:
        """Close all stores and open the same data again."""
        self._require("durable")
        await self._close_all()
        return await self.open()

    @final
    async def open_second(self) -> MobStores:
        """Open the same data again, while the first stores are open."""
        self._require("shared")
        return await self.open()

    @final
    async def close(self) -> None:
        """Close all stores and remove the data. The runner of a case calls this."""
        try:
            await self._close_all()
        finally:
            await self.remove()

    async def _close_all(self) -> None:
        while self._open:
            await self._open.pop().close()

    def _require(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            raise ValueError(f"the case uses a capability that it does not declare: {capability}")


class MemorySubject(Subject):
    """A subject whose engine keeps rows in memory."""

    async def connect(self) -> MobStores:
        """Return new stores."""
        return MobStores(MemoryEngine(), clock=self.clock)


class SqliteSubject(Subject):
    """A subject whose engine keeps rows in a SQLite file in a temporary directory."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(("durable", "shared"))

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="mobstore-check-")

    async def connect(self) -> MobStores:
        """Open the file."""
        path = Path(self._directory.name) / "mobs.db"
        return await SqliteMobStores.open(path, clock=self.clock)

    async def remove(self) -> None:
        """Remove the directory."""
        self._directory.cleanup()
