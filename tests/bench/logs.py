"""Event logs of mobstore and of plain sqlite3, and their common SQLite helpers."""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence, Sized
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias, cast

from bench import samples
from mobstore import MobStores, open_stores
from mobstore.engines.sqlite import SqliteEngine
from mobstore.engines.sqlite.rows import SCHEMA
from mobstore.scripts.tables import NEXT_CURSOR

FULL = ("wal", 2)
"""Results of `PRAGMA journal_mode` and `PRAGMA synchronous` for WAL with synchronous=FULL."""

INSERT_EVENT = "INSERT INTO events (mob_id, timestamp, type, run_id, kind) VALUES (?, ?, ?, ?, ?)"


def event_row(kind: dict[str, Any], now: str) -> tuple[str, str, str, str, str]:
    """Return the parameters of `INSERT_EVENT` for an event's kind, with encoded JSON."""
    return samples.MOB, now, kind["type"], kind.get("run_id", ""), json.dumps(kind)


def now_text() -> str:
    """Return the current time as text."""
    return datetime.now(UTC).isoformat()


# SQLite itself generates the events: a million of them through a store would take a minute. One a
# second from the start of 2020, so that any time splits them.
_FILL = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO events
    SELECT n, 'mob-' || (n % ?),
        strftime('%Y-%m-%dT%H:%M:%S', 1577836800 + n, 'unixepoch') || '.000000000Z',
        'step_completed', '24ede6a4-6b4c-4242-8a23-d5962217bead',
        '{"type":"step_completed","run_id":"24ede6a4-6b4c-4242-8a23-d5962217bead",'
        || '"step_id":"step-' || n || '"}'
    FROM numbers
"""


def fill_events(path: Path, last: int, *, mobs: int = 50) -> None:
    """Insert events with cursors up to this one directly, with the mobs in turn."""
    with closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_FILL, (last, mobs))
        connection.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO NOTHING", (NEXT_CURSOR, last + 1)
        )
        connection.execute("COMMIT")


class EventLog(ABC):
    """The event log of a contestant.

    A library that encodes receives its own event objects, created beforehand. A library for text
    or bytes receives dicts, and `json.dumps` is part of the measurement.
    """

    @abstractmethod
    def prepare(self, count: int) -> list[Any]:
        """Create the arguments of the other methods."""

    @abstractmethod
    async def append(self, item: Any) -> object:
        """Append one event durably."""

    async def append_batch(self, items: Sequence[Any]) -> object:
        """Append many events, all or none."""
        raise NotImplementedError

    async def read(self, limit: int) -> Sized:
        """Read from the start."""
        raise NotImplementedError


OpenLog: TypeAlias = Callable[[Path], AbstractAsyncContextManager[EventLog]]


def confirm_durable(name: str, journal: object, synchronous: object) -> None:
    """Check that a connection is as durable as the others.

    Raises:
        RuntimeError: a connection is not in WAL mode with synchronous=FULL.
    """
    if (journal, synchronous) != FULL:
        raise RuntimeError(f"{name}: journal_mode {journal}, synchronous {synchronous}")


# mobstore --------------------------------------------------------------------------------------


@asynccontextmanager
async def open_mobstore(path: Path) -> AsyncGenerator[MobStores]:
    """Open a durable store and check its durability."""
    async with open_stores(f"sqlite:{path}", durability="full") as stores:
        rows = cast("SqliteEngine", stores.engine)._writer.transactions.rows  # pyright: ignore[reportPrivateUsage]
        connection = rows._connection  # pyright: ignore[reportPrivateUsage]
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        confirm_durable("mobstore", journal, synchronous)
        yield stores


class MobstoreLog(EventLog):
    """The log of mobstore."""

    def __init__(self, stores: MobStores) -> None:
        self._events = stores.events

    def prepare(self, count: int) -> list[Any]:
        return list(samples.events(count))

    async def append(self, item: Any) -> object:
        return await self._events.append(item)

    async def append_batch(self, items: Sequence[Any]) -> object:
        return await self._events.append_batch(items)

    async def read(self, limit: int) -> Sized:
        return await self._events.poll(0, limit)


class JsonLog(MobstoreLog):
    """The log of mobstore, read as JSON."""

    async def read(self, limit: int) -> Sized:
        return await self._events.poll_json(0, limit)


@asynccontextmanager
async def json_log(path: Path) -> AsyncGenerator[EventLog]:
    async with open_mobstore(path) as stores:
        yield JsonLog(stores)


@asynccontextmanager
async def mobstore_log(path: Path) -> AsyncGenerator[EventLog]:
    async with open_mobstore(path) as stores:
        yield MobstoreLog(stores)


# Plain sqlite3 ---------------------------------------------------------------------------------


def connect(path: Path) -> sqlite3.Connection:
    """Connect in autocommit mode to a file with mobstore's tables and indexes."""
    connection = sqlite3.connect(path, isolation_level=None)
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    confirm_durable("raw sqlite3", journal, synchronous)
    if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in SCHEMA:
            connection.execute(statement)
    return connection


class RawLog(EventLog):
    """The log of the standard library: dicts, on the calling thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        return self._connection.execute(INSERT_EVENT, event_row(item, now_text())).lastrowid

    async def append_batch(self, items: Sequence[Any]) -> object:
        now = now_text()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(INSERT_EVENT, [event_row(kind, now) for kind in items])
        return self._connection.execute("COMMIT")

    async def read(self, limit: int) -> Sized:
        rows = self._connection.execute(
            "SELECT cursor, mob_id, timestamp, kind FROM events WHERE cursor > ?"
            " ORDER BY cursor LIMIT ?",
            (0, limit),
        )
        return [(cursor, mob, time, json.loads(kind)) for cursor, mob, time, kind in rows]


@asynccontextmanager
async def raw_log(path: Path) -> AsyncGenerator[EventLog]:
    with closing(connect(path)) as connection:
        yield RawLog(connection)
