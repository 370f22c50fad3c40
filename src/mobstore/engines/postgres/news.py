"""News of commits by other processes, for the listeners of one event loop.

A process sends NOTIFY after each of its commits. A connection here listens. As a net, it
reads the table `writers` every second, which every commit changes. Where notifications do not
arrive, it reads the table every 20 ms: behind a pooler, and on a standby.

The connection is made when the first listener comes, and ends within a second after the last one
has left. If it is lost, all listeners are notified once there is a new one, because something may
have been missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from hashlib import blake2b
from uuid import uuid4

from mobstore.engines.listeners import Listeners
from mobstore.engines.postgres.connections import Server
from mobstore.engines.postgres.driver_errors import LostError, ServerError
from mobstore.engines.postgres.layout import WRITERS
from mobstore.engines.postgres.sql import quoted
from mobstore.engines.postgres.values import array, scalar
from mobstore.engines.postgres.wire import Statement, Wire
from mobstore.errors import MobStoreError, ReadFailedError
from mobstore.scripts.transaction import Write

_NET = 1.0  # seconds between two questions where notifications are heard
_POLL = 0.02  # where they are not
_PAUSE = 0.5  # seconds before another connection


class Channel:
    """The channel of a store, and the name under which this engine sends to it."""

    def __init__(self, schema: str) -> None:
        # Identifiers have 63 bytes at most; a schema's name alone may have as many.
        self.name: str = f"mobstore_{blake2b(schema.encode(), digest_size=16).hexdigest()}"
        self.listen: Statement = Statement(f"LISTEN {quoted(self.name)}")
        self.sender: bytes = uuid4().hex.encode()
        self.announcement: Statement = Statement(
            "SELECT pg_catalog.pg_notify($1::text, $2::text)",
            (scalar(self.name), scalar(self.sender.decode())),
        )


def notify(listeners: Listeners, writes: Sequence[Write] | None = None) -> None:
    """Notify the listeners that writes concern; all of them if the writes are not known.

    Whatever a listener raises is logged: it must end neither the writer nor the others.
    """
    try:
        listeners.notify(writes)
    except BaseException:
        import logging  # rarely needed

        logging.getLogger("mobstore").exception("a commit listener raised")


class News:
    """Notifies listeners of commits by others."""

    def __init__(
        self,
        server: Server,
        channel: Channel,
        listeners: Listeners,
        writers: Callable[[], Sequence[str]],
    ) -> None:
        """Start without a connection.

        Args:
            server: the server.
            channel: the channel.
            listeners: the listeners of the engine.
            writers: returns the names of writers whose commits are no news.
        """
        self._server, self._channel, self._listeners = server, channel, listeners
        self._writers = writers
        self._task: asyncio.Task[None] | None = None
        self._wire: Wire | None = None
        self._last: bytes | None = None  # the latest answer of `ask`; None: none yet

    def start(self) -> None:
        """Listen, if this does not happen already."""
        if self._task is None or self._task.done():
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._work(), context=Context())

    async def finish(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def abandon(self) -> None:
        """Close the connection at once."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def ask(self, wire: Wire) -> bool:
        """Return whether others have committed since the last question."""
        question = Statement(
            'SELECT concat_ws(\' \', count(*), sum("batch"), sum("epoch"), max("used"))'
            f' FROM {self._server.sql.table(WRITERS)} WHERE "writer" <> ALL ($1::text[])',
            (array(str, self._writers()),),
        )
        results = await wire.ask([question], self._server.silence)
        last, self._last = self._last, results[0].get_value(0, 0)
        return last != self._last

    async def _work(self) -> None:
        gone = False
        while self._listeners:
            try:
                self._wire = await self._server.connect(ReadFailedError)
                gone = False
                await self._follow(self._wire)
            except (LostError, ServerError):
                self._last = None  # something may have been missed
            except MobStoreError:  # the store is gone; listeners find out when they read
                if not gone:
                    notify(self._listeners)
                gone = True
            finally:
                self.abandon()
            if self._listeners:
                await asyncio.sleep(_PAUSE)

    async def _follow(self, wire: Wire) -> None:
        """Notify as long as the connection lives and there are listeners."""
        heard = await self._listen(wire)
        while self._listeners:
            if await self.ask(wire):
                notify(self._listeners)
            if heard:
                await wire.listen(self._heard, _NET)
            else:
                await asyncio.sleep(_POLL)

    async def _listen(self, wire: Wire) -> bool:
        """Listen to the channel; return whether its notifications arrive."""
        if wire.pooled:
            return False
        try:
            await wire.exchange([self._channel.listen], self._server.silence)
        except ServerError:  # a standby, or a server without notifications
            return False
        return True

    def _heard(self, sender: bytes) -> None:
        if sender != self._channel.sender:
            notify(self._listeners)
