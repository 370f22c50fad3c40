"""Taking back a file that was made for nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from mobstore.engines.sqlite.connections import connect, find, has_log, resolve
from mobstore.errors import MobStoreError
from mobstore.scripts.tables import META, TABLES


def remove_empty(path: Path) -> None:
    """Remove a store in which nothing was ever kept; leave anything else as it is.

    It is left, too, if anybody has it open: without others alone SQLite gives up the log. Whoever
    waits for its lock meanwhile finds out that the file has gone.
    """
    with suppress(MobStoreError, sqlite3.Error, OSError):
        path = resolve(path)
        if find(path) is None or has_log(path):  # a log: somebody uses it
            return
        with closing(connect(path, "rw")) as connection:
            if _holds_something(connection):
                return
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
            if not _holds_something(connection):
                path.unlink()


def _holds_something(connection: sqlite3.Connection) -> bool:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return False  # it was to become a store
    return any(
        connection.execute(f'SELECT EXISTS (SELECT 1 FROM "{table.name}")').fetchone()[0]  # noqa: S608 - ours
        for table in TABLES
        if table is not META
    )
