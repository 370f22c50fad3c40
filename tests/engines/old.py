"""Files of older formats, made from those of today, and what dies on the way to the present one."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from unittest.mock import patch

from engines.support import TESTS, plain, query, say
from mobstore import open_stores
from mobstore.engines.sqlite import file
from mobstore.engines.sqlite.upgrade import upgrade
from mobstore.meerkat import import_meerkat
from mobstore.scripts.tables import META, TABLES

_TO_FORMAT_1 = """
BEGIN;
ALTER TABLE events RENAME TO new_events;
ALTER TABLE runs RENAME TO new_runs;
ALTER TABLE run_states RENAME TO new_run_states;
DROP INDEX events_by_mob;
DROP INDEX events_by_time;
DROP INDEX runs_by_mob;
DROP INDEX runs_by_flow;
CREATE TABLE "events" ("cursor" INTEGER NOT NULL, "mob_id" TEXT NOT NULL,
    "timestamp" TEXT NOT NULL, "type" TEXT NOT NULL, "kind" TEXT NOT NULL, PRIMARY KEY ("cursor"));
CREATE INDEX "events_by_mob" ON "events" ("mob_id", "cursor");
CREATE INDEX "events_by_time" ON "events" ("timestamp");
CREATE TABLE "runs" ("run_id" TEXT NOT NULL, "number" INTEGER NOT NULL, "mob_id" TEXT NOT NULL,
    "flow_id" TEXT NOT NULL, "activation_params" TEXT NOT NULL, "created_at" TEXT NOT NULL,
    "schema_version" INTEGER NOT NULL, PRIMARY KEY ("run_id"));
CREATE INDEX "runs_by_mob" ON "runs" ("mob_id", "number");
CREATE INDEX "runs_by_flow" ON "runs" ("mob_id", "flow_id", "number");
CREATE TABLE "run_states" ("run_id" TEXT NOT NULL, "status" TEXT NOT NULL,
    "flow_state" TEXT NOT NULL, "completed_at" TEXT, PRIMARY KEY ("run_id"));
INSERT INTO events SELECT cursor, mob_id, timestamp, type, kind FROM new_events;
INSERT INTO runs SELECT run_id, number, mob_id, flow_id, activation_params, created_at,
    schema_version FROM new_runs;
INSERT INTO run_states SELECT run_id, status, flow_state, nullif(completed_at, '')
    FROM new_runs JOIN new_run_states USING (run_id);
DROP TABLE new_events;
DROP TABLE new_runs;
DROP TABLE new_run_states;
DROP TABLE meta;
PRAGMA user_version = 1;
COMMIT;
"""
_TO_FORMAT_2 = "BEGIN; DROP TABLE meta; PRAGMA user_version = 2; COMMIT;"


def make_old(path: Path, version: int) -> list[object]:
    """Make a file of an older format with the reference's sample in it.

    Returns:
        What `content` gives once it is upgraded.
    """
    sample = path.with_name("sample.db")
    sample.write_bytes(
        gzip.decompress((TESTS / "golden" / "tide-desk-meerkat-0.5.2.db.gz").read_bytes())
    )

    async def fill() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await import_meerkat(sample, stores)

    asyncio.run(fill())
    sample.unlink()
    before = content(path)
    with closing(plain(path)) as connection:
        connection.executescript(re.sub(r"\n +", " ", {1: _TO_FORMAT_1, 2: _TO_FORMAT_2}[version]))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before


def content(path: Path) -> list[object]:
    """How a file of the present format is laid out, and all its rows but its identity."""
    layout = query(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    rows = [
        query(path, f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}")
        for table in TABLES
        if table is not META
    ]
    return [query(path, "PRAGMA user_version"), layout, *rows]


def die_upgrading(path: str, directory: str) -> None:
    """Open copies of a file, each in a process that kills itself before another statement.

    Tells how many have died: one more had no statement left to die before.
    """
    for number in count():
        copy = Path(directory) / f"{number}.db"
        shutil.copyfile(path, copy)
        child = os.fork()
        if child == 0:
            with patch.object(file, "upgrade", _killed_before(number)):
                asyncio.run(_open(copy))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, "the upgrade failed"
            say(str(number))
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def _killed_before(number: int) -> Callable[[sqlite3.Connection, int], None]:
    def watched(connection: sqlite3.Connection, found: int) -> None:
        statements = count()

        def trace(_: str) -> None:
            if next(statements) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.execute("PRAGMA cache_size = 4")  # so that pages are written before the commit
        connection.set_trace_callback(trace)
        upgrade(connection, found)

    return watched


async def _open(path: Path) -> None:
    async with open_stores(f"sqlite:{path}"):
        pass
