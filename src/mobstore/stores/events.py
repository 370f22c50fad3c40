"""The event log on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mobstore.arguments import any_moment, callback, number, run_key, text
from mobstore.errors import InternalError, SerializationError
from mobstore.interfaces import MobEventStore, OnUnreadable, Subscription
from mobstore.model.event import MobEvent, NewMobEvent
from mobstore.model.json import I64_MAX
from mobstore.model.record import Record
from mobstore.model.timestamp import Timestamp
from mobstore.operations import events as event_log
from mobstore.operations.events import Subject
from mobstore.rows.events import draft_events, stored_events
from mobstore.stores.base import EngineStore
from mobstore.stores.live import EventFollower
from mobstore.tables import EVENTS_BY_MOB, EVENTS_BY_RUN


class EngineEventStore(EngineStore, MobEventStore):
    """The event log on an engine."""

    async def append(self, event: NewMobEvent) -> MobEvent:
        (stored,) = await self.append_batch((event,))
        return stored

    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        if Record in type(events).__mro__:  # it can be iterated, by its fields
            raise SerializationError(
                "events must be a sequence of NewMobEvent; one alone goes to `append`"
            )
        try:
            batch = tuple(events)
        except TypeError as error:
            raise SerializationError("events must be a sequence of NewMobEvent") from error
        drafts = draft_events(batch, self._now)
        first = await self._engine.write(lambda: event_log.append_batch(drafts.rows))
        return stored_events(first, drafts)

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
        number(after_cursor, "cursor value")
        if type(limit) is int and limit > I64_MAX:
            raise InternalError("limit exceeds i64::MAX")  # the reference's text shows no number
        number(limit, "limit")
        callback(on_unreadable, "on_unreadable")
        of = _subject(mob_id, run_id)
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
            for cursor, error in found.left_out:
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
        after = number(after_cursor, "cursor value")
        callback(on_unreadable, "on_unreadable")
        return EventFollower(self._engine, after, _subject(mob_id, run_id), on_unreadable)

    async def latest_cursor(self) -> int:
        return await self._engine.read(event_log.latest_cursor)

    async def replay_all(self) -> list[MobEvent]:
        return await self._engine.read(event_log.replay_all)

    async def clear(self) -> None:
        await self._engine.write(event_log.clear)

    async def prune(self, older_than: Timestamp | datetime) -> int:
        moment = any_moment(older_than, "older_than").sortable
        return await self._engine.write(lambda: event_log.prune(moment))


def _subject(mob_id: str | None, run_id: UUID | str | None) -> Subject | None:
    if mob_id is not None and run_id is not None:
        raise InternalError("a run is of one mob; give mob_id or run_id, not both")
    if mob_id is not None:
        return Subject(EVENTS_BY_MOB, text(mob_id, "mob_id"))
    return None if run_id is None else Subject(EVENTS_BY_RUN, run_key(run_id))
