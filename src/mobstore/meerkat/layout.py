"""The SQLite layout of the reference, meerkat-mob 0.5.2, and a check of a file against it.

No table is read before the list of tables is known to be the reference's. A view or a generated
column can compute forever, and an index or a trigger shows that another program changed the file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mobstore.engines.sqlite.file import APPLICATION_ID
from mobstore.engines.sqlite.layout import Entry, entries
from mobstore.errors import ReadFailedError
from mobstore.model.text import brief

SCHEMA = {
    "mob_events": "cursor INTEGER PRIMARY KEY, event_json BLOB NOT NULL",
    "mob_event_meta": "key TEXT PRIMARY KEY, value INTEGER NOT NULL",
    "mob_runs": "run_id TEXT PRIMARY KEY, run_json BLOB NOT NULL",
    "mob_specs": "mob_id TEXT PRIMARY KEY, spec_json BLOB NOT NULL",
    "realm_profiles": (
        "name TEXT PRIMARY KEY, profile_json BLOB NOT NULL, revision INTEGER NOT NULL DEFAULT 1,"
        " created_at TEXT NOT NULL, updated_at TEXT NOT NULL"
    ),
}
"""The tables and their columns. JSON is stored as bytes, all other text as text."""

CURSOR_KEY = "next_cursor"
"""The only key of `mob_event_meta`."""

KEY_INDEXES = {
    table: f"sqlite_autoindex_{table}_1"
    for table, columns in SCHEMA.items()
    if "TEXT PRIMARY KEY" in columns
}
"""The indexes that SQLite creates for the keys of tables."""

_NEWER = ("mob_runtime_", "mob_identity_", "mob_run_remote_", "mob_external_deliveries")
_OPTIONAL = "realm_profiles"  # not in 0.5.1; in 0.5.2 also alone, until the others are used
_NAMES = "|".join([*SCHEMA, *(re.findall(r"\b[a-z_]+", " ".join(SCHEMA.values())))])
_WORDS = re.compile(  # quoted words count only if they are names: a quoted keyword is no keyword
    rf"""--[^\n]*|/\*.*?(?:\*/|\Z)|\s+|"({_NAMES})"|\[({_NAMES})\]|`({_NAMES})`|(\w+|.)""",
    re.DOTALL | re.ASCII | re.IGNORECASE,
)


def check_tables(file: sqlite3.Connection, path: Path) -> set[str]:
    """Check that a file has the layout of 0.5.1 or 0.5.2, and return the names of its tables.

    Args:
        file: the file, within a transaction.
        path: its path, for messages.

    Raises:
        ReadFailedError: the file is of another release or program, or holds other entries.
        sqlite3.Error: the file cannot be read.
    """
    if file.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        raise ReadFailedError(f"{path} is a store of mobstore; open it as sqlite:{path}")
    found = entries(file, path)
    _reject_newer(found, path)
    tables = {entry.name for entry in found if entry.name in SCHEMA}
    if not tables:
        raise ReadFailedError(f"{path} has no table of meerkat-mob")
    expected = {_OPTIONAL} if tables == {_OPTIONAL} else SCHEMA.keys() - ({_OPTIONAL} - tables)
    indexes = {KEY_INDEXES[table] for table in expected if table in KEY_INDEXES}
    for entry in found:
        if entry.type == "table" and entry.name in expected:
            if _words(entry.sql or "") != _created_words(entry.name):
                raise _foreign(path, f"its {entry.label} differs from theirs")
        elif entry.automatic and entry.name in indexes:
            indexes.remove(entry.name)
        elif not (entry.automatic and entry.type == "table"):  # statistics
            raise _foreign(path, f"its {entry.label} is not one of theirs")
    missing = sorted(expected - tables) or sorted(indexes)
    if missing:
        kind = "table" if missing[0] in SCHEMA else "index"
        raise _foreign(path, f"its {kind} {missing[0]} is missing")
    return tables


def _reject_newer(found: Sequence[Entry], path: Path) -> None:
    names = {entry.name for entry in found}
    if "meerkat_schema" in names:
        raise newer(path, "0.8.4 or newer", "it has the table meerkat_schema")
    if any(entry.name == "mob_events" and "mob_id" in _words(entry.sql or "") for entry in found):
        raise newer(path, "0.8.2 or newer", "mob_events has a column mob_id")
    for name in sorted(names):
        if name.startswith(_NEWER):
            raise newer(path, "0.6 or newer", f"it has the table {brief(name)}")


def _words(sql: str) -> list[str]:
    """Return the words of SQL in lower case, without spacing, quotes and comments."""
    return [word.lower() for parts in _WORDS.findall(sql) if (word := "".join(parts))]


def _created_words(table: str) -> list[str]:
    return _words(f"CREATE TABLE {table} ({SCHEMA[table]})")


def _foreign(path: Path, what: str) -> ReadFailedError:
    return ReadFailedError(
        f"{path} does not have the layout of meerkat-mob 0.5.1 and 0.5.2: {what}. Its tables were"
        " not read. If another program has changed it, undo the change in a copy of the file and"
        " import the copy; if the file is damaged, restore a backup"
    )


def newer(path: Path, release: str, sign: str) -> ReadFailedError:
    """Return the error for a file of a newer release, or of 0.5.0."""
    return ReadFailedError(
        f"{path} was written by meerkat-mob {release} ({sign});"
        " only files of 0.5.1 and 0.5.2 can be imported"
    )
