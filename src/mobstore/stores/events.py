"""The event log on an engine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TypeVar
from uuid import UUID

from mobstore.codec.arguments import (
    callback,
    check_flags,
    number,
    text,
    to_timestamp,
)
from mobstore.codec.events import (
    MODELS,
    TEXTS,
    Form,
    encode_event,
    encode_parts,
    event_key,
    event_types,
    read_all,
    stored_events,
    stored_parts,
)
from mobstore.codec.runs import run_key
from mobstore.errors import UsageError
from mobstore.model.event import MobEvent, NewMobEvent
from mobstore.model.json import I64_MAX
from mobstore.model.record import Record
from mobstore.model.timestamp import Timestamp
from mobstore.operations import event_removal, events as event_log
from mobstore.operations.event_queries import Conditions, EventFilter, Span
from mobstore.operations.event_removal import Expired, Place
from mobstore.scripts.tables import EVENTS_BY_MOB, EVENTS_BY_RUN
from mobstore.scripts.transaction import is_within_atomic
from mobstore.stores.event_consumers import MobEventConsumers
from mobstore.stores.subscription import EventSubscription, OnUnreadable, Subscription

E = TypeVar("E")
P = TypeVar("P")

_PRUNED_AT_ONCE = 1000  # events


class MobEventStore(MobEventConsumers):
    """The log of events of all mobs, in one sequence of cursors.

    The first event has cursor 1; each further event gets the next number. Cursors are never reused,
    not even after `clear` or `prune`. Times need not grow with the cursors.
    """

    async def append(self, event: NewMobEvent, *, key: str | None = None) -> MobEvent:
        """Add an event; if it has no time, it gets the store's current time.

        With a key, the event is added once, however often the call is repeated. This is the way to
        learn the outcome of a commit whose answer was lost, or whose task was cancelled: pass a key
        that the attempts share and call again, or use `get_by_key`. Within `MobStores.atomic`, the
        stored event shows that all of the call was committed.

        Args:
            event: the event.
            key: a name for the event, 1 to 65,536 bytes in UTF-8, such as the id of a request and
                the step. If the store has an event with this key and the same mob, kind and, if
                it has one, time, nothing is written. A key ends with its event, when that is
                removed by `prune` or `clear`. The reference has no keys.

        Returns:
            The event as stored, now or before.

        Raises:
            ConflictError: the key belongs to an event with other content.
            InternalError: the cursors are used up (2**63 - 2 is the last).
            WriteFailedError: the counter of cursors is behind the log, as after a partial restore;
                nothing was overwritten. `verify` repairs it.

        Contract: events.append.assigns-cursors, events.append.keeps-time, events.append.store-time,
        events.counter-behind, events.append.key, events.append.key.conflict,
        events.append.key.ends, events.append.key.atomic.
        """
        if key is None:
            (stored,) = await self.append_batch((event,))
            return stored
        checked = event_key(key)
        encoded = encode_event(event, self._now)
        timed = event.timestamp is not None
        row = await self._engine.write(
            lambda: event_log.append_keyed(checked, encoded.rows[0], timed=timed)
        )
        return read_all((row,))[0]

    async def get_by_key(self, key: str) -> MobEvent | None:
        """Return the event that was appended under a key; None if it was not, or was removed.

        Appends that this process started before have ended when this returns, also those of
        cancelled tasks.

        Raises:
            SerializationError: the event is unreadable; the error names its cursor.

        Contract: events.append.key, events.append.key.ends.
        """
        checked = event_key(key)
        await self._engine.settle()
        row = await self._engine.read(lambda: event_log.get_by_key(checked))
        return None if row is None else read_all((row,))[0]

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
        if len(batch) == 1:
            encoded = encode_event(batch[0], self._now)
            first = await self._engine.write(lambda: event_log.append_batch(encoded.rows))
            return stored_events(first, encoded)
        parts = await _in_turns(encode_parts(batch, self._now))
        rows = [row for part in parts for row in part.rows]
        first = await self._engine.write(lambda: event_log.append_batch(rows))
        return list(chain.from_iterable(await _in_turns(stored_parts(first, parts))))

    async def poll(
        self,
        after_cursor: int = 0,
        limit: int = 1000,
        *,
        mob_id: str | None = None,
        run_id: UUID | str | None = None,
        before_cursor: int | None = None,
        newest_first: bool = False,
        types: str | Collection[str] | None = None,
        member: str | None = None,
        since: Timestamp | datetime | None = None,
        until: Timestamp | datetime | None = None,
        reject_stale: bool = False,
        on_unreadable: OnUnreadable | None = None,
    ) -> list[MobEvent]:
        """Return the events that meet all conditions, ascending by cursor, at most `limit`.

        There are fewer only if there are no more, or before an unreadable event. The next call
        starts with that event and raises its error. The next page is after the last cursor, or
        before it with `newest_first`.

        The cost depends on the result alone without conditions, with a mob, a run or types alone,
        and with any of these and `newest_first`. Other conditions are checked event by event, in
        pages: of `member`, of `since` and `until`, and of several together. Events are then read by
        each index that applies in turn, until the first finds all: the log by cursors, or the mob,
        the run, the types; and with `since` or `until` the times. A search for what is rare may
        read all of the smallest of these, in many transactions, so that no writer waits for it all.
        Of events that are appended meanwhile, it may return the first ones.

        Args:
            after_cursor: 0 to 2**63 - 1; 0 for the beginning.
            limit: 0 to 2**63 - 1; 0 returns an empty list.
            mob_id: only events of this mob, found by an index.
            run_id: only events that name this run, found by an index.
            before_cursor: only events before this one, 0 to 2**63 - 1.
            newest_first: return the last events that meet the conditions, descending by cursor.
            types: only events of this type, or of one of these, such as `step_failed`, found by an
                index.
            member: only events that name this member (see `members_of`). An unreadable event
                counts as naming it, unless its type or its text rules that out.
            since: only events with this time or a later one.
            until: only events with an earlier time.
            reject_stale: raise for an `after_cursor` past the latest one. The reference does not:
                it returns no events after such a cursor.
            on_unreadable: called for each unreadable event, in order, before this method returns;
                those events are skipped.

        Raises:
            UsageError: a number is out of range, a type is neither in `EVENT_TYPES` nor that of an
                event in the log, a datetime is naive, or both a mob and a run are passed.
            StaleCursorError: `after_cursor` is past the latest one, and `reject_stale` is set.
            SerializationError: the next event is unreadable; the error names its cursor.

        Contract: events.poll.order, events.poll.bounds, events.poll.range, events.poll.subject,
        events.poll.defaults, events.poll.stale, events.poll.unreadable, events.poll.before,
        events.poll.newest-first, events.poll.types, events.poll.member, events.poll.times,
        events.poll.together, events.poll.unreadable.newest-first.
        """
        return await self._poll(
            MODELS,
            after_cursor, limit, mob_id=mob_id, run_id=run_id, before_cursor=before_cursor,
            newest_first=newest_first, types=types, member=member, since=since, until=until,
            reject_stale=reject_stale, on_unreadable=on_unreadable,
        )  # fmt: skip

    async def poll_json(
        self,
        after_cursor: int = 0,
        limit: int = 1000,
        *,
        mob_id: str | None = None,
        run_id: UUID | str | None = None,
        before_cursor: int | None = None,
        newest_first: bool = False,
        types: str | Collection[str] | None = None,
        member: str | None = None,
        since: Timestamp | datetime | None = None,
        until: Timestamp | datetime | None = None,
        reject_stale: bool = False,
        on_unreadable: OnUnreadable | None = None,
    ) -> list[str]:
        """Return the JSON of the events that `poll` returns for the same arguments.

        For pages, pipes and files: each text is what `MobEvent.to_json` writes, without a line
        break. No models are built, so it takes about a third of the time of `poll`.

        The JSON of a kind is returned as it is stored; only its start, which names its type, and
        its end are checked. So of the events that `poll` cannot read, those without these, with an
        unknown type or with a wrong time are unreadable, and the others are returned. `verify`
        finds all of them. The next page is after the `cursor` of the last text.

        Raises:
            UsageError: as for `poll`.
            StaleCursorError: as for `poll`.
            SerializationError: the next event is unreadable; the error names its cursor.

        Contract: events.poll-json.same, events.poll-json.unreadable.
        """
        return await self._poll(
            TEXTS,
            after_cursor, limit, mob_id=mob_id, run_id=run_id, before_cursor=before_cursor,
            newest_first=newest_first, types=types, member=member, since=since, until=until,
            reject_stale=reject_stale, on_unreadable=on_unreadable,
        )  # fmt: skip

    async def _poll(
        self,
        form: Form[E],
        after_cursor: int,
        limit: int,
        *,
        mob_id: str | None,
        run_id: UUID | str | None,
        before_cursor: int | None,
        newest_first: bool,
        types: str | Collection[str] | None,
        member: str | None,
        since: Timestamp | datetime | None,
        until: Timestamp | datetime | None,
        reject_stale: bool,
        on_unreadable: OnUnreadable | None,
    ) -> list[E]:
        """Check the arguments of `poll`, and return the events in a form."""
        number(after_cursor, "cursor value")
        if type(limit) is int and limit > I64_MAX:
            raise UsageError("limit exceeds i64::MAX")  # the reference's text shows no number
        number(limit, "limit")
        before = I64_MAX if before_cursor is None else number(before_cursor, "before_cursor")
        check_flags(newest_first=newest_first, reject_stale=reject_stale)
        callback(on_unreadable, "on_unreadable")
        conditions = Conditions(
            _event_filter(mob_id, run_id),
            None if types is None else event_types(types, "types"),
            None if member is None else text(member, "member"),
            "" if since is None else to_timestamp(since, "since").sortable,
            None if until is None else to_timestamp(until, "until").sortable,
        )
        span, skips = Span(after_cursor, before, newest_first), on_unreadable is not None
        found = await self._engine.read_parts(
            lambda: event_log.poll(
                form, span, limit, conditions, reject_stale=reject_stale, skip_unreadable=skips
            )
        )
        while found.rest is not None:
            found = await self._engine.read(
                partial(event_log.poll_on, form, found, limit, skip_unreadable=skips)
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

    async def first_cursor(self) -> int:
        """Return the cursor of the oldest stored event, `latest_cursor() + 1` if there is none.

        Contract: events.first-cursor.
        """
        return await self._engine.read(event_log.first_cursor)

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

    async def prune(
        self,
        older_than: Timestamp | datetime | None = None,
        *,
        before_cursor: int | None = None,
        keep: str | Collection[str] = (),
        keep_unseen: bool = False,
    ) -> int:
        """Remove the events with a time before `older_than`, not those at it.

        By default all of them go, as in the reference, even those from which a mob is resumed; pass
        `keep=STRUCTURAL_KINDS` to keep those.

        One bound alone is one commit. With both, `keep` or `keep_unseen`, the events within the
        bounds are read, and removed in commits of about 1,000, so that other tasks can run in
        between; events with one time go in one commit. Within an atomic call there is one commit.
        If a commit fails, or the task is cancelled, the events removed before stay removed. Call
        the method again to continue. The cost depends on the number of events within the bounds,
        kept ones included.

        Args:
            older_than: only events with a time before this one; None: of any time.
            before_cursor: only events before this cursor, 0 to 2**63 - 1; None: all.
            keep: events of this type, or of these, stay.
            keep_unseen: events that a named consumer has not seen stay: those after the least
                position in `consumers`. Without consumers, all have been seen.

        Returns:
            How many were removed. Their keys are removed as well.

        Raises:
            UsageError: neither bound is passed, `older_than` is a naive datetime, the cursor is out
                of range, or a type is neither in `EVENT_TYPES` nor that of an event in the log.
            WriteFailedError: the medium failed; some of the events may have been removed.

        Contract: events.prune.strict, events.prune.keeps-cursors, events.prune.zone,
        events.prune.before-cursor, events.prune.keep, events.prune.keep-unseen,
        events.prune.many, events.append.key.ends.
        """
        if older_than is None and before_cursor is None:
            raise UsageError("pass older_than or before_cursor; clear() removes all events")
        check_flags(keep_unseen=keep_unseen)
        expired = Expired(
            None if older_than is None else to_timestamp(older_than, "older_than").sortable,
            None if before_cursor is None else number(before_cursor, "before_cursor"),
            event_types(keep, "keep"),
            keep_unseen,
        )
        if expired.is_one_range:
            return await self._engine.write(lambda: event_removal.prune_range(expired))
        pruned, place = 0, Place()
        while True:
            some = await self._engine.write(
                partial(event_removal.prune_some, expired, place, _PRUNED_AT_ONCE)
            )
            pruned += some.removed
            if some.place is None:
                return pruned
            place = some.place


async def _in_turns(parts: Iterable[P]) -> list[P]:
    """Compute parts, and yield to other tasks in between: 20,000 events take half a second."""
    import asyncio  # already loaded by async callers; importing the package does not need it

    computed: list[P] = []
    for part in parts:
        if computed and not is_within_atomic():
            await asyncio.sleep(0)
        computed.append(part)
    return computed


def _event_filter(mob_id: str | None, run_id: UUID | str | None) -> EventFilter | None:
    if mob_id is not None and run_id is not None:
        raise UsageError("a run belongs to one mob; pass mob_id or run_id, not both")
    if mob_id is not None:
        return EventFilter(EVENTS_BY_MOB, text(mob_id, "mob_id"))
    return None if run_id is None else EventFilter(EVENTS_BY_RUN, run_key(run_id))
