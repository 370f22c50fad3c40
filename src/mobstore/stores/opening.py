"""`open_stores`, which opens stores by URL."""

from __future__ import annotations

import sys
from os import PathLike

from mobstore.engines.memory import MemoryEngine
from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import UsageError
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Durability, Engine
from mobstore.stores.base import Clock, check_clock
from mobstore.stores.indexeddb import indexeddb_engine
from mobstore.stores.mob_stores import MobStores, Opening, check_options
from mobstore.stores.postgres import postgres_engine
from mobstore.stores.sqlite import sqlite_engine
from mobstore.stores.urls import parse_url


def open_stores(
    url: str | PathLike[str],
    *,
    create: bool = True,
    read_only: bool = False,
    durability: Durability = "full",
    timeout: float = 5.0,
    clock: Clock = Timestamp.now,
) -> Opening[MobStores]:
    """Open stores by URL; await the result, or use it in `async with`.

    Args:
        url: `memory:` for stores in this process, which end with it; `sqlite:PATH` for a file;
            `postgresql://USER@HOST/DBNAME?schema=NAME` for a schema of a PostgreSQL database;
            `indexeddb:NAME` for a database of the page's origin, in a browser. A path is relative
            to the working directory unless it begins with a slash. No character of a path or name
            is escaped or expanded. A text that looks like another kind of URL or path is rejected,
            and the error names the URL to write instead; prefix such a name with `./`. A path
            object, such as a `pathlib.Path`, is a SQLite file. For PostgreSQL see
            `PostgresMobStores.open`.
        create: see `SqliteMobStores.open`; a store in memory is always new.
        read_only: whether only to read: nothing is created or upgraded, and every call that may
            write raises UsageError. See `SqliteMobStores.open`.
        durability: see the `open` of `SqliteMobStores`, `PostgresMobStores` and
            `IndexedDbMobStores`; memory has none.
        timeout: see the same methods; memory never waits.
        clock: returns the store's times, as Timestamps or timezone-aware datetimes; for tests.

    Raises:
        UsageError: an argument is wrong, or the URL's engine does not work on this platform.
        ReadFailedError: the store cannot be opened.
        WriteFailedError: the store cannot be written.
    """

    async def engine() -> Engine:
        place = parse_url(url)
        if place.engine == "memory":
            check_options(durability, timeout, create=create, read_only=read_only)
            return ReadOnlyEngine(MemoryEngine()) if read_only else MemoryEngine()
        if place.engine == "indexeddb":
            return await indexeddb_engine(
                place.name, durability, timeout, create=create, read_only=read_only
            )
        if place.engine == "postgres":
            return await postgres_engine(
                place, durability, None, timeout, create=create, read_only=read_only
            )
        if sys.platform == "emscripten":
            raise UsageError("SQLite files do not persist in a browser; use indexeddb:NAME")
        return await sqlite_engine(
            place.name, durability, timeout, create=create, read_only=read_only
        )

    async def start() -> MobStores:
        check_clock(clock)
        return MobStores(await engine(), clock=clock)

    return Opening(start)
