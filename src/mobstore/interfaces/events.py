"""The event log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from uuid import UUID

from mobstore.model.event import MobEvent, NewMobEvent
from mobstore.model.timestamp import Timestamp


class MobEventStore(ABC):
    """The log of what happened to mobs, in one sequence of cursors.

    The first event has cursor 1; each further one gets the next number. Cursors are never used
    again, not even after `clear` or `prune`. Times need not grow with the cursors.
    """

    @abstractmethod
    async def append(self, event: NewMobEvent) -> MobEvent:
        """Add an event; without a time of its own it gets the store's.

        Returns:
            The event as stored.

        Raises:
            InternalError: the cursors are used up (2**63 - 2 is the last).

        Contract: events.append.assigns-cursors, events.append.keeps-time, events.append.store-time.
        """

    @abstractmethod
    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        """Add events with consecutive cursors, all or none.

        Returns:
            The events as stored, in the order given; an empty list for an empty sequence.

        Raises:
            InternalError: the cursors are used up.

        Contract: events.batch.consecutive, events.batch.all-or-none, events.batch.empty.
        """

    @abstractmethod
    async def poll(
        self,
        after_cursor: int,
        limit: int,
        *,
        mob_id: str | None = None,
        run_id: UUID | str | None = None,
    ) -> list[MobEvent]:
        """The events with a cursor greater than `after_cursor`, ascending, at most `limit`.

        Args:
            after_cursor: 0 to 2**63 - 1; 0 for the beginning.
            limit: 0 to 2**63 - 1; 0 gives an empty list.
            mob_id: only events of this mob, found by an index.
            run_id: only events that name this run, found by an index.

        Raises:
            InternalError: a number is out of range, or both a mob and a run are given.

        Contract: events.poll.order, events.poll.bounds, events.poll.range, events.poll.subject.
        """

    @abstractmethod
    def subscribe(
        self, after_cursor: int = 0, *, mob_id: str | None = None, run_id: UUID | str | None = None
    ) -> AsyncGenerator[MobEvent]:
        """The events after a cursor, and then those that are committed, without end.

        In the order of their cursors, none twice, and none missed unless it was removed before
        its turn: by whomever it was appended, this or another task, process or tab that uses the
        same store. A slow consumer takes its time: at most 256 events are held for it.

        Use it in `async for`; to leave it before the end, close it, best by
        `async with contextlib.aclosing(...)`.

        Args:
            after_cursor: 0 to 2**63 - 1; `latest_cursor()` for what is still to come.
            mob_id: only events of this mob.
            run_id: only events that name this run.

        Raises:
            InternalError: an argument is wrong, as for `poll`; or the store was closed while
                somebody waited for the next event.

        Contract: events.subscribe.catches-up, events.subscribe.follows, events.subscribe.subject,
        events.subscribe.closed.
        """

    @abstractmethod
    async def latest_cursor(self) -> int:
        """The cursor that was given last, 0 if none ever was; its event may be removed by now.

        Contract: events.latest-cursor.
        """

    @abstractmethod
    async def replay_all(self) -> list[MobEvent]:
        """All events, ascending by cursor.

        Contract: events.replay.all.
        """

    @abstractmethod
    async def clear(self) -> None:
        """Remove all events; runs, specs and profiles stay, and cursors go on where they were.

        Contract: events.clear.keeps-cursors.
        """

    @abstractmethod
    async def prune(self, older_than: Timestamp | datetime) -> int:
        """Remove the events whose time is before `older_than` (not those at it).

        Returns:
            How many were removed.

        Raises:
            SerializationError: a datetime without a time zone.

        Contract: events.prune.strict, events.prune.keeps-cursors.
        """
