"""What is wrong with a SQLite file beneath its rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from mobstore.engines.sqlite.condition import is_damage
from mobstore.engines.sqlite.rows import SCHEMA


def faults(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds damaged, and what in the file is not of our layout.

    Raises:
        sqlite3.Error: the file is locked, or the disk refused.
    """
    found = _damages(connection)
    try:
        there = _layout(connection)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return found
        raise
    with closing(sqlite3.connect(":memory:")) as empty:
        for statement in SCHEMA:
            empty.execute(statement)
        ours = _layout(empty)
    for name, made in ours.items():
        if name not in there:
            found.append(f"{' '.join(name)} is missing")
        elif there[name] != made:
            found.append(f"{' '.join(name)} is made in another way than by mobstore")
    found += [f"{' '.join(name)} is not of mobstore" for name in there if name not in ours]
    return found


def _damages(connection: sqlite3.Connection) -> list[str]:
    try:
        found = [str(text) for (text,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return ["SQLite finds the file damaged, and cannot tell where"]
    return [] if found == ["ok"] else [f"SQLite: {text}" for text in found]


def _layout(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """The statement that made each thing, by its kind and name; not of what SQLite made itself."""
    return {
        (kind, name): made
        for kind, name, made in connection.execute("SELECT type, name, sql FROM sqlite_master")
        if made is not None
    }
