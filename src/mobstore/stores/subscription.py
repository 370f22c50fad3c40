"""Following a store: read, wait for a commit, read on.

Whoever follows holds its place and nothing else; a commit only says "look again". So nothing is
missed when several commits come at once, and nothing piles up for those who are slow.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from mobstore.codec.events import UnreadableEvent
from mobstore.errors import NotFoundError, SerializationError, UsageError
from mobstore.model.event import MobEvent
from mobstore.model.run import RunHeader, is_terminal
from mobstore.operations.events import EventFilter, follow
from mobstore.operations.run_reading import get_run_header
from mobstore.scripts.tables import EVENTS, RUNS
from mobstore.scripts.transaction import Engine, Scan

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_PAGE = 256

OnUnreadable: TypeAlias = Callable[[int, SerializationError], None]
"""Is told the cursor of an event that cannot be read and is left out, and why.

A plain function, not an async one. Where it raises, the caller gets its error, and whoever asks
again has the event told again."""


class Subscription(AsyncIterator[T]):
    """What `subscribe` and `watch` give: the next one whenever there is one.

    It holds its place and nothing else. A task that is cancelled while it waits, as by
    `asyncio.wait_for(anext(subscription), 5)`, may ask again: nothing was missed. So may one that
    got an error; what is still wrong raises again.

    Use it in `async for`, or ask with `anext`. Leave it by `aclose`, best by `async with`; one
    that nobody holds any more closes itself.
    """

    def __init__(self, engine: Engine, to: Scan[Any]) -> None:
        self._engine, self._to = engine, to
        self._bell: _CommitSignal | None = None
        self._asked = self._over = False
        self._has_all = False  # of what was committed before the bell rang

    async def __anext__(self) -> T:
        """Wait for the next one.

        Raises:
            StopAsyncIteration: there will be none; or the subscription was closed, also while
                this task waited.
            UsageError: another task waits already; or this is another event loop than that in
                which it was first asked; or the store is closed.
            ReadFailedError: the store's medium failed, or is gone.

        Contract: events.subscribe.cancelled-step, events.subscribe.one-task,
        events.subscribe.leaving.
        """
        if self._over:
            raise StopAsyncIteration
        if self._asked:
            raise UsageError("another task waits for this subscription; give each its own")
        bell = self._listening()
        self._asked = True
        try:
            while (found := self._next()) is None:
                if self._has_all:
                    await bell.rung.wait()
                # Whoever is cancelled from here on reads again.
                self._has_all = False
                bell.rung.clear()
                if not self._over:
                    self._has_all = await self._look()
                if self._over:
                    raise StopAsyncIteration("the subscription was closed, or the run removed")
        finally:
            self._asked = False
        return found

    async def aclose(self) -> None:
        """Leave the store alone from now on; closing twice is fine.

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
        if self._bell is not None:
            self._bell.let_go()

    @abstractmethod
    def _next(self) -> T | None:
        """What was found and not given yet; None if there is nothing left."""

    @abstractmethod
    async def _look(self) -> bool:
        """Look for more; gives whether all of it was found. Changes nothing if it raises."""

    def _end(self) -> None:
        self._over = True
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.end()
            bell.ring()  # whoever waits

    def _listening(self) -> _CommitSignal:
        import asyncio  # whoever follows has loaded it; an import of the package need not

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise UsageError("nobody can wait for commits where no event loop runs") from error
        if self._bell is None:
            self._bell = _CommitSignal(self._engine, self._to, loop)
        elif self._bell.loop is not loop:
            raise UsageError("the subscription is of another event loop; make one in this loop")
        return self._bell


class EventSubscription(Subscription[MobEvent]):
    """The events after a cursor, without end."""

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
                    # Whoever asks again reads again: it may be mended.
                    self._has_all = False
                    self._ready.clear()
                    raise found.error
                self._on_unreadable(*found)  # what raises is told again
            self._ready.popleft()
            self._after = found.cursor
            if not isinstance(found, UnreadableEvent):
                return found
        return None

    async def _look(self) -> bool:
        found = await self._engine.read(partial(follow, self._after, _PAGE, self._of))
        self._ready.extend(found)
        return len(found) < _PAGE


class RunSubscription(Subscription[RunHeader]):
    """The head of a run whenever its status has changed, until it has ended."""

    def __init__(self, engine: Engine, run_id: str) -> None:
        super().__init__(engine, Scan(RUNS, (run_id,)))
        self._run_id = run_id
        self._given: RunHeader | None = None
        self._ready: RunHeader | None = None

    def _next(self) -> RunHeader | None:
        found, self._ready = self._ready, None
        if found is not None:
            self._given = found
            if is_terminal(found.status):
                self._end()
        return found

    async def _look(self) -> bool:
        found = await self._engine.read(lambda: get_run_header(self._run_id))
        if found is None:
            if self._given is None:
                raise NotFoundError(f"run not found: {self._run_id}")
            self._end()
        elif self._given is None or found.status != self._given.status:
            self._ready = found
        return True


class _CommitSignal:
    """Rings after commits, whichever thread they happen on, in one event loop.

    Attributes:
        loop: that loop.
        rung: set when it has rung.
    """

    def __init__(self, engine: Engine, to: Scan[Any], loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.loop, self.rung = loop, asyncio.Event()
        self._thread = threading.get_ident()
        self._stop: Callable[[], None] | None = None
        self._stop = engine.listen(self.ring, to)

    def ring(self) -> None:
        """Wake whoever waits; where the loop is closed nobody does, and this was the last time."""
        try:
            if threading.get_ident() == self._thread and not self.loop.is_closed():
                self.rung.set()
            else:
                self.loop.call_soon_threadsafe(self.rung.set)
        except RuntimeError:
            self.end()

    def end(self) -> None:
        """Ring no more; calling it twice is fine."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def let_go(self) -> None:
        """End when the loop gets round to it.

        What nobody holds is collected at any moment, even while a lock is held that ending needs.
        """
        with suppress(RuntimeError):  # the loop is closed: it ends when it rings
            self.loop.call_soon_threadsafe(self.end)
