"""Stores in the browser's IndexedDB."""

from __future__ import annotations

from typing import Self

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import UsageError
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Durability, Engine
from mobstore.stores.base import Clock, check_clock
from mobstore.stores.events import MobEventStore
from mobstore.stores.mob_stores import Closable, MobStores, Opening, check_options
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.runs import MobRunStore
from mobstore.stores.specs import MobSpecStore


class IndexedDbMobStores(MobStores):
    """The four stores in one IndexedDB database; `open` makes them."""

    @classmethod
    def open(
        cls,
        name: str,
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open a database of the page's origin, or create it; as `open_stores` does.

        All tabs and workers of the origin may have it open at the same time. When another one
        upgrades or deletes it, this one lets go of it: calls then say what to do.

        Args:
            name: the database's.
            create: whether to create the database if it is missing.
            read_only: whether only to read: nothing is created or upgraded, and every call that
                may write raises UsageError.
            durability: "full": a write that returned survives a power failure (IndexedDB's
                "strict"). "normal": it survives the death of the browser ("relaxed").
            timeout: seconds to wait for other tabs that upgrade or delete the database; less than
                1 counts as 1, since the browser itself takes some time.
            clock: gives the store's times; for tests.

        Raises:
            ReadFailedError: the database cannot be opened, is none of mobstore's, or is of a newer
                format; it was not changed. Or the browser lets the page keep nothing.
            WriteFailedError: the browser has no room for it.
            UsageError: this Python does not run in a browser, or an argument is wrong.
        """

        async def start() -> Self:
            check_clock(clock)
            engine = await indexeddb_engine(
                name, durability, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock=clock)

        return Opening(start)


class _OneStore(Closable):
    """One store of a database, on a connection of its own."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine)
        self._clock = clock

    @classmethod
    def open(
        cls,
        name: str,
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open a database of the page's origin, or create it; as `IndexedDbMobStores.open`."""

        async def start() -> Self:
            check_clock(clock)
            engine = await indexeddb_engine(
                name, durability, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock)

        return Opening(start)


class IndexedDbMobEventStore(_OneStore, MobEventStore):
    """The event log of an IndexedDB database alone; `open` makes it."""


class IndexedDbMobRunStore(_OneStore, MobRunStore):
    """The run store of an IndexedDB database alone; `open` makes it."""


class IndexedDbMobSpecStore(_OneStore, MobSpecStore):
    """The spec store of an IndexedDB database alone; `open` makes it."""


class IndexedDbRealmProfileStore(_OneStore, RealmProfileStore):
    """The realm profiles of an IndexedDB database alone; `open` makes it."""


async def indexeddb_engine(
    name: str, durability: Durability, timeout: float, *, create: bool, read_only: bool
) -> Engine:
    """A database's engine; arguments and errors as of `IndexedDbMobStores.open`."""
    # Imported here: outside of a browser nobody needs it.
    from mobstore.engines.indexeddb import IndexedDbEngine

    check_options(durability, timeout, create=create, read_only=read_only)
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError("indexeddb: needs a name, such as indexeddb:mobs")
    engine = await IndexedDbEngine.open(
        name, durability=durability, timeout=timeout, create=create, read_only=read_only
    )
    return ReadOnlyEngine(engine) if read_only else engine
