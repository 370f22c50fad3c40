"""Single stores in memory, under the reference's names; each has its own data."""

from __future__ import annotations

from mobstore.engines.memory import MemoryEngine
from mobstore.model.timestamp import Timestamp
from mobstore.stores.base import Clock
from mobstore.stores.events import MobEventStore
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.runs import MobRunStore
from mobstore.stores.specs import MobSpecStore


class InMemoryMobEventStore(MobEventStore):
    """An event log in memory, with its own data."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryMobRunStore(MobRunStore):
    """A run store in memory, with its own data."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryMobSpecStore(MobSpecStore):
    """A spec store in memory, with its own data."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryRealmProfileStore(RealmProfileStore):
    """A realm profile store in memory, with its own data."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)
