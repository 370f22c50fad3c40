"""SQLite's own check of a file, below its rows."""

from __future__ import annotations

import sqlite3

from mobstore.engines.sqlite.condition import is_corruption


def check_integrity(connection: sqlite3.Connection) -> list[str]:
    """Return the corruption that SQLite finds; the layout was checked when the file was opened.

    Raises:
        sqlite3.Error: the file is locked, or the disk fails.
    """
    try:
        found = [str(text) for (text,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        if not is_corruption(error):
            raise
        return ["SQLite reports that the file is corrupt, but not where"]
    return [] if found == ["ok"] else [f"SQLite: {text}" for text in found]
