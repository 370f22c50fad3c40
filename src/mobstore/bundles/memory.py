"""The reference's names for stores in memory, each with data of its own."""

from __future__ import annotations

from mobstore.engines.memory import MemoryEngine
from mobstore.model.timestamp import Timestamp
from mobstore.stores import (
    Clock,
    EngineEventStore,
    EngineRealmProfileStore,
    EngineRunStore,
    EngineSpecStore,
)


class InMemoryMobEventStore(EngineEventStore):
    """An event log in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryMobRunStore(EngineRunStore):
    """A run store in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryMobSpecStore(EngineSpecStore):
    """A spec store in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryRealmProfileStore(EngineRealmProfileStore):
    """A realm profile store in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)
