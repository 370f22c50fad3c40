"""The SQLite layout of the reference, meerkat-mob 0.5.2, and how its files are recognised.

Nothing of a file is read before its list of tables is known to be the reference's: a view or a
generated column can compute for ever, and an index or a trigger tells that another program was at
it.
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
"""Its tables and their columns. JSON is stored as bytes, all other text as text."""

CURSOR_KEY = "next_cursor"
"""The only key of `mob_event_meta`."""

KEY_INDEXES = {
    table: f"sqlite_autoindex_{table}_1"
    for table, columns in SCHEMA.items()
    if "TEXT PRIMARY KEY" in columns
}
"""The indexes that SQLite makes for the keys of tables."""

_NEWER = ("mob_runtime_", "mob_identity_", "mob_run_remote_", "mob_external_deliveries")
_LATER = "realm_profiles"  # not in 0.5.1; and in a file by itself until that is first used
_NAMES = "|".join([*SCHEMA, *(re.findall(r"\b[a-z_]+", " ".join(SCHEMA.values())))])
_WORDS = re.compile(  # of what is quoted, names only: a quoted keyword is none
    rf"""--[^\n]*|/\*.*?(?:\*/|\Z)|\s+|"({_NAMES})"|\[({_NAMES})\]|`({_NAMES})`|(\w+|.)""",
    re.DOTALL | re.ASCII | re.IGNORECASE,
)


def check_tables(file: sqlite3.Connection, path: Path) -> set[str]:
    """Refuse what is not of 0.5.1 or 0.5.2; give the names of its tables.

    Args:
        file: the file, within a transaction.
        path: where it is, for messages.

    Raises:
        ReadFailedError: its tables are those of another release or program, or it holds more.
        sqlite3.Error: the file cannot be read.
    """
    if file.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        raise ReadFailedError(f"{path} is a store of mobstore; open it as sqlite:{path}")
    found = entries(file, path)
    _refuse_newer(found, path)
    tables = {entry.name for entry in found if entry.name in SCHEMA}
    if not tables:
        raise ReadFailedError(f"{path} has no table of meerkat-mob")
    expected = {_LATER} if tables == {_LATER} else SCHEMA.keys() - ({_LATER} - tables)
    indexes = {KEY_INDEXES[table] for table in expected if table in KEY_INDEXES}
    for entry in found:
        if entry.type == "table" and entry.name in expected:
            if _words(entry.sql or "") != _made(entry.name):
                raise _foreign(path, f"its {entry.label} is made in another way")
        elif entry.automatic and entry.name in indexes:
            indexes.remove(entry.name)
        elif not (entry.automatic and entry.type == "table"):  # statistics
            raise _foreign(path, f"its {entry.label} is none of theirs")
    missing = sorted(expected - tables) or sorted(indexes)
    if missing:
        kind = "table" if missing[0] in SCHEMA else "index"
        raise _foreign(path, f"its {kind} {missing[0]} is missing")
    return tables


def _refuse_newer(found: Sequence[Entry], path: Path) -> None:
    names = {entry.name for entry in found}
    if "meerkat_schema" in names:
        raise newer(path, "0.8.4 or newer", "it has the table meerkat_schema")
    if any(entry.name == "mob_events" and "mob_id" in _words(entry.sql or "") for entry in found):
        raise newer(path, "0.8.2 or newer", "mob_events has a column mob_id")
    for name in sorted(names):
        if name.startswith(_NEWER):
            raise newer(path, "0.6 or newer", f"it has the table {brief(name)}")


def _words(sql: str) -> list[str]:
    """What SQL says, however it is spaced, quoted and written in capitals."""
    return [word.lower() for parts in _WORDS.findall(sql) if (word := "".join(parts))]


def _made(table: str) -> list[str]:
    return _words(f"CREATE TABLE {table} ({SCHEMA[table]})")


def _foreign(path: Path, what: str) -> ReadFailedError:
    return ReadFailedError(
        f"{path} is not made as meerkat-mob 0.5.1 and 0.5.2 make it: {what}. Nothing was read from"
        " its tables. If another program has changed that, change it back in a copy of the file and"
        " import the copy; if it is damaged, restore a backup"
    )


def newer(path: Path, release: str, sign: str) -> ReadFailedError:
    """What to say of a file of another release."""
    return ReadFailedError(
        f"{path} was written by meerkat-mob {release} ({sign});"
        " only files of 0.5.1 and 0.5.2 can be imported"
    )
