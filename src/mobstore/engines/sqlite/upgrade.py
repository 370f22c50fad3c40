"""The tables of older formats, and from them to those of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from functools import cache
from uuid import uuid4

from mobstore.engines.sqlite.rows import SCHEMA
from mobstore.scripts.tables import FORMAT, IDENTITY

_RENAMED = ("events", "runs", "run_states")

_REFILL = (
    # An event that nobody can read must not keep the rest from being upgraded.
    "INSERT INTO events SELECT cursor, mob_id, timestamp, type,"
    " ifnull(iif(json_valid(kind), json_extract(kind, '$.run_id'), ''), ''), kind FROM old_events",
    "INSERT INTO runs SELECT run_id, number, mob_id, flow_id, status, activation_params,"
    " created_at, ifnull(completed_at, ''), schema_version FROM old_runs"
    " JOIN old_run_states USING (run_id)",
    "INSERT INTO run_states SELECT run_id, flow_state FROM old_run_states",
)


_FORMAT_1 = (
    'CREATE TABLE "events" ("cursor" INTEGER NOT NULL, "mob_id" TEXT NOT NULL,'
    ' "timestamp" TEXT NOT NULL, "type" TEXT NOT NULL, "kind" TEXT NOT NULL,'
    ' PRIMARY KEY ("cursor"))',
    'CREATE INDEX "events_by_mob" ON "events" ("mob_id", "cursor")',
    'CREATE INDEX "events_by_time" ON "events" ("timestamp")',
    'CREATE TABLE "runs" ("run_id" TEXT NOT NULL, "number" INTEGER NOT NULL,'
    ' "mob_id" TEXT NOT NULL, "flow_id" TEXT NOT NULL, "activation_params" TEXT NOT NULL,'
    ' "created_at" TEXT NOT NULL, "schema_version" INTEGER NOT NULL, PRIMARY KEY ("run_id"))',
    'CREATE INDEX "runs_by_mob" ON "runs" ("mob_id", "number")',
    'CREATE INDEX "runs_by_flow" ON "runs" ("mob_id", "flow_id", "number")',
    'CREATE TABLE "run_states" ("run_id" TEXT NOT NULL, "status" TEXT NOT NULL,'
    ' "flow_state" TEXT NOT NULL, "completed_at" TEXT, PRIMARY KEY ("run_id"))',
)


@cache
def statements(version: int) -> tuple[str, ...]:
    """What makes the tables and indexes of a format, 1 to the present one."""
    if version == FORMAT:
        return tuple(SCHEMA)
    absent = ("meta",) if version == 2 else ("meta", *_RENAMED)
    made = set(_of(absent))
    kept = tuple(statement for statement in SCHEMA if statement not in made)
    return kept if version == 2 else kept + _FORMAT_1


def upgrade(connection: sqlite3.Connection, found: int) -> None:
    """Bring a file of an older format to the present layout, within the open transaction.

    Format 2 had no identity. Format 1 also had a run's status beside its flow state, and no index
    for events of a run or for runs by status.
    """
    if found == 1:
        _from_format_1(connection)
    _create(connection, ("meta",))
    identify(connection)


def identify(connection: sqlite3.Connection) -> None:
    """Give a new file, or one that is being upgraded, its identity."""
    connection.execute("INSERT INTO meta VALUES (?, ?)", (IDENTITY, str(uuid4())))


def _from_format_1(connection: sqlite3.Connection) -> None:
    for table in _RENAMED:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name = ?",
            (f"old_{table}",),
        ).fetchall()
        for (name,) in names:
            connection.execute(f'DROP INDEX "{name}"')
    _create(connection, _RENAMED)
    for statement in _REFILL:
        connection.execute(statement)
    for table in _RENAMED:
        connection.execute(f"DROP TABLE old_{table}")


def _create(connection: sqlite3.Connection, tables: Collection[str]) -> None:
    for statement in _of(tables):
        connection.execute(statement)


def _of(tables: Collection[str]) -> list[str]:
    """What makes some tables of today, and their indexes."""
    return [
        statement
        for statement in SCHEMA
        if any(f'{verb} "{table}"' in statement for table in tables for verb in ("TABLE", "ON"))
    ]
