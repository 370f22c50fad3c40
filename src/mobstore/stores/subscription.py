"""Subscriptions: read, wait for a commit, read again.

A subscription keeps only its position, and a commit only signals "read again". So no event is
missed when several commits coincide, and nothing accumulates for a slow consumer.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from mobstore.codec.events import UnreadableEvent
from mobstore.errors import NotFoundError, SerializationError, UsageError
from mobstore.model.event import MobEvent
from mobstore.model.run import RunHeader, is_terminal
from mobstore.operations.event_queries import EventFilter
from mobstore.operations.events import follow
from mobstore.operations.run_reading import get_run_header
from mobstore.scripts.tables import EVENTS, RUNS
from mobstore.scripts.transaction import Engine, Scan
from mobstore.stores.base import NotPicklable

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_PAGE = 256
_LEAST_SECONDS = 0.005  # to wait

OnUnreadable: TypeAlias = Callable[[int, SerializationError], None]
"""Called with the cursor of a skipped unreadable event, and its error.

It must be a plain function, not an async one. Its error is raised to the caller; the next step
calls it with the same event again."""


class Subscription(NotPicklable, AsyncIterator[T]):
    """An iterator over changes, from `subscribe` or `watch`.

    It keeps only its position. A task that was cancelled while it waited, as by
    `asyncio.wait_for(anext(subscription), 5)`, can continue without missing anything. So can one
    that got an error; a persistent error is raised again.

    Use it in `async for` or with `anext`. Close it with `aclose`, best by `async with`. An
    unreferenced subscription closes itself.
    """

    def __init__(self, engine: Engine, to: Scan[Any]) -> None:
        self._engine, self._to = engine, to
        self._signal: CommitSignal | None = None
        self._asked = self._over = False
        self._has_all = False  # up to the last signal
        self._patience: float | None = None  # seconds to wait for a signal; None: without end

    async def __anext__(self) -> T:
        """Wait for the next item.

        Raises:
            StopAsyncIteration: there are no more items; or the subscription was closed, also while
                this task waited.
            UsageError: another task waits already, or the first step ran in another event loop.
            ClosedError: the store is closed.
            ReadFailedError: the store's medium failed, or is gone.

        Contract: events.subscribe.cancelled-step, events.subscribe.one-task,
        events.subscribe.leaving.
        """
        if self._over:
            raise StopAsyncIteration
        if self._asked:
            raise UsageError("another task waits for this subscription; make one for each task")
        signal = self._listen()
        self._asked = True
        try:
            while (found := self._next()) is None:
                if self._has_all:
                    await signal.wait(self._patience)
                # A task cancelled after this point reads again.
                self._has_all = False
                signal.clear()
                if not self._over:
                    self._has_all = await self._read()
                if self._over:
                    raise StopAsyncIteration("the subscription was closed, or the run removed")
        finally:
            self._asked = False
        return found

    async def aclose(self) -> None:
        """End the subscription; may be called twice.

        Contract: events.subscribe.leaving.
        """
        self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._signal is not None:
            self._signal.close_later()

    @abstractmethod
    def _next(self) -> T | None:
        """Return the next item read, or None if there is none."""

    @abstractmethod
    async def _read(self) -> bool:
        """Read more; return whether all was read. Change nothing if it raises."""

    def _end(self) -> None:
        self._over = True
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.close()
            signal.notify()  # a waiting task

    def _listen(self) -> CommitSignal:
        import asyncio  # already loaded by async callers; importing the package does not need it

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise UsageError("a subscription needs a running event loop") from error
        if self._signal is None:
            self._signal = CommitSignal(self._engine, self._to, loop)
        elif self._signal.loop is not loop:
            raise UsageError("the subscription belongs to another event loop; make one in this")
        return self._signal


class EventSubscription(Subscription[MobEvent]):
    """A subscription to events after a cursor, without end."""

    def __init__(
        self,
        engine: Engine,
        after: int,
        of: EventFilter | None,
        on_unreadable: OnUnreadable | None,
    ) -> None:
        super().__init__(engine, Scan(EVENTS) if of is None else Scan(of.by, (of.id,)))
        self._after, self._of, self._on_unreadable = after, of, on_unreadable
        self._ready: deque[MobEvent | UnreadableEvent] = deque()

    def _next(self) -> MobEvent | None:
        while self._ready:
            found = self._ready[0]
            if isinstance(found, UnreadableEvent):
                if self._on_unreadable is None:
                    # The next step reads again: the event may be repaired.
                    self._has_all = False
                    self._ready.clear()
                    raise found.error
                self._on_unreadable(*found)  # called again if it raises
            self._ready.popleft()
            self._after = found.cursor
            if not isinstance(found, UnreadableEvent):
                return found
        return None

    async def _read(self) -> bool:
        found = await self._engine.read(partial(follow, self._after, _PAGE, self._of))
        self._ready.extend(found)
        return len(found) < _PAGE


class RunSubscription(Subscription[RunHeader]):
    """A subscription to the header of a run, at each change of its status until it ends."""

    def __init__(self, engine: Engine, run_id: str) -> None:
        super().__init__(engine, Scan(RUNS, (run_id,)))
        self._run_id = run_id
        self._last: RunHeader | None = None
        self._ready: RunHeader | None = None

    def _next(self) -> RunHeader | None:
        found, self._ready = self._ready, None
        if found is not None:
            self._last = found
            if is_terminal(found.status):
                self._end()
        return found

    async def _read(self) -> bool:
        found = await self._engine.read(lambda: get_run_header(self._run_id))
        if found is None:
            if self._last is None:
                raise NotFoundError(f"run not found: {self._run_id}")
            self._end()
        elif self._last is None or found.status != self._last.status:
            self._ready = found
        return True


class CommitSignal:
    """A listener that signals commits of any thread in one event loop.

    Attributes:
        loop: the event loop.
    """

    def __init__(self, engine: Engine, to: Scan[Any], loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.loop: asyncio.AbstractEventLoop = loop
        self._committed = asyncio.Event()
        self._thread = threading.get_ident()
        self._engine = engine
        self._stops: dict[str, Callable[[], None]] = {}  # "": of the first scan; others by name
        self._stops[""] = engine.listen(self.notify, to)

    def hear(self, scans: Mapping[str, Scan[Any]]) -> bool:
        """Signal commits that concern these further scans, and no others from before.

        Args:
            scans: the scans by name; one name always has the same scan.

        Returns:
            Whether any is new, so that earlier reads may have missed a commit.
        """
        for name in self._stops.keys() - scans.keys() - {""}:
            self._stops.pop(name)()
        new = scans.keys() - self._stops.keys()
        for name in new:
            self._stops[name] = self._engine.listen(self.notify, scans[name])
        return bool(new)

    async def wait(self, seconds: float | None) -> bool:
        """Wait until a commit, or for a number of seconds; return whether there was a commit.

        It stays signalled until `clear`.
        """
        import asyncio

        if seconds is not None:
            # Pyodide's loop raises ValueError if a timer is due by the time that it is set, and
            # Firefox moves its clock in steps of a millisecond.
            seconds = max(seconds, _LEAST_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._committed.wait()
        return self._committed.is_set()

    def clear(self) -> None:
        """Forget the commits so far."""
        self._committed.clear()

    def notify(self) -> None:
        """Wake the waiting task; end the listener if the loop is closed."""
        try:
            if threading.get_ident() == self._thread and not self.loop.is_closed():
                self._committed.set()
            else:
                self.loop.call_soon_threadsafe(self._committed.set)
        except RuntimeError:
            self.close()

    def close(self) -> None:
        """End the listener; may be called twice."""
        while self._stops:
            self._stops.popitem()[1]()

    def close_later(self) -> None:
        """End the listener in the event loop.

        A finalizer may run at any time, even while a lock that `close` needs is held.
        """
        with suppress(RuntimeError):  # the loop is closed: `notify` will end the listener
            self.loop.call_soon_threadsafe(self.close)
