"""The event log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

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
    async def poll(self, after_cursor: int, limit: int) -> list[MobEvent]:
        """The events with a cursor greater than `after_cursor`, ascending, at most `limit`.

        Args:
            after_cursor: 0 to 2**63 - 1; 0 for the beginning.
            limit: 0 to 2**63 - 1; 0 gives an empty list.

        Raises:
            InternalError: an argument is out of range.

        Contract: events.poll.order, events.poll.bounds, events.poll.range.
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
