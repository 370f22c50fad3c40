"""The SQLite layout of the reference, meerkat-mob 0.5.2, and how its files are recognised."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mobstore.engines.sqlite.connecting import find, resolve, unchanging
from mobstore.engines.sqlite.file import APPLICATION_ID, translate
from mobstore.errors import ReadFailedError, reason

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

_NEWER = ("mob_runtime_", "mob_identity_", "mob_run_remote_", "mob_external_deliveries")


def check_source(path: Path) -> None:
    """Refuse what is no database of meerkat-mob 0.5.1 or 0.5.2, as far as its tables tell.

    Raises:
        ReadFailedError: the file cannot be read, is damaged, or of another release or program.
        InternalError: it was open when this process was forked.
    """
    with source(path) as file:
        check_tables(file, path)


@contextmanager
def source(path: Path) -> Generator[sqlite3.Connection]:
    """Open a file for reading only; not one byte of it is changed.

    Raises:
        ReadFailedError: it cannot be read, is no SQLite database, or was written meanwhile although
            nobody used it at first.
        InternalError: it was open when this process was forked.
    """
    file = resolve(path)
    try:
        if find(file) is None:
            raise ReadFailedError(f"{path} is not a file; name a database of meerkat-mob")
        with unchanging(file) as connection:
            yield connection
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_NOTADB:
            raise translate(error, path, writing=False) from error
        # SQLite has said that nobody can have it open as a database.
        if _begins_with(file, b"redb"):
            raise newer(path, "0.5.0", "it is a redb file") from error
        raise ReadFailedError(
            f"{path} is not a SQLite database; name one of meerkat-mob"
        ) from error


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise ReadFailedError(f"{path} cannot be read: {reason(error)}") from error


def check_tables(file: sqlite3.Connection, path: Path) -> set[str]:
    """Refuse what is not of 0.5.1 or 0.5.2; give the names of its tables.

    Raises:
        ReadFailedError: its tables are those of another release or program.
    """
    file.execute("BEGIN")  # one state of the file throughout
    names = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
    if file.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        raise ReadFailedError(f"{path} is a store of mobstore; open it as sqlite:{path}")
    if "meerkat_schema" in names:
        raise newer(path, "0.8.4 or newer", "it has the table meerkat_schema")
    columns = {name for _, name, *_ in file.execute("PRAGMA table_info(mob_events)")}
    if "mob_id" in columns:
        raise newer(path, "0.8.2 or newer", "mob_events has a column mob_id")
    for name in sorted(names):
        if name.startswith(_NEWER):
            raise newer(path, "0.6 or newer", f"it has the table {name}")
    if not names & SCHEMA.keys():
        raise ReadFailedError(f"{path} has no table of meerkat-mob")
    return names


def newer(path: Path, release: str, sign: str) -> ReadFailedError:
    """What to say of a file of another release."""
    return ReadFailedError(
        f"{path} was written by meerkat-mob {release} ({sign});"
        " only files of 0.5.1 and 0.5.2 can be imported"
    )
