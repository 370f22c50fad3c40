"""The event log on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mobstore.arguments import number
from mobstore.errors import InternalError, SerializationError
from mobstore.interfaces import MobEventStore
from mobstore.model.event import MobEvent, NewMobEvent
from mobstore.model.json import I64_MAX
from mobstore.model.timestamp import Timestamp
from mobstore.operations import events as event_log
from mobstore.rows.events import draft_event, stored_events, timed_events
from mobstore.stores.base import EngineStore


class EngineEventStore(EngineStore, MobEventStore):
    """The event log on an engine."""

    async def append(self, event: NewMobEvent) -> MobEvent:
        (stored,) = await self.append_batch((event,))
        return stored

    async def append_batch(self, events: Sequence[NewMobEvent]) -> list[MobEvent]:
        try:
            batch = tuple(events)
        except TypeError as error:
            raise SerializationError("events must be a sequence of NewMobEvent") from error
        timed = timed_events(batch, self._now)
        drafts = [draft_event(*parts) for parts in timed]
        first = await self._engine.write(lambda: event_log.append_batch(drafts))
        return stored_events(first, timed, drafts)

    async def poll(self, after_cursor: int, limit: int) -> list[MobEvent]:
        number(after_cursor, "cursor value")
        if type(limit) is int and limit > I64_MAX:
            raise InternalError("limit exceeds i64::MAX")  # the reference's text shows no number
        number(limit, "limit")
        return await self._engine.read(lambda: event_log.poll(after_cursor, limit))

    async def replay_all(self) -> list[MobEvent]:
        return await self._engine.read(lambda: event_log.poll(0, None))

    async def clear(self) -> None:
        await self._engine.write(event_log.clear)

    async def prune(self, older_than: Timestamp | datetime) -> int:
        try:
            moment = Timestamp(older_than)
        except ValueError as error:
            raise SerializationError(f"older_than: {error}") from error
        return await self._engine.write(lambda: event_log.prune(moment.sortable))
