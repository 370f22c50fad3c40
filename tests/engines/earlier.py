"""Made-up earlier formats, and processes that die while they upgrade a file.

No release has written an earlier format. Within `as_format_3` today's layout is format 3. Format 2
has no identity. Format 1 also has no run beside its events.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

from engines.children import open_new
from engines.support import TESTS, plain, query, say
from mobstore import open_stores
from mobstore.engines.sqlite import condition, file, upgrade
from mobstore.engines.sqlite.rows import SCHEMA
from mobstore.engines.sqlite.upgrade import EarlierFormat
from mobstore.meerkat import import_meerkat
from mobstore.scripts.tables import META, TABLES

_META = tuple(sql for sql in SCHEMA if '"meta"' in sql)
_EVENTS = tuple(sql for sql in SCHEMA if '"events"' in sql)
_EVENTS_1 = (
    'CREATE TABLE "events" ("cursor" INTEGER NOT NULL, "mob_id" TEXT NOT NULL,'
    ' "timestamp" TEXT NOT NULL, "type" TEXT NOT NULL, "kind" TEXT NOT NULL,'
    ' PRIMARY KEY ("cursor"))',
    'CREATE INDEX "events_by_mob" ON "events" ("mob_id", "cursor")',
    'CREATE INDEX "events_by_time" ON "events" ("timestamp")',
)
_FORMAT_2 = tuple(sql for sql in SCHEMA if sql not in _META)
_FORMAT_1 = (*(sql for sql in _FORMAT_2 if sql not in _EVENTS), *_EVENTS_1)


def _replace_events(connection: sqlite3.Connection, created: tuple[str, ...], select: str) -> None:
    connection.execute("ALTER TABLE events RENAME TO old_events")
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE tbl_name = 'old_events' AND type = 'index'"
    ).fetchall():
        connection.execute(f'DROP INDEX "{name}"')
    for statement in created:
        connection.execute(statement)
    connection.execute(f"INSERT INTO events SELECT {select} FROM old_events")
    connection.execute("DROP TABLE old_events")


def _to_format_2(connection: sqlite3.Connection) -> None:
    run_id = "ifnull(json_extract(kind, '$.run_id'), '')"
    _replace_events(connection, _EVENTS, f"cursor, mob_id, timestamp, type, {run_id}, kind")


def _to_format_3(connection: sqlite3.Connection) -> None:
    for statement in _META:
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('identity', ?)", (str(uuid4()),))


EARLIER = {
    1: EarlierFormat(_FORMAT_1, _to_format_2),
    2: EarlierFormat(_FORMAT_2, _to_format_3),
}


@contextmanager
def as_format_3() -> Generator[None]:
    """Make today's layout format 3, with two earlier ones."""
    with ExitStack() as patches:
        patches.enter_context(patch.dict(upgrade.EARLIER, EARLIER))
        for module in (condition, file, upgrade):
            patches.enter_context(patch.object(module, "FORMAT", 3))
        yield


def make_earlier(path: Path, version: int) -> list[object]:
    """Make a file of an earlier format with the reference's sample in it.

    Returns:
        What `content` returns once the file is upgraded.
    """
    sample = path.with_name("sample.db")
    sample.write_bytes(
        gzip.decompress((TESTS / "golden" / "tide-desk-meerkat-0.5.2.db.gz").read_bytes())
    )

    async def fill() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await import_meerkat(sample, stores)

    with as_format_3():
        asyncio.run(fill())
    sample.unlink()
    before = content(path)
    with closing(plain(path)) as connection:
        connection.execute("BEGIN")
        connection.execute("DROP TABLE meta")
        if version == 1:
            _replace_events(connection, _EVENTS_1, "cursor, mob_id, timestamp, type, kind")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before


def content(path: Path) -> list[object]:
    """Return the layout of a file, and all its rows but its identity."""
    layout = query(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    rows = [
        query(path, f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}")
        for table in TABLES
        if table is not META
    ]
    return [query(path, "PRAGMA user_version"), layout, *rows]


def open_and_upgrade(name: str) -> None:
    """Run `open_new` where today's layout is format 3."""
    with as_format_3():
        open_new(name)


def die_upgrading(path: str, directory: str) -> None:
    """Open copies of a file, each in a process that kills itself before another statement.

    Prints how many have died. The process after them has no statement left to die before.
    """
    for number in count():
        copy = Path(directory) / f"{number}.db"
        shutil.copyfile(path, copy)
        child = os.fork()
        if child == 0:
            with as_format_3(), patch.object(file, "upgrade", _killed_before(number)):
                asyncio.run(open_once(copy))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, "the upgrade failed"
            say(str(number))
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def _killed_before(number: int) -> Callable[[sqlite3.Connection, int], None]:
    def watched(connection: sqlite3.Connection, version: int) -> None:
        statements = count()

        def trace(_: str) -> None:
            if next(statements) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.execute("PRAGMA cache_size = 4")  # so that pages are written before the commit
        connection.set_trace_callback(trace)
        upgrade.upgrade(connection, version)

    return watched


async def open_once(path: Path) -> None:
    async with open_stores(f"sqlite:{path}"):
        pass
