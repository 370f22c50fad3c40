"""The engine: one queue of transactions for reading, one for writing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from mobstore.engines.indexeddb.call import Call
from mobstore.engines.indexeddb.channel import Channel
from mobstore.engines.indexeddb.database import Connection
from mobstore.engines.indexeddb.javascript import browser
from mobstore.engines.indexeddb.transactions import Queue
from mobstore.errors import ClosedError
from mobstore.scripts.transaction import (
    Durability,
    Engine,
    LoadingScript,
    Scan,
    Script,
    require_outside_atomic,
)

T = TypeVar("T")


class IndexedDbEngine(Engine):
    """An engine on one IndexedDB database, which other tabs may use at the same time."""

    def __init__(self, connection: Connection, channel: Channel, name: str) -> None:
        self._connection, self._channel, self._name = connection, channel, name
        connection.lost = channel.wake
        self._reads = Queue(connection, "readonly")
        self._writes = Queue(connection, "readwrite", channel.notify)
        self._closed = False

    def __repr__(self) -> str:
        return f"IndexedDbEngine({self._name!r})"

    @classmethod
    async def open(
        cls,
        name: str,
        *,
        durability: Durability,
        timeout: float,
        create: bool,
        read_only: bool = False,
    ) -> IndexedDbEngine:
        """Open a database of this page's origin.

        Args:
            name: the database.
            durability: "full": a write that returned survives a power failure (IndexedDB's
                strict). "normal": it survives the death of the browser (relaxed).
            timeout: seconds to wait for other tabs that upgrade or delete it; at least 1 is used.
            create: create the database if it is missing.
            read_only: open the database as it is, without creating or upgrading it.

        Raises:
            ReadFailedError: the database cannot be opened, is not a mobstore database, or has a
                newer format.
            WriteFailedError: the browser has no space for it.
            UsageError: this Python does not run in a browser.
        """
        found = browser()
        connection = await Connection.open(
            found,
            name,
            durability=durability,
            create=create,
            timeout=timeout,
            read_only=read_only,
        )
        return cls(connection, Channel(found, name), name)

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await self._run(self._reads, Call(make))

    async def write(self, make: Callable[[], Script[T]]) -> T:
        return await self._run(self._writes, Call(make))

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        return await self._run(self._writes, Call(make, loading=True))

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        self._check()
        return self._channel.listen(wake, to)

    def use_clock(self, now: Callable[[], str]) -> None:
        self._connection.now = now

    async def compact(self) -> None:
        self._check()  # the browser reclaims space by itself

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(self._reads.close(), self._writes.close())
        self._channel.close()
        self._connection.close()
        self._connection.lost = None

    def _check(self) -> None:
        require_outside_atomic()
        if self._closed:
            raise ClosedError("the store is closed; open it again to use it")

    def _run(self, queue: Queue, call: Call[T]) -> Call[T]:
        self._check()
        queue.add(call)
        return call
