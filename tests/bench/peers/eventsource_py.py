"""eventsource-py: pydantic events in one aggregate's stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from bench import samples
from bench.logs import EventLog, confirm_durable
from bench.peers import load

NAME = "eventsource-py"


@cache
def _event_type() -> Any:
    """Return a class of events that holds a kind as a dict."""
    base = load("eventsource").DomainEvent
    body = {
        "__annotations__": {"aggregate_type": str, "kind": dict[str, Any]},
        "__module__": __name__,
        "aggregate_type": "Mob",
    }
    return type(base)("MobHappened", (base,), body)


class EventsourceLog(EventLog):
    """One stream, written without a check of its version."""

    def __init__(self, store: Any) -> None:
        module = load("eventsource")
        self._store, self._mob = store, UUID(int=1)
        self._stream = module.StreamId(self._mob, "Mob")
        self._expected = module.ExpectedVersion.any_()

    def prepare(self, count: int) -> list[Any]:
        event = _event_type()
        # Ids must be unique, so turns do not share events.
        return [
            event(event_id=uuid4(), aggregate_id=self._mob, kind=kind)
            for kind in samples.kinds(count)
        ]

    async def append(self, item: Any) -> object:
        return await self._store.append(self._stream, [item], self._expected)


@asynccontextmanager
async def open_log(path: Path) -> AsyncGenerator[EventLog]:
    store = load("eventsource").SQLiteEventStore(str(path))
    connection = await store._conn()
    try:
        await connection.execute("PRAGMA synchronous = FULL")
        (journal,) = await (await connection.execute("PRAGMA journal_mode")).fetchone()
        (synchronous,) = await (await connection.execute("PRAGMA synchronous")).fetchone()
        confirm_durable(NAME, journal, synchronous)
        yield EventsourceLog(store)
    finally:
        await store.close()
