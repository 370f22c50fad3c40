"""What SQLite finds wrong with a file beneath its rows."""

from __future__ import annotations

import sqlite3

from mobstore.engines.sqlite.condition import is_damage


def faults(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds damaged; how the file is laid out was checked when it was opened.

    Raises:
        sqlite3.Error: the file is locked, or the disk refused.
    """
    try:
        found = [str(text) for (text,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return ["SQLite finds the file damaged, and cannot tell where"]
    return [] if found == ["ok"] else [f"SQLite: {text}" for text in found]
