"""py-event-sourcing: a stream whose events carry bytes; it polls its table in the background."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence, Sized
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench import samples
from bench.logs import EventLog, confirm_durable
from bench.peers import load

NAME = "py-event-sourcing"
NOTE = (
    "py-event-sourcing opens its files with synchronous=NORMAL; for this run its writing"
    " connection was set to FULL."
)


class PyEventSourcingLog(EventLog):
    """One stream; events that it reads keep their data as bytes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._event = load("py_event_sourcing").CandidateEvent

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        return await self._stream.write(self._made(item))

    async def append_batch(self, items: Sequence[Any]) -> object:
        return await self._stream.write([self._made(item) for item in items])

    async def read(self, limit: int) -> Sized:
        found = [event async for event in self._stream.read()]
        return found[:limit]  # it has no limit argument

    def _made(self, kind: dict[str, Any]) -> Any:
        return self._event(type=kind["type"], data=json.dumps(kind).encode())


@asynccontextmanager
async def open_log(path: Path) -> AsyncGenerator[EventLog]:
    async with (
        load("py_event_sourcing").sqlite_stream_factory(str(path)) as open_stream,
        open_stream(samples.MOB) as stream,
    ):
        connection = stream.storage_handle.write_conn
        await connection.execute("PRAGMA synchronous = FULL")
        (journal,) = await (await connection.execute("PRAGMA journal_mode")).fetchone()
        (synchronous,) = await (await connection.execute("PRAGMA synchronous")).fetchone()
        confirm_durable(NAME, journal, synchronous)
        yield PyEventSourcingLog(stream)
