"""A private server for a benchmark, with its databases and schemas."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from mobstore import MobStores, open_stores
from support.postgres import programs
from support.postgres.server import Server

FAST, SLOW = "bench", "bench_slow"
"""Databases of the server; in the second one, a commit waits for `DELAY` before its flush."""
DELAY = 0.003
"""Seconds."""

_SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers",
          "max_wal_size", "autovacuum")  # fmt: skip
_CHANGED = """
    SELECT name || ' ' || setting FROM pg_settings
    WHERE source = 'configuration file' AND setting <> boot_val AND name NOT LIKE 'log%'
        AND name NOT IN ('listen_addresses', 'port', 'unix_socket_directories')
        AND category NOT LIKE 'Client Connection Defaults%'
"""


@dataclass(frozen=True)
class Place:
    """A schema that no other contestant uses.

    Attributes:
        database: URL of its database, for libpq.
        schema: its name, which needs no quotes.
    """

    database: str
    schema: str

    @property
    def url(self) -> str:
        """The URL of a store in the schema."""
        return f"{self.database}?schema={self.schema}"

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection in autocommit mode."""
        return psycopg.connect(self.database, autocommit=True)

    def execute(self, statement: str, **values: object) -> None:
        """Execute a statement in which `{s}` is the schema."""
        with self.connect() as connection:
            connection.execute(self.sql(statement), values or None)

    def sql(self, statement: str) -> bytes:
        """Return a statement with the schema in place of `{s}`."""
        return statement.replace("{s}", self.schema).encode()


@dataclass(frozen=True)
class Stage:
    """A running server.

    Attributes:
        server: the server.
        directory: folder for files; None is the system's temporary folder.
    """

    server: Server
    directory: Path | None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def place(self, database: str = FAST) -> Place:
        """Return a new place; its schema does not exist yet."""
        return Place(self.server.url(database), f"place_{next(self._numbers)}")

    def about(self) -> dict[str, str]:
        """Return the settings that the figures depend on.

        Raises:
            RuntimeError: a commit would not be durable.
        """

        def value(statement: str) -> str:
            return str(self.server.execute(statement, database=FAST)[0][0])

        shown = {name: value(f"SHOW {name}") for name in _SHOWN}
        if (shown["fsync"], shown["synchronous_commit"]) != ("on", "on"):
            raise RuntimeError(f"commits of the server are not durable: {shown}")
        changed = ", ".join(text for (text,) in self.server.execute(_CHANGED))
        return {
            "postgresql": value("SHOW server_version"),
            "psycopg": psycopg.__version__,
            "settings": " ".join(f"{name}={setting}" for name, setting in shown.items()),
            "not the default": changed or "no setting",
            "durability": "all contestants wait until the server has synced their commits",
        }


@contextmanager
def stage(directory: Path | None) -> Generator[Stage]:
    """Start a server with both databases.

    Raises:
        SystemExit: PostgreSQL's programs are missing.
    """
    if programs.find("initdb") is None:
        raise SystemExit(f"bench: {programs.missing('initdb')}")
    if directory is not None:
        tempfile.tempdir = str(directory)  # the server takes no folder
    # The server of the tests is smaller than the default.
    with Server(
        shared_buffers="128MB",
        checkpoint_completion_target="0.9",
        max_parallel_workers_per_gather=2,
    ) as server:
        for name in (FAST, SLOW):
            server.create_database(name)
        # By default, a commit waits only while five other transactions are open.
        server.execute(f"ALTER DATABASE {SLOW} SET commit_siblings = 0")
        server.execute(f"ALTER DATABASE {SLOW} SET commit_delay = {round(DELAY * 1e6)}")
        yield Stage(server, directory)


def commit_time(place: Place, commits: int = 50) -> float:
    """Return the median seconds of an insert of one small row, in a new schema."""
    place.execute("CREATE SCHEMA {s}")
    place.execute("CREATE TABLE {s}.numbers (n int)")
    insert, times = place.sql("INSERT INTO {s}.numbers VALUES (%s)"), list[float]()
    with place.connect() as connection:
        for n in range(commits):
            start = perf_counter()
            connection.execute(insert, (n,))
            times.append(perf_counter() - start)
    return median(times)


@asynccontextmanager
async def open_mobstore(place: Place) -> AsyncGenerator[MobStores]:
    """Open a durable store in a place."""
    async with open_stores(place.url, durability="full") as stores:
        yield stores


async def create_tables(place: Place) -> None:
    """Create mobstore's tables in a place."""
    async with open_mobstore(place):
        pass
