"""The SQLite layout of the reference, meerkat-mob 0.5.2, and a check of a file against it.

No table is read before the list of tables is known to be harmless. A view or a generated column can
compute forever, and an index or a trigger shows that another program changed the file.

Newer releases add tables to the file, and 0.8.2 a column. Further tables are accepted whatever
their names: no value of them is read, and their rows are only counted. SQLite computes no CHECK of
a file that is opened read-only, not even when it checks the file for damage.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from mobstore.engines.sqlite.file import APPLICATION_ID
from mobstore.engines.sqlite.layout import Entry, entries
from mobstore.errors import ReadFailedError

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

_OF_0_8_2 = {
    "mob_events": (  # in new files, and in those of an earlier release
        "cursor INTEGER PRIMARY KEY, mob_id TEXT, event_json BLOB NOT NULL",
        "cursor INTEGER PRIMARY KEY, event_json BLOB NOT NULL, mob_id TEXT",
    )
}
_INDEX_OF_0_8_2 = ("mob_events", "mob_events_mob_cursor")
_OPTIONAL = "realm_profiles"  # not in 0.5.1; in 0.5.2 also alone, until the others are used
_NAMES = "|".join([*SCHEMA, *(re.findall(r"\b[a-z_]+", " ".join(SCHEMA.values())))])
_WORDS = re.compile(  # quoted words count only if they are names: a quoted keyword is no keyword
    rf"""--[^\n]*|/\*.*?(?:\*/|\Z)|\s+|"({_NAMES})"|\[({_NAMES})\]|`({_NAMES})`|(\w+|.)""",
    re.DOTALL | re.ASCII | re.IGNORECASE,
)


class Tables(NamedTuple):
    """The tables of a file.

    Attributes:
        own: the names of the reference's tables that exist.
        further: the names of all other tables.
    """

    own: frozenset[str]
    further: tuple[str, ...]


def check_tables(file: sqlite3.Connection, path: Path) -> Tables:
    """Check that a file has the tables of 0.5.1 or 0.5.2, and return the names of its tables.

    Args:
        file: the file, within a transaction.
        path: its path, for messages.

    Raises:
        ReadFailedError: the file is of another program, or has a view, a trigger, a virtual table,
            or an index of the reference's tables that the reference does not create.
        sqlite3.Error: the file cannot be read.
    """
    if file.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        raise ReadFailedError(f"{path} is a store of mobstore; open it as sqlite:{path}")
    found = entries(file, path)
    own = frozenset(entry.name for entry in found if entry.name in SCHEMA)
    if not own:
        raise ReadFailedError(f"{path} has no table of meerkat-mob")
    expected = {_OPTIONAL} if own == {_OPTIONAL} else SCHEMA.keys() - ({_OPTIONAL} - own)
    indexes = {KEY_INDEXES[table] for table in expected if table in KEY_INDEXES}
    further = {entry.name for entry in found if _is_further(entry)}
    for entry in found:
        if entry.type == "table" and entry.name in expected:
            if _words(entry.sql or "") not in _statements(entry.name):
                raise _foreign(path, f"its {entry.label} differs from theirs")
        elif entry.automatic and entry.name in indexes:
            indexes.remove(entry.name)
        elif not (_is_further(entry) or _is_harmless(entry, further)):
            raise _foreign(path, f"its {entry.label} is not one of theirs")
    missing = sorted(expected - own) or sorted(indexes)
    if missing:
        kind = "table" if missing[0] in SCHEMA else "index"
        raise _foreign(path, f"its {kind} {missing[0]} is missing")
    return Tables(own, tuple(sorted(further)))


def _is_further(entry: Entry) -> bool:
    """Return whether an entry is a table of another release or program, without computed columns.

    Its SQL decides: in a forged file, that of a view may be listed as a table.
    """
    words = _words(entry.sql or "")
    return (
        entry.type == "table"
        and entry.name == entry.table
        and entry.name not in SCHEMA
        and not entry.name.startswith("sqlite_")
        and "\0" not in entry.name
        and words[:2] == ["create", "table"]
        and "as" not in words
    )


def _is_harmless(entry: Entry, further: Collection[str]) -> bool:
    """Return whether an entry is an index that is never used, or a table of SQLite itself."""
    if entry.type == "index":
        return entry.table in further or (entry.table, entry.name) == _INDEX_OF_0_8_2
    return entry.type == "table" and (entry.automatic or entry.name == "sqlite_sequence")


def _words(sql: str) -> list[str]:
    """Return the words of SQL in lower case, without spacing, quotes and comments."""
    return [word.lower() for parts in _WORDS.findall(sql) if (word := "".join(parts))]


def _statements(table: str) -> list[list[str]]:
    """Return the words of each statement that creates a table in some release."""
    layouts = (SCHEMA[table], *_OF_0_8_2.get(table, ()))
    return [_words(f"CREATE TABLE {table} ({columns})") for columns in layouts]


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
        " only rows of 0.5.1 to 0.8 can be imported"
    )
