"""Removal of a file that was created for nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from mobstore.engines.sqlite.connections import connect, find, has_log, resolve
from mobstore.errors import MobStoreError
from mobstore.scripts.tables import META, TABLES


def remove_empty(path: Path) -> None:
    """Remove a store that has never held a row; leave any other file as it is.

    A file that is in use stays, too: SQLite leaves WAL mode only for the last connection. A process
    that waits for the lock meanwhile finds that the file is gone.
    """
    with suppress(MobStoreError, sqlite3.Error, OSError):
        path = resolve(path)
        if find(path) is None or has_log(path):  # a log: the file is in use
            return
        with closing(connect(path, "rw")) as connection:
            if _has_rows(connection):
                return
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
            if not _has_rows(connection):
                path.unlink()


def _has_rows(connection: sqlite3.Connection) -> bool:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return False  # its creation was interrupted
    return any(
        connection.execute(f'SELECT EXISTS (SELECT 1 FROM "{table.name}")').fetchone()[0]  # noqa: S608 - a declared name
        for table in TABLES
        if table is not META
    )
