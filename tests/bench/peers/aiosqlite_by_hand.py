"""aiosqlite with hand-written SQL: the same statements as plain sqlite3, on its thread.

One contestant follows its documentation, with `commit()` after each insert. Tasks that share a
connection then need a lock, or one commits the half-done work of another. The other uses
autocommit mode, the fastest way where an append is a single statement.
"""

from __future__ import annotations

from asyncio import Lock
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench import samples
from bench.logs import (
    INSERT_EVENT,
    EventLog,
    OpenLog,
    confirm_durable,
    connect,
    event_row,
    now_text,
)
from bench.peers import load

COMMIT = "aiosqlite by hand, commit()"
AUTOCOMMIT = "aiosqlite by hand, autocommit"


class AiosqliteLog(EventLog):
    """One connection for all tasks."""

    def __init__(self, connection: Any, *, autocommit: bool) -> None:
        self._connection, self._lock = connection, None if autocommit else Lock()

    def prepare(self, count: int) -> list[Any]:
        return samples.kinds(count)

    async def append(self, item: Any) -> object:
        row = event_row(item, now_text())
        if self._lock is None:
            return (await self._connection.execute(INSERT_EVENT, row)).lastrowid
        async with self._lock:
            cursor = await self._connection.execute(INSERT_EVENT, row)
            await self._connection.commit()
        return cursor.lastrowid


def open_log(*, autocommit: bool) -> OpenLog:
    """Return a function that opens the log."""

    @asynccontextmanager
    async def open_it(path: Path) -> AsyncGenerator[EventLog]:
        connect(path).close()  # creates the tables
        isolation = {"isolation_level": None} if autocommit else {}
        async with load("aiosqlite").connect(path, **isolation) as connection:
            await connection.execute("PRAGMA synchronous = FULL")
            (journal,) = await _first(connection, "PRAGMA journal_mode")
            (synchronous,) = await _first(connection, "PRAGMA synchronous")
            confirm_durable("aiosqlite", journal, synchronous)
            yield AiosqliteLog(connection, autocommit=autocommit)

    return open_it


async def _first(connection: Any, statement: str) -> Any:
    async with connection.execute(statement) as cursor:
        return await cursor.fetchone()
