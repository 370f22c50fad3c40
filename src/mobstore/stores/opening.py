"""Opening stores by URL."""

from __future__ import annotations

import sys
from os import PathLike

from mobstore.engines.memory import MemoryEngine
from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import InternalError
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Durability, Engine
from mobstore.stores.base import Clock, check_clock
from mobstore.stores.indexeddb import indexeddb_engine
from mobstore.stores.mob_stores import MobStores, Opening, check_options
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
    """Open stores by URL; to be awaited, or used in `async with`.

    Args:
        url: `memory:` for stores that live in this process and end with it; `sqlite:PATH` for a
            file; `indexeddb:NAME` for a database of the page's origin, in a browser. A path is
            taken as it stands: relative to the working directory unless it begins with a slash;
            nothing in a path or name is escaped or expanded. What looks like another kind of URL
            or path is rejected with the URL to write instead; `./` in front means such a name. A
            path object, such as a `pathlib.Path`, is a SQLite file.
        create: see `SqliteMobStores.open`; a store in memory is always new.
        read_only: whether only to read: nothing is created or upgraded, and every call that may
            write raises InternalError. See `SqliteMobStores.open`.
        durability: see `SqliteMobStores.open` and `IndexedDbMobStores.open`; memory has none.
        timeout: see `SqliteMobStores.open` and `IndexedDbMobStores.open`; memory never waits.
        clock: gives the store's times, each a Timestamp or a datetime with a time zone; for tests.

    Raises:
        InternalError: no engine has this URL, or it does not work in this place.
        ReadFailedError: what the URL names cannot be opened.
        WriteFailedError: what the URL names cannot be written.
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
        if sys.platform == "emscripten":
            raise InternalError("a browser keeps no SQLite files; use indexeddb:NAME")
        return await sqlite_engine(
            place.name, durability, timeout, create=create, read_only=read_only
        )

    async def start() -> MobStores:
        check_clock(clock)
        return MobStores(await engine(), clock=clock)

    return Opening(start)
