"""eventsourcing on PostgreSQL: its recorder, without aggregates, in one statement per call.

Its functions in the database save round trips. One task works on the calling thread; several have
a thread each, for the library is synchronous.
"""

from __future__ import annotations

import json
from asyncio import get_running_loop
from collections.abc import AsyncGenerator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from bench import samples
from bench.logs import EventLog, OpenLog
from bench.peers import load
from bench.postgres.stage import Place, Stage

NAME = "eventsourcing"
CONNECTIONS = 16


class EventsourcingLog(EventLog):
    """One originator per task; this class counts their versions."""

    def __init__(self, recorder: Any, threads: ThreadPoolExecutor | None) -> None:
        self._recorder, self._threads, self._number = recorder, threads, 0
        self._event = load("eventsourcing.persistence").StoredEvent

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        event = self._stored(item)
        if self._threads is None:
            return self._recorder.insert_events([event])
        return await get_running_loop().run_in_executor(
            self._threads, self._recorder.insert_events, [event]
        )

    async def append_batch(self, items: Sequence[Any]) -> object:
        return self._recorder.insert_events([self._stored(item) for item in items])

    async def read(self, limit: int) -> Sized:
        found = self._recorder.select_notifications(0, limit)
        return [(one.id, json.loads(one.state)) for one in found]

    def _stored(self, kind: dict[str, Any]) -> Any:
        # Tasks append in any order, so each event gets an originator of its own.
        self._number += 1
        return self._event(
            originator_id=UUID(int=self._number),
            originator_version=1,
            topic=kind["type"],
            state=json.dumps(kind).encode(),
        )


def open_log(stage: Stage, tasks: int = 1) -> OpenLog:
    """Return a function that opens a log in a new place."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[EventLog]:
        place = stage.place()
        place.execute("CREATE SCHEMA {s}")
        with (
            closing(_datastore(place, CONNECTIONS if tasks > 1 else 1)) as datastore,
            ThreadPoolExecutor(tasks) as threads,
        ):
            module = load("eventsourcing.postgres")
            recorder = module.PostgresApplicationRecorder(datastore)
            recorder.create_table()
            yield EventsourcingLog(recorder, threads if tasks > 1 else None)

    return opened


def _datastore(place: Place, connections: int) -> Any:
    url = urlsplit(place.database)
    return load("eventsourcing.postgres").PostgresDatastore(
        dbname=url.path.removeprefix("/"),
        host=url.hostname,
        port=url.port,
        user=url.username,
        password="",
        pool_size=connections,
        connect_timeout=60,
        schema=place.schema,
        enable_db_functions=True,
    )
