"""The PostgreSQL engine, and which event loop does what.

Each event loop that uses the store has a *lane*: a writer with one connection, readers with at most
four, and one connection that listens while there are subscribers. No thread is started. Tasks of
other event loops use their own lanes, so connections never change loops.
"""

from __future__ import annotations

import asyncio
import os
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, TypeVar, cast

from mobstore.engines.listeners import Listeners
from mobstore.engines.postgres.connections import Options, Server
from mobstore.engines.postgres.driver_errors import LostError, ServerError, translate
from mobstore.engines.postgres.jobs import Job
from mobstore.engines.postgres.news import Channel, News, notify
from mobstore.engines.postgres.opening import open_store
from mobstore.engines.postgres.readers import Readers
from mobstore.engines.postgres.wire import LONGEST, Statement
from mobstore.engines.postgres.writer import Writer
from mobstore.errors import ClosedError, UsageError, WriteFailedError
from mobstore.scripts.tables import TABLES
from mobstore.scripts.transaction import (
    Durability,
    Engine,
    Isolation,
    LoadingScript,
    Scan,
    Script,
    require_outside_atomic,
)

T = TypeVar("T")

_GRACE = 2.0  # seconds that reads have to end when the store is closed
_POLL = 0.01  # seconds between looks at another event loop that closes its connections


