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
    """The four stores in one IndexedDB database, opened by `open`."""

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
        upgrades or deletes the database, this one closes it; the errors of later calls say what
        to do.

        Args:
            name: name of the database.
            create: create the database if it is missing.
            read_only: open the database as it is, without creating or upgrading it; every call
                that may write raises UsageError.
            durability: "full": a write that returned survives a power failure (IndexedDB's
                "strict"). "normal": it survives a crash of the browser ("relaxed").
            timeout: seconds to wait for other tabs that upgrade or delete the database; at least 1
                is used, because the browser itself takes some time.
            clock: returns the store's time; for tests.

        Raises:
            ReadFailedError: the database cannot be opened, is not a mobstore database, or has a
                newer format; it was not changed. Or the browser does not let the page store data.
            WriteFailedError: the browser has no space for it.
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
    """One store of a database, on its own connection."""

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
        """Open a database of the page's origin, or create it; see `IndexedDbMobStores.open`."""

        async def start() -> Self:
            check_clock(clock)
            engine = await indexeddb_engine(
                name, durability, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock)

        return Opening(start)


class IndexedDbMobEventStore(_OneStore, MobEventStore):
    """The event log of an IndexedDB database, opened alone by `open`."""


class IndexedDbMobRunStore(_OneStore, MobRunStore):
    """The run store of an IndexedDB database, opened alone by `open`."""


class IndexedDbMobSpecStore(_OneStore, MobSpecStore):
    """The spec store of an IndexedDB database, opened alone by `open`."""


class IndexedDbRealmProfileStore(_OneStore, RealmProfileStore):
    """The realm profiles of an IndexedDB database, opened alone by `open`."""


async def indexeddb_engine(
    name: str, durability: Durability, timeout: float, *, create: bool, read_only: bool
) -> Engine:
    """Open a database's engine; see `IndexedDbMobStores.open` for arguments and errors."""
    # Imported here: it is used only in a browser.
    from mobstore.engines.indexeddb import IndexedDbEngine

    check_options(durability, timeout, create=create, read_only=read_only)
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError("indexeddb: needs a name, such as indexeddb:mobs")
    engine = await IndexedDbEngine.open(
        name, durability=durability, timeout=timeout, create=create, read_only=read_only
    )
    return ReadOnlyEngine(engine) if read_only else engine
