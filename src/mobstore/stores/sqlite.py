"""Stores in a SQLite file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Self

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Durability, Engine
from mobstore.stores.base import Clock, check_clock
from mobstore.stores.mob_stores import Closable, MobStores, Opening, check_options
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.urls import parse_path


class SqliteMobStores(MobStores):
    """The four stores in one SQLite file; call `open` to create them."""

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open or create a SQLite file; await the result, or use it in `async with`.

        Args:
            path: the file; its directory must exist. It is not a URL, and `~` is not expanded.
            create: whether to create the file if it is missing.
            read_only: whether only to read, without a lock that writers wait for; also while
                another process writes, and on a read-only medium. No file is created or upgraded,
                and every call that may write raises UsageError.
            durability: "full": a write that returned survives a power failure. "normal": it
                survives the death of the process; a power failure may undo the last ones.
            timeout: seconds to wait for other processes that hold the file's lock.
            clock: returns the store's times; for tests.

        Raises:
            ReadFailedError: the file cannot be opened, is not a mobstore file, or has a newer
                format; it was not changed.
            WriteFailedError: the file cannot be written, or stays locked.
            UsageError: an argument is wrong, or the file was open when this process was forked.
        """

        async def start() -> Self:
            check_clock(clock)
            engine = await sqlite_engine(
                path, durability, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock=clock)

        return Opening(start)


class SqliteRealmProfileStore(RealmProfileStore, Closable):
    """The realm profiles of a SQLite file; call `open` to create the store."""

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open or create a SQLite file; see `SqliteMobStores.open`."""

        async def start() -> Self:
            check_clock(clock)
            engine = await sqlite_engine(
                path, durability, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock)

        return Opening(start)


async def sqlite_engine(
    path: str | PathLike[str],
    durability: Durability,
    timeout: float,
    *,
    create: bool,
    read_only: bool,
) -> Engine:
    """Open the engine of a SQLite file; see `SqliteMobStores.open`."""
    # Imported here, so that stores in memory do not load the driver.
    from mobstore.engines.sqlite import SqliteEngine

    check_options(durability, timeout, create=create, read_only=read_only)
    engine = await SqliteEngine.open(
        Path(parse_path(path)),
        durability=durability,
        timeout=timeout,
        create=create,
        read_only=read_only,
    )
    return ReadOnlyEngine(engine) if read_only else engine