class _Lane:
    """The connections of one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: Server,
        channel: Channel,
        listeners: Listeners,
        writers: Callable[[], Sequence[str]],
        *,
        name: str | None,
    ) -> None:
        self.loop = loop
        self.writer = Writer(server, partial(notify, listeners), channel.announcement, name)
        self.readers = Readers(server)
        self.news = News(server, channel, listeners, writers)

    async def finish(self) -> None:
        """Finish writes, end reads, and close the connections."""
        try:
            await self.writer.finish()
            await self.readers.finish(_GRACE)
            await self.news.finish()
        finally:  # also if the event loop ends meanwhile
            self.abandon()

    async def finish_from_elsewhere(self) -> None:
        """Do the same from another event loop; this one may end meanwhile."""
        finishing = self.finish()
        try:
            ended = asyncio.run_coroutine_threadsafe(finishing, self.loop)
        except RuntimeError:  # it has ended
            ended = None
        while ended is not None and not ended.done() and self.loop.is_running():  # noqa: ASYNC110
            await asyncio.sleep(_POLL)
        if not self.loop.is_running():
            finishing.close()
            self.abandon()

    def abandon(self) -> None:
        """Close the connections of an event loop that runs no more."""
        self.writer.abandon()
        self.readers.abandon()
        self.news.abandon()


class PostgresEngine(Engine):
    """One schema of a PostgreSQL database, which other processes may use at the same time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._channel = Channel(server.options.schema)
        self._listeners = Listeners()
        self._pid = os.getpid()
        self._gate = Lock()  # guards what follows
        self._lanes: dict[asyncio.AbstractEventLoop, _Lane] = {}
        self._names: list[str] = []  # of writers whose event loops have ended
        self._closed = False
        self._writers = partial(_writers, self._lanes)
        self._finishing: asyncio.Future[None] | None = None
        self._abandoned = weakref.finalize(self, _abandon, self._pid, server.where, self._lanes)
        self._abandoned.atexit = False

    def __repr__(self) -> str:
        return f"PostgresEngine({self._server.where!r})"

    @classmethod
    async def open(
        cls,
        conninfo: str,
        schema: str,
        *,
        durability: Durability,
        isolation: Isolation | None = None,
        timeout: float,
        create: bool,
        read_only: bool = False,
    ) -> PostgresEngine:
        """Open or create a store.

        Args:
            conninfo: the connection, as libpq accepts it: a URL or keywords and values.
            schema: the name of the schema.
            durability: "full": a write that returned survives a crash of the server. "normal": it
                may undo the last ones.
            isolation: how transactions of several processes are kept apart in a new store; None:
                as in the store, "read committed" in a new one.
            timeout: seconds to wait for connections, for locks, and for the outcome of a commit
                whose connection was lost; at least 1 is used.
            create: whether to create the schema and its tables if they are missing.
            read_only: whether only to read; also on a standby. Scripts must not write.

        Raises:
            ReadFailedError: the server cannot be reached, is older than 14 or not UTF8; the schema
                is missing, holds other tables, or has a newer format; the server is a standby, and
                `read_only` is not set. Nothing was changed.
            WriteFailedError: the store cannot be created.
            UsageError: libpq cannot parse `conninfo`.
        """
        server = Server(
            Options(conninfo, schema, durability, isolation, timeout, create, read_only)
        )
        wire = await open_store(server)
        engine = cls(server)
        lane = engine._lane()
        lane.readers.adopt(wire)
        try:
            with suppress(LostError, ServerError):  # then more listeners are notified than need be
                await lane.news.ask(wire)  # what was committed before is no news
        except BaseException:  # cancelled: no caller could close it
            engine._abandoned.detach()
            lane.abandon()
            raise
        return engine

    async def read(self, make: Callable[[], Script[T]]) -> T:
        job = self._job(make)
        self._lane().readers.submit(job)
        return await job.future

    async def write(self, make: Callable[[], Script[T]]) -> T:
        job = self._job(make)
        self._lane().writer.submit(job)
        return await job.future

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        job = self._job(make, loading=True)
        self._lane().writer.submit(job)
        return await job.future

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        require_outside_atomic()
        lane = self._lane()
        end = self._listeners.add(wake, to)
        lane.news.start()
        return end

    def use_clock(self, now: Callable[[], str]) -> None:
        self._server.sql.clock = now

    async def compact(self) -> None:
        require_outside_atomic()
        self._lane()
        server = self._server
        try:
            wire = await server.connect(WriteFailedError)
            try:
                for table in TABLES:
                    vacuum = Statement(f"VACUUM {server.sql.table(table.name)}")
                    await wire.exchange([vacuum], server.silence, longest=LONGEST)
                    if wire.warnings:
                        raise WriteFailedError(
                            f"{server.where}: only the owner of table {table.name} can reclaim its"
                            " space; nothing was lost"
                        )
            finally:
                wire.close()
        except (LostError, ServerError) as error:
            raise translate(error, server.where, WriteFailedError) from error

    def details(self) -> Mapping[str, str]:
        facts = self._server.facts
        if facts is None:
            return {}
        version = f"{facts.version // 10000}.{facts.version % 10000}"
        return {
            "PostgreSQL": version + (", a standby" if facts.standby else ""),
            "connections": "through a pooler" if self._server.pooled else "direct",
        }

    async def close(self) -> None:
        if os.getpid() != self._pid:
            self._abandoned.detach()
            return  # the connections belong to the parent, and so may the gate
        with self._gate:
            closing, self._closed = not self._closed, True
        if closing:
            self._abandoned.detach()
            # A task of its own, so that all is closed even if this one is cancelled.
            self._finishing = asyncio.ensure_future(self._finish())
        finishing = self._finishing
        if finishing is not None and finishing.get_loop() is asyncio.get_running_loop():
            await asyncio.shield(finishing)

    async def _finish(self) -> None:
        here = asyncio.get_running_loop()
        for lane in list(self._lanes.values()):
            if lane.loop is here:
                await lane.finish()
            elif lane.loop.is_running():
                await lane.finish_from_elsewhere()
            else:
                lane.abandon()
        self._lanes.clear()
        notify(self._listeners)

    def _job(
        self, make: Callable[[], Script[T] | LoadingScript[T]], *, loading: bool = False
    ) -> Job[T]:
        require_outside_atomic()
        loop = asyncio.get_running_loop()
        return Job(make, cast("asyncio.Future[T]", loop.create_future()), loading=loading)

    def _lane(self) -> _Lane:
        """Return the lane of the running event loop.

        Raises:
            ClosedError: the store is closed.
            UsageError: this process was forked from the one that opened the store.
        """
        if os.getpid() != self._pid:
            raise UsageError(
                "the store was opened before this process was forked; close stores before forking,"
                " or start processes with spawn"
            )
        loop = asyncio.get_running_loop()
        with self._gate:
            if self._closed:
                raise ClosedError("the store is closed; open it again to use it")
            lane = self._lanes.get(loop)
            if lane is None:
                for ended in [one for one in self._lanes if one.is_closed()]:
                    left = self._lanes.pop(ended)
                    left.abandon()
                    self._names.append(left.writer.name)
                name = self._names.pop() if self._names else None
                lane = _Lane(
                    loop, self._server, self._channel, self._listeners, self._writers, name=name
                )
                self._lanes[loop] = lane
        return lane


def _writers(lanes: dict[asyncio.AbstractEventLoop, _Lane]) -> list[str]:
    """Return the names of the writers whose commits need no polling."""
    return [lane.writer.name for lane in list(lanes.values()) if not lane.writer.unsettled]


def _abandon(pid: int, where: str, lanes: dict[asyncio.AbstractEventLoop, _Lane]) -> None:
    if os.getpid() != pid:
        return  # after a fork, the connections belong to the parent
    for lane in lanes.values():
        lane.abandon()
    warnings.warn(f"the store on {where} was never closed", ResourceWarning, stacklevel=2)
