"""The event log on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mobstore.codec.arguments import callback, check_flags, number, text, to_timestamp
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
    """The log of events of all mobs, in one sequence of cursors.

    The first event has cursor 1; each further event gets the next number. Cursors are never reused,
    not even after `clear` or `prune`. Times need not grow with the cursors.
    """

    async def append(self, event: NewMobEvent) -> MobEvent:
        """Add an event; if it has no time, it gets the store's current time.

        Returns:
            The event as stored.

        Raises:
            InternalError: the cursors are used up (2**63 - 2 is the last).
            WriteFailedError: the counter of cursors is behind the log, as after a partial restore;
                nothing was overwritten. `verify` repairs it.

        Contract: events.append.assigns-cursors, events.append.keeps-time, events.append.store-time,
        events.counter-behind.
        """
        (stored,) = await self.append_batch((event,))
        return stored

    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        """Add events with consecutive cursors, all or none.

        Returns:
            The events as stored, in the same order; an empty list for an empty sequence.

        Raises:
            InternalError: the cursors are used up.
            WriteFailedError: as for `append`.

        Contract: events.batch.consecutive, events.batch.all-or-none, events.batch.empty,
        events.counter-behind.
        """
        if Record in type(events).__mro__:  # it can be iterated, by its fields
            raise UsageError("events must be a sequence of NewMobEvent; use `append` for one event")
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
        """Return the events after `after_cursor`, ascending, at most `limit`.

        There are fewer only at the end of the log, or before an unreadable event. The next call
        starts with that event and raises its error.

        Args:
            after_cursor: 0 to 2**63 - 1; 0 for the beginning.
            limit: 0 to 2**63 - 1; 0 returns an empty list.
            mob_id: only events of this mob, found by an index.
            run_id: only events that name this run, found by an index.
            reject_stale: raise for a cursor past the latest one. The reference does not: it
                returns no events after such a cursor.
            on_unreadable: called for each unreadable event, in order, before this method returns;
                those events are skipped.

        Raises:
            UsageError: a number is out of range, or both a mob and a run are passed.
            StaleCursorError: `after_cursor` is past the latest one, and `reject_stale` is set.
            SerializationError: the next event is unreadable; the error names its cursor.

        Contract: events.poll.order, events.poll.bounds, events.poll.range, events.poll.subject,
        events.poll.defaults, events.poll.stale, events.poll.unreadable.
        """
        number(after_cursor, "cursor value")
        if type(limit) is int and limit > I64_MAX:
            raise UsageError("limit exceeds i64::MAX")  # the reference's text shows no number
        number(limit, "limit")
        check_flags(reject_stale=reject_stale)
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
        """Subscribe to the events after a cursor, those stored and those still to come.

        Events come in the order of their cursors, none twice. None is missed unless it was removed
        before its turn, whichever task, process or tab of the same store appended it. At most 256
        events are buffered for a slow consumer.

        A subscription can be used again after an error: see `Subscription`.

        Args:
            after_cursor: 0 to 2**63 - 1; `latest_cursor()` for new events only.
            mob_id: only events of this mob.
            run_id: only events that name this run.
            on_unreadable: called for each unreadable event when its turn comes; those events are
                skipped.

        Raises:
            UsageError: an argument is wrong, as for `poll`.
            ClosedError: the store is closed, also while a task waits for the next event.
            StaleCursorError: the cursor is past the latest one, at the start or since the store
                was replaced by an older state.
            SerializationError: the next event is unreadable; the error names its cursor. The
                events before it were returned.
            ReadFailedError: the store's medium failed, or is gone, also while a task waits.

        Contract: events.subscribe.catches-up, events.subscribe.follows, events.subscribe.subject,
        events.subscribe.closed, events.subscribe.stale, events.subscribe.unreadable,
        events.subscribe.others.
        """
        after = number(after_cursor, "cursor value")
        callback(on_unreadable, "on_unreadable")
        return EventSubscription(self._engine, after, _event_filter(mob_id, run_id), on_unreadable)

    async def latest_cursor(self) -> int:
        """Return the last assigned cursor, 0 if there is none; its event may have been removed.

        Contract: events.latest-cursor.
        """
        return await self._engine.read(event_log.latest_cursor)

    async def replay_all(self) -> list[MobEvent]:
        """Return all events, ascending by cursor.

        Raises:
            SerializationError: an event is unreadable; the error names its cursor. `poll` returns
                the others.

        Contract: events.replay.all, events.poll.unreadable.
        """
        return await self._engine.read(event_log.replay_all)

    async def clear(self) -> None:
        """Remove all events; runs, specs and profiles stay, and cursors continue.

        Contract: events.clear.keeps-cursors.
        """
        await self._engine.write(event_log.clear)

    async def prune(self, older_than: Timestamp | datetime) -> int:
        """Remove the events with a time before `older_than`, not those at it.

        Returns:
            How many were removed.

        Raises:
            UsageError: `older_than` is a naive datetime.

        Contract: events.prune.strict, events.prune.keeps-cursors.
        """
        time = to_timestamp(older_than, "older_than").sortable
        return await self._engine.write(lambda: event_log.prune(time))


def _event_filter(mob_id: str | None, run_id: UUID | str | None) -> EventFilter | None:
    if mob_id is not None and run_id is not None:
        raise UsageError("a run belongs to one mob; pass mob_id or run_id, not both")
    if mob_id is not None:
        return EventFilter(EVENTS_BY_MOB, text(mob_id, "mob_id"))
    return None if run_id is None else EventFilter(EVENTS_BY_RUN, run_key(run_id))
