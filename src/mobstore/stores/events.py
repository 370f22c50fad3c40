"""The event log on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mobstore.codec.arguments import callback, number, text, to_timestamp
from mobstore.codec.events import encode_events, stored_events
from mobstore.codec.runs import run_key
from mobstore.errors import UsageError
from mobstore.model.event import MobEvent, NewMobEvent
from mobstore.model.json import I64_MAX
from mobstore.model.record import Record
from mobstore.model.timestamp import Timestamp
from mobstore.operations import events as event_log
from mobstore.operations.events import EventFilter
from mobstore.scripts.tables import EVENTS_BY_MOB, EVENTS_BY_RUN
from mobstore.stores.base import EngineStore
from mobstore.stores.subscription import EventSubscription, OnUnreadable, Subscription


class MobEventStore(EngineStore):
    """The log of what happened to mobs, in one sequence of cursors.

    The first event has cursor 1; each further one gets the next number. Cursors are never used
    again, not even after `clear` or `prune`. Times need not grow with the cursors.
    """

    async def append(self, event: NewMobEvent) -> MobEvent:
        """Add an event; without a time of its own it gets the store's.

        Returns:
            The event as stored.

        Raises:
            InternalError: the cursors are used up (2**63 - 2 is the last).
            WriteFailedError: the counter of cursors is behind the log, as a partial restore leaves
                it; nothing was overwritten. `verify` mends it.

        Contract: events.append.assigns-cursors, events.append.keeps-time, events.append.store-time,
        events.counter-behind.
        """
        (stored,) = await self.append_batch((event,))
        return stored

    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        """Add events with consecutive cursors, all or none.

        Returns:
            The events as stored, in the order given; an empty list for an empty sequence.

        Raises:
            InternalError: the cursors are used up.
            WriteFailedError: as for `append`.

        Contract: events.batch.consecutive, events.batch.all-or-none, events.batch.empty,
        events.counter-behind.
        """
        if Record in type(events).__mro__:  # it can be iterated, by its fields
            raise UsageError("events must be a sequence of NewMobEvent; one alone goes to `append`")
        try:
            batch = tuple(events)
        except TypeError as error:
            raise UsageError("events must be a sequence of NewMobEvent") from error
        encoded = encode_events(batch, self._now)
        first = await self._engine.write(lambda: event_log.append_batch(encoded.rows))
        return stored_events(first, encoded)

    async def poll(
        self,
        after_cursor: int = 0,
        limit: int = 1000,
        *,
        mob_id: str | None = None,
        run_id: UUID | str | None = None,
        reject_stale: bool = False,
        on_unreadable: OnUnreadable | None = None,
    ) -> list[MobEvent]:
        """The events with a cursor greater than `after_cursor`, ascending, at most `limit`.

        There are fewer only at the end of the log, or before an event that cannot be read: that
        one is told by the next call, which begins with it.

        Args:
            after_cursor: 0 to 2**63 - 1; 0 for the beginning.
            limit: 0 to 2**63 - 1; 0 gives an empty list.
            mob_id: only events of this mob, found by an index.
            run_id: only events that name this run, found by an index.
            reject_stale: whether to refuse a cursor past the latest one. The reference does not:
                after such a cursor there is nothing.
            on_unreadable: goes on past events that cannot be read, and is told of each, in their
                order, before this returns.

        Raises:
            UsageError: a number is out of range, or both a mob and a run are given.
            StaleCursorError: `after_cursor` is past the latest one, and `reject_stale` is set.
            SerializationError: the next event cannot be read; its cursor is named.

        Contract: events.poll.order, events.poll.bounds, events.poll.range, events.poll.subject,
        events.poll.defaults, events.poll.stale, events.poll.unreadable.
        """
        number(after_cursor, "cursor value")
        if type(limit) is int and limit > I64_MAX:
            raise UsageError("limit exceeds i64::MAX")  # the reference's text shows no number
        number(limit, "limit")
        callback(on_unreadable, "on_unreadable")
        of = _event_filter(mob_id, run_id)
        found = await self._engine.read(
            lambda: event_log.poll(
                after_cursor,
                limit,
                of,
                reject_stale=reject_stale,
                skip_unreadable=on_unreadable is not None,
            )
        )
        if on_unreadable is not None:
            for cursor, error in found.unreadable:
                on_unreadable(cursor, error)
        return found.events

    def subscribe(
        self,
        after_cursor: int = 0,
        *,
        mob_id: str | None = None,
        run_id: UUID | str | None = None,
        on_unreadable: OnUnreadable | None = None,
    ) -> Subscription[MobEvent]:
        """The events after a cursor, and then those that are committed, without end.

        In the order of their cursors, none twice, and none missed unless it was removed before
        its turn: by whomever it was appended, this or another task, process or tab that uses the
        same store. A slow consumer takes its time: at most 256 events are held for it.

        What `async for` and `anext` raise, it can be asked again after: see `Subscription`.

        Args:
            after_cursor: 0 to 2**63 - 1; `latest_cursor()` for what is still to come.
            mob_id: only events of this mob.
            run_id: only events that name this run.
            on_unreadable: goes on past events that cannot be read, and is told of each when its
                turn comes.

        Raises:
            UsageError: an argument is wrong, as for `poll`; or the store is closed, also while
                somebody waits for the next event.
            StaleCursorError: the cursor is past the latest one, at first or since the log has
                shrunk beneath it.
            SerializationError: the next event cannot be read; its cursor is named, and those
                before it were given.
            ReadFailedError: the store's medium failed, or is gone, also while somebody waits.

        Contract: events.subscribe.catches-up, events.subscribe.follows, events.subscribe.subject,
        events.subscribe.closed, events.subscribe.stale, events.subscribe.unreadable,
        events.subscribe.others.
        """
        after = number(after_cursor, "cursor value")
        callback(on_unreadable, "on_unreadable")
        return EventSubscription(self._engine, after, _event_filter(mob_id, run_id), on_unreadable)

    async def latest_cursor(self) -> int:
        """The cursor that was given last, 0 if none ever was; its event may be removed by now.

        Contract: events.latest-cursor.
        """
        return await self._engine.read(event_log.latest_cursor)

    async def replay_all(self) -> list[MobEvent]:
        """All events, ascending by cursor.

        Raises:
            SerializationError: one cannot be read; its cursor is named. `poll` gives the others.

        Contract: events.replay.all, events.poll.unreadable.
        """
        return await self._engine.read(event_log.replay_all)

    async def clear(self) -> None:
        """Remove all events; runs, specs and profiles stay, and cursors go on where they were.

        Contract: events.clear.keeps-cursors.
        """
        await self._engine.write(event_log.clear)

    async def prune(self, older_than: Timestamp | datetime) -> int:
        """Remove the events whose time is before `older_than` (not those at it).

        Returns:
            How many were removed.

        Raises:
            SerializationError: a datetime without a time zone.

        Contract: events.prune.strict, events.prune.keeps-cursors.
        """
        moment = to_timestamp(older_than, "older_than").sortable
        return await self._engine.write(lambda: event_log.prune(moment))


def _event_filter(mob_id: str | None, run_id: UUID | str | None) -> EventFilter | None:
    if mob_id is not None and run_id is not None:
        raise UsageError("a run is of one mob; give mob_id or run_id, not both")
    if mob_id is not None:
        return EventFilter(EVENTS_BY_MOB, text(mob_id, "mob_id"))
    return None if run_id is None else EventFilter(EVENTS_BY_RUN, run_key(run_id))
