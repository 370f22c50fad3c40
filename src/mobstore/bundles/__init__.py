"""Four stores on one engine, and how to open them: a module for each kind of store.

base.py       what they share: `MobStores`, and what is about to be opened
opening.py    `open_stores`, by URL
memory.py, sqlite.py, indexeddb.py   the reference's names
"""

from mobstore.bundles.base import MobStores, Opening, Stores
from mobstore.bundles.indexeddb import (
    IndexedDbMobEventStore,
    IndexedDbMobRunStore,
    IndexedDbMobSpecStore,
    IndexedDbMobStores,
    IndexedDbRealmProfileStore,
)
from mobstore.bundles.memory import (
    InMemoryMobEventStore,
    InMemoryMobRunStore,
    InMemoryMobSpecStore,
    InMemoryRealmProfileStore,
)
from mobstore.bundles.opening import open_stores
from mobstore.bundles.sqlite import SqliteMobStores, SqliteRealmProfileStore

__all__ = [
    "InMemoryMobEventStore",
    "InMemoryMobRunStore",
    "InMemoryMobSpecStore",
    "InMemoryRealmProfileStore",
    "IndexedDbMobEventStore",
    "IndexedDbMobRunStore",
    "IndexedDbMobSpecStore",
    "IndexedDbMobStores",
    "IndexedDbRealmProfileStore",
    "MobStores",
    "Opening",
    "SqliteMobStores",
    "SqliteRealmProfileStore",
    "Stores",
    "open_stores",
]
