"""eventsourcing: its SQLite recorder, synchronous, on the calling thread, without aggregates."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from bench import samples
from bench.logs import EventLog, confirm_durable
from bench.peers import load

NAME = "eventsourcing (synchronous)"


class EventsourcingLog(EventLog):
    """One originator; this class counts its versions."""

    def __init__(self, recorder: Any) -> None:
        self._recorder, self._originator, self._version = recorder, UUID(int=1), 0
        self._event = load("eventsourcing.persistence").StoredEvent

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        self._version += 1
        stored = self._event(
            originator_id=self._originator,
            originator_version=self._version,
            topic=item["type"],
            state=json.dumps(item).encode(),
        )
        return self._recorder.insert_events([stored])


@asynccontextmanager
async def open_log(path: Path) -> AsyncGenerator[EventLog]:
    module = load("eventsourcing.sqlite")
    # One connection, so that the checked one is the one that writes.
    datastore = module.SQLiteDatastore(str(path), pool_size=1, max_overflow=0)
    try:
        recorder = module.SQLiteApplicationRecorder(datastore)
        recorder.create_table()
        with datastore.get_connection(commit=True) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA journal_mode")
            (journal,) = cursor.fetchone()
            cursor.execute("PRAGMA synchronous")
            (synchronous,) = cursor.fetchone()
            confirm_durable(NAME, journal, synchronous)
        yield EventsourcingLog(recorder)
    finally:
        datastore.close()
