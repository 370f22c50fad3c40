"""psycopg by hand: mobstore's tables, and its statements in two round trips a transaction.

The first round trip begins, locks and reads. The second one writes, confirms the writer's fencing
row and commits. A blocking connection works on the calling thread, the other one with asyncio.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence, Sized
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg

from bench import samples
from bench.logs import EventLog, OpenLog, event_row, now_text
from bench.postgres.stage import Place, Stage, create_tables
from mobstore.scripts.tables import NEXT_CURSOR

BLOCKING = "raw psycopg, pipelined"
ASYNC = "raw psycopg, pipelined, asyncio"

BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
LOCKS = (
    b"SELECT pg_advisory_xact_lock_shared(%s), pg_advisory_xact_lock(%s),"
    b" set_config('idle_in_transaction_session_timeout', '3s', true)"
)
READ_COUNTER = "SELECT value FROM {s}.counters WHERE name = %s"
WRITE_COUNTER = "UPDATE {s}.counters SET value = %s WHERE name = %s"
INSERT = (
    "INSERT INTO {s}.events (cursor, mob_id, timestamp, type, run_id, kind)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)
INSERT_MANY = (
    "INSERT INTO {s}.events (cursor, mob_id, timestamp, type, run_id, kind)"
    " SELECT * FROM"
    " unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
)
POLL = (
    "SELECT cursor, mob_id, timestamp, kind FROM {s}.events WHERE cursor > %s"
    " ORDER BY cursor LIMIT %s"
)
_FENCE = (
    "WITH u AS (UPDATE {s}.bench_writers SET batch = batch + 1 WHERE writer = 1 AND epoch = 0"
    " RETURNING 1) SELECT 1 / count(*) FROM u"
)
_STORE_LOCK, _ROW_LOCK = 1, 2


class Transactions:
    """Transactions of a blocking connection in pipeline mode."""

    def __init__(self, connection: psycopg.Connection, place: Place) -> None:
        self._connection = connection
        self._pipeline = connection.pipeline()
        self._fence = place.sql(_FENCE)

    def __enter__(self) -> Transactions:
        self._running = self._pipeline.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipeline.__exit__(None, None, None)

    def read(self, statement: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Begin, lock and read: one round trip."""
        execute = self._connection.execute
        execute(BEGIN)
        execute(LOCKS, (_STORE_LOCK, _ROW_LOCK), prepare=True)
        found = execute(statement, values, prepare=True)
        self._running.sync()
        return found.fetchall()

    def commit(self, *writes: tuple[bytes, Sequence[Any]]) -> None:
        """Write, confirm the fencing row and commit: one round trip."""
        execute = self._connection.execute
        done = [execute(statement, values, prepare=True) for statement, values in writes]
        execute(self._fence, prepare=True)
        execute(b"COMMIT")
        self._running.sync()
        assert all(one.rowcount > 0 for one in done)


class AsyncTransactions:
    """The same with asyncio."""

    def __init__(self, connection: psycopg.AsyncConnection, place: Place) -> None:
        self._connection = connection
        self._pipeline = connection.pipeline()
        self._fence = place.sql(_FENCE)

    async def __aenter__(self) -> AsyncTransactions:
        self._running = await self._pipeline.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pipeline.__aexit__(None, None, None)

    async def read(self, statement: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        execute = self._connection.execute
        await execute(BEGIN)
        await execute(LOCKS, (_STORE_LOCK, _ROW_LOCK), prepare=True)
        found = await execute(statement, values, prepare=True)
        await self._running.sync()
        return await found.fetchall()

    async def commit(self, *writes: tuple[bytes, Sequence[Any]]) -> None:
        execute = self._connection.execute
        done = [await execute(statement, values, prepare=True) for statement, values in writes]
        await execute(self._fence, prepare=True)
        await execute(b"COMMIT")
        await self._running.sync()
        assert all(one.rowcount > 0 for one in done)


async def prepare(place: Place) -> None:
    """Create mobstore's tables, with a counter and a fencing row."""
    await create_tables(place)
    place.execute(
        "INSERT INTO {s}.counters VALUES (%(name)s, 1) ON CONFLICT DO NOTHING", name=NEXT_CURSOR
    )
    place.execute(
        "CREATE TABLE {s}.bench_writers (writer int PRIMARY KEY, epoch int, batch bigint)"
    )
    place.execute("INSERT INTO {s}.bench_writers VALUES (1, 0, 0)")


class RawLog(EventLog):
    """An event log of dicts on the calling thread."""

    def __init__(
        self, connection: psycopg.Connection, transactions: Transactions, place: Place
    ) -> None:
        self._connection, self._transactions = connection, transactions
        self._read, self._count, self._insert, self._insert_many, self._poll = map(
            place.sql, (READ_COUNTER, WRITE_COUNTER, INSERT, INSERT_MANY, POLL)
        )

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        ((cursor,),) = self._transactions.read(self._read, (NEXT_CURSOR,))
        self._transactions.commit(
            (self._insert, (cursor, *event_row(item, now_text()))),
            (self._count, (cursor + 1, NEXT_CURSOR)),
        )
        return cursor

    async def append_batch(self, items: Sequence[Any]) -> object:
        now = now_text()
        rows = [event_row(kind, now) for kind in items]
        ((cursor,),) = self._transactions.read(self._read, (NEXT_CURSOR,))
        following = cursor + len(rows)
        columns = [list(range(cursor, following)), *map(list, zip(*rows, strict=True))]
        self._transactions.commit(
            (self._insert_many, columns), (self._count, (following, NEXT_CURSOR))
        )
        return cursor

    async def read(self, limit: int) -> Sized:
        rows = self._connection.execute(self._poll, (0, limit), prepare=True).fetchall()
        return [(cursor, mob, time, json.loads(kind)) for cursor, mob, time, kind in rows]


class AsyncRawLog(EventLog):
    """An event log of dicts with asyncio; one task at a time."""

    def __init__(self, transactions: AsyncTransactions, place: Place) -> None:
        self._transactions = transactions
        self._read, self._count, self._insert = map(
            place.sql, (READ_COUNTER, WRITE_COUNTER, INSERT)
        )

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        ((cursor,),) = await self._transactions.read(self._read, (NEXT_CURSOR,))
        await self._transactions.commit(
            (self._insert, (cursor, *event_row(item, now_text()))),
            (self._count, (cursor + 1, NEXT_CURSOR)),
        )
        return cursor


def open_log(stage: Stage, database: str) -> OpenLog:
    """Return a function that opens a log in a new place."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[EventLog]:
        place = stage.place(database)
        await prepare(place)
        with closing(place.connect()) as connection, Transactions(connection, place) as running:
            yield RawLog(connection, running, place)

    return opened


def open_async_log(stage: Stage, database: str) -> OpenLog:
    """Return a function that opens a log for asyncio in a new place."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[EventLog]:
        place = stage.place(database)
        await prepare(place)
        async with (
            await psycopg.AsyncConnection.connect(place.database, autocommit=True) as connection,
            AsyncTransactions(connection, place) as running,
        ):
            yield AsyncRawLog(running, place)

    return opened
