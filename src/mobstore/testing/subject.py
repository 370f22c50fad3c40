"""What an engine's author supplies to have a store tested, and the clock that it must use."""

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
"""What not every store can do: "durable" data survive closing and opening again; handles are
"shared" when what one wrote can be read through another that was open before."""

CAPABILITIES: frozenset[Capability] = frozenset(get_args(Capability))


class FakeClock:
    """A clock that stands until a case sets it; it can be read to the nanosecond."""

    def __init__(self) -> None:
        self.now: Timestamp = timestamp(0)

    def __call__(self) -> Timestamp:
        """Tell the time."""
        return self.now


class Subject(ABC):
    """A store under test, with data of its own: every case gets a new subject.

    Derive from this: declare `capabilities`, write `connect`, and `remove` if data stay behind.
    What is declared but cannot be done makes cases fail.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self) -> None:
        self.clock: FakeClock = FakeClock()
        self._open: list[MobStores] = []

    @abstractmethod
    async def connect(self) -> MobStores:
        """Open this subject's data, which are empty at first; `self.clock` gives the store's times.

        It is called again, after closing, for "durable" subjects, and for "shared" ones also while
        the stores it gave before are open: then it opens the same data.
        """

    async def remove(self) -> None:
        """Remove the data; all stores are closed."""
        return

    @final
    async def open(self) -> MobStores:
        """Open the stores; for the cases, once each."""
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
        """Open the same data once more, beside what is open."""
        self._require("shared")
        return await self.open()

    @final
    async def close(self) -> None:
        """Close all stores and remove the data; who runs a case calls it."""
        try:
            await self._close_all()
        finally:
            await self.remove()

    async def _close_all(self) -> None:
        while self._open:
            await self._open.pop().close()

    def _require(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            raise ValueError(f"the case uses, but does not say that it needs: {capability}")


class MemorySubject(Subject):
    """The engine that keeps rows in memory."""

    async def connect(self) -> MobStores:
        """Give new stores."""
        return MobStores(MemoryEngine(), clock=self.clock)


class SqliteSubject(Subject):
    """The engine that keeps rows in a SQLite file, here in a temporary directory."""

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
