"""Following the event log as a named consumer, batch by batch.

The position is in the store, and in no other place: each step begins at the stored one. So a step
that was cancelled, a batch that was not done and a commit with an unknown outcome need no care, and
what a loop buffers is bounded by one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from mobstore.codec.arguments import describe
from mobstore.codec.events import UnreadableEvent
from mobstore.errors import UsageError
from mobstore.model.event import MobEvent
from mobstore.operations import consumers
from mobstore.operations.consumers import ConsumerPage
from mobstore.operations.events import latest_cursor
from mobstore.scripts.tables import EVENTS
from mobstore.scripts.transaction import Engine, Scan
from mobstore.stores.base import EngineStore, NotPicklable, engine_of
from mobstore.stores.subscription import OnUnreadable, Subscription

if TYPE_CHECKING:
    from mobstore.stores.mob_stores import Stores

_LONGEST_LINGER = 3600  # seconds


class EventBatch(NotPicklable):
    """Consecutive events for a consumer, from `MobEventStore.follow`.

    Attributes:
        name: the name of the consumer.
        events: the events, one or more, in the order of their cursors.
        after: the position before: the batch begins with the first event after this cursor.
        cursor: the position after.
        removed: how many events in between were removed, as by `prune` or `clear`, before this
            consumer was done with them.
    """

    def __init__(
        self,
        engine: Engine,
        unsettled: set[str],
        name: str,
        *,
        events: tuple[MobEvent, ...],
        after: int,
        cursor: int,
        removed: int,
    ) -> None:
        self._engine, self._unsettled, self._is_done = engine, unsettled, False
        self.name: str = name
        self.events: tuple[MobEvent, ...] = events
        self.after: int = after
        self.cursor: int = cursor
        self.removed: int = removed

    def __repr__(self) -> str:
        return f"<EventBatch of {self.name!r}: {self.after} to {self.cursor}>"

    async def done(self, at: Stores | None = None) -> None:
        """Store the position after this batch, so that its events do not come again.

        A second call does nothing.

        Args:
            at: the stores passed to an atomic call's function, which then stores the position in
                its commit; call it once in the function, and not again after it. None: in a commit
                of its own.

        Raises:
            ConsumerMovedError: the stored position is not `after`: another loop with this name was
                faster. Nothing was written; the next step continues from the stored position.
            UsageError: the store is read-only; `at` is something else, or belongs to another
                store; or it is missing within an atomic call.
            WriteFailedError: the medium failed.

        Contract: events.follow.done, events.follow.exactly-once, events.follow.moved.
        """
        move = partial(consumers.move_consumer, self.name, self.after, self.cursor)
        if at is not None:
            engine = engine_of(_events_of(at))
            if getattr(at, "_of", None) is not self._engine:
                raise UsageError(
                    "at belongs to another store; call `atomic` of the one that `follow` reads"
                )
            self._unsettled.add(self.name)  # until the next step; its end cannot be seen here
            await engine.write(move)
        elif not self._is_done:
            self._unsettled.add(self.name)
            await self._engine.write(move)
            self._unsettled.discard(self.name)
            self._is_done = True


class EventFollowing(Subscription[EventBatch]):
    """An iterator over the batches of a consumer, without end."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        *,
        most: int,
        linger: float,
        start: int,
        on_unreadable: OnUnreadable | None,
    ) -> None:
        super().__init__(engine, Scan(EVENTS))
        self._name, self._most, self._linger, self._start = name, most, linger, start
        self._on_unreadable = on_unreadable
        self._unsettled = set[str]()  # the name, if a commit of its position may be under way
        self._due: float | None = None  # when the lingering ends, by the monotonic clock
        self._ready: EventBatch | None = None
        self._skipped: Sequence[UnreadableEvent] = ()

    def _next(self) -> EventBatch | None:
        found, self._ready = self._ready, None
        if found is not None and self._on_unreadable is not None:
            for skipped in self._skipped:
                self._on_unreadable(*skipped)
        return found

    async def _read(self) -> bool:
        found = await self._page()
        if self._linger and 0 < len(found.page.events) < self._most:
            await self._gather(found.after)
            found = await self._page()
        self._due = None
        if not found.page.events:
            return True
        self._ready, self._skipped = self._batch(found), found.page.unreadable
        return False  # if it is not done, the next step returns its events again

    def _batch(self, found: ConsumerPage) -> EventBatch:
        after, (events, unreadable, _) = found
        cursor = max(one[-1].cursor for one in (events, unreadable) if one)
        removed = cursor - after - len(events) - len(unreadable)  # cursors have no other gaps
        return EventBatch(
            self._engine,
            self._unsettled,
            self._name,
            events=tuple(events),
            after=after,
            cursor=cursor,
            removed=removed,
        )

    async def _page(self) -> ConsumerPage:
        """Return the events after the stored position; store the first one if there is none."""
        read = partial(
            consumers.next_page,
            self._name,
            self._most,
            skip_unreadable=self._on_unreadable is not None,
        )
        if self._unsettled:  # a task that was cancelled may have left a commit behind
            await self._engine.settle()
            self._unsettled.clear()
        while (found := await self._engine.read_parts(read)) is None:
            await self._engine.write(partial(consumers.add_consumer, self._name, self._start))
        return found

    async def _gather(self, after: int) -> None:
        """Wait until the lingering ends, or until enough events were appended for a batch."""
        signal = self._signal
        if signal is None:  # closed meanwhile
            return
        if self._due is None:  # otherwise a cancelled step began to linger
            self._due = monotonic() + self._linger
        while not self._over and (left := self._due - monotonic()) > 0:
            if await signal.wait(left):
                signal.clear()
                if await self._engine.read(latest_cursor) - after >= self._most:
                    return


def _events_of(at: object) -> EngineStore:
    events: object = getattr(at, "events", None)
    if not isinstance(events, EngineStore):
        raise UsageError(
            f"at must be the stores passed to an atomic call's function, not {describe(at)}"
        )
    return events


def check_linger(linger: float) -> float:
    """Check a number of seconds to linger.

    Raises:
        UsageError: it is not a number, or not within 0 to an hour.
    """
    if type(linger) not in {int, float} or not 0 <= linger <= _LONGEST_LINGER:
        raise UsageError(
            f"linger must be seconds, 0 to {_LONGEST_LINGER:,}, not {describe(linger)}"
        )
    return linger
