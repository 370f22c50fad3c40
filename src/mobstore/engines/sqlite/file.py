"""Store files: check, create and upgrade them when they are opened.

A mobstore file carries `application_id` "mobs", and the number of its format in `user_version`.
Any other file is rejected before a byte of it is changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from mobstore.engines.sqlite.connections import (
    Mode,
    connect,
    find,
    has_content,
    has_log,
    resolve,
    unchanging,
)
from mobstore.engines.sqlite.driver_errors import is_busy, retrying, translate
from mobstore.engines.sqlite.layout import check, entries
from mobstore.engines.sqlite.rows import SCHEMA
from mobstore.engines.sqlite.upgrade import statements, upgrade
from mobstore.errors import ReadFailedError, WriteFailedError
from mobstore.scripts.tables import FORMAT, IDENTITY
from mobstore.scripts.transaction import Durability

APPLICATION_ID = int.from_bytes(b"mobs", "big")
_TABLES = {"counters", "events", "runs", "run_states", "specs", "realm_profiles"}
_SYNCHRONOUS: dict[Durability, str] = {
    "full": "PRAGMA synchronous = FULL",
    "normal": "PRAGMA synchronous = NORMAL",
}


def open_file(
    path: Path, *, durability: Durability, timeout: float, create: bool
) -> sqlite3.Connection:
    """Open a mobstore file for writing; `create` it if it is missing or empty.

    Raises:
        ReadFailedError: it cannot be opened or must not be: another kind of file, a newer format.
        WriteFailedError: it cannot be written, or is locked for longer than `timeout` seconds.
        InternalError: it was open when this process was forked.
    """
    _look(path, timeout, create=create)
    with (
        _in_our_words(path, writing=True),
        _kept_open(connect(path, "rwc" if create else "rw")) as connection,
    ):
        # Eight processes that create one file at once do collide; see SQLite's "WAL", section 7.
        retrying(lambda: _prepare(connection, path, create=create), timeout)
        connection.execute(_SYNCHRONOUS[durability])
        return connection


def open_to_read(path: Path, mode: Mode, timeout: float) -> sqlite3.Connection:
    """Open a mobstore file for reading only; nothing in it or beside it is changed.

    Raises:
        ReadFailedError: it cannot be opened or must not be: no store, another format.
        InternalError: it was open when this process was forked.
    """
    # Before it is connected in a way in which SQLite might write to it.
    _check_readable(_look(path, timeout, create=False), path)
    with _in_our_words(path, writing=False), _kept_open(connect(path, mode)) as connection:
        _check_readable(retrying(lambda: _format(connection, path), timeout), path)
        return connection


def _check_readable(found: int | None, path: Path) -> None:
    if found is None:
        raise ReadFailedError(
            f"{path} was left in the middle of a write; open it once for writing, which takes that"
            " write back"
        )
    if found == 0:
        raise _no_store(path)
    if found < FORMAT:
        raise ReadFailedError(
            f"{path} has mobstore format {found}, and to be read it needs {FORMAT}; to open it once"
            " for writing upgrades it"
        )


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database, as SQLite says; an empty file is none.

    Raises:
        ReadFailedError: it is no file, or cannot be read.
        InternalError: it was open when this process was forked.
    """
    given, path = path, resolve(path)
    with _in_our_words(path, writing=False):
        status = find(path)
        if status is None:
            raise ReadFailedError(f"{given} is not a file; is the name right?")
        if status.st_size < 2:  # SQLite takes it for an empty database
            return False

        def look() -> None:
            with unchanging(path) as looking:
                looking.execute("PRAGMA schema_version").fetchone()

        try:
            retrying(look, 5)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            return False
        return True


@contextmanager
def _in_our_words(path: Path, *, writing: bool) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path, writing=writing) from error


@contextmanager
def _kept_open(connection: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    """Close a connection unless the block ends well."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _look(path: Path, timeout: float, *, create: bool) -> int | None:
    """Refuse what is no store, without changing it.

    Even to close a connection that may write can change a file that a crash left behind.

    Returns:
        Its format, 0 if it is empty; None if a write to it was left in the middle.
    """
    status = find(path)
    if status is None:
        if not create:
            raise ReadFailedError(f"{path} does not exist; is the name right?")
        if not has_log(path):
            return 0
        status = find(path)  # another process may have made it just now
    if status is None or (status.st_size == 0 and has_content(path)):
        raise ReadFailedError(
            f"{path} is not there, or empty, but a log of it is ({path.name}-wal or"
            f" {path.name}-journal), and may hold the last commits of a file that was moved or"
            " lost: SQLite would remove it. Put the file back, name another one, or remove the log"
        )
    if status.st_size == 0 and not has_log(path):
        if not create:
            raise _no_store(path)
        return 0

    if status.st_size == 1:  # SQLite takes it for empty, and it may be somebody's
        raise ReadFailedError(f"{path} is not a SQLite database; name another file")

    def look() -> int:
        with unchanging(path, timeout) as looking:
            return _format(looking, path)

    try:
        return retrying(look, timeout)
    except UnicodeError as error:
        raise ReadFailedError(f"{path} is damaged; restore a backup") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise translate(error, path, writing=is_busy(error)) from error
        # Somebody was killed within a transaction of the older kind: also whoever makes a store.
        with closing(connect(path, "immutable")) as looking:
            if _mark(looking) != APPLICATION_ID:
                raise translate(error, path, writing=False) from error
        return None


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    """Check what the file is; give an empty or older one the present format."""
    found = _format(connection, path)
    if found == 0:
        if not create:
            raise _no_store(path)
        _make(connection, path)
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        raise WriteFailedError(f"{path} lies where SQLite cannot keep a WAL; use a local disk")
    with _transaction(connection):
        found = _format(connection, path)  # another process may have been faster
        if found < FORMAT:
            upgrade(connection, found)
        # A file that cannot be written is better refused now. BEGIN alone does not notice.
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        if found < FORMAT:
            connection.execute("COMMIT")


def _make(connection: sqlite3.Connection, path: Path) -> None:
    """Make an empty file a store.

    Without a WAL, so that all of it lies in the file itself: a copy of it is a store from the
    beginning, and nobody takes it for an empty file.
    """
    connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    with _transaction(connection):
        if _format(connection, path) == 0:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES (?, ?)", (IDENTITY, str(uuid4())))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None]:
    """A transaction that is undone unless the block commits it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        _rollback(connection)


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # some failures have undone it already
        connection.execute("ROLLBACK")


def _format(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a file of ours; 0 if it is empty."""
    looking = not connection.in_transaction
    if looking:
        connection.execute("BEGIN")  # another process may be creating the store right now
    try:
        application = _mark(connection)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        found = entries(connection, path) if version <= FORMAT else []
    finally:
        if looking:
            _rollback(connection)
    if application == APPLICATION_ID:
        if version > FORMAT:
            raise ReadFailedError(
                f"{path} has mobstore format {version}, this mobstore knows {FORMAT}; update it"
            )
        if version < 1:
            raise ReadFailedError(f"{path} is damaged: it has no format; restore a backup")
        check(found, path, statements(version))
        return int(version)
    names = {entry.name for entry in found}
    if names >= _TABLES:
        raise ReadFailedError(
            f"{path} has the tables of a store but not its mark, as a copy made by `.dump`: make"
            " the copy with `mobstore copy`. If there is no other, mark this one with PRAGMA"
            f" application_id = {APPLICATION_ID} and with PRAGMA user_version = its format (now"
            f" {FORMAT}), then look with `mobstore verify`"
        )
    if {"mob_events", "mob_runs"} <= names:
        raise ReadFailedError(
            f"{path} is a database of meerkat-mob; copy it with `mobstore import {path} URL`"
        )
    if found or application or version:
        raise ReadFailedError(f"{path} is a SQLite database of another program; name another file")
    return 0


def _mark(connection: sqlite3.Connection) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    return int(application)


def _no_store(path: Path) -> ReadFailedError:
    return ReadFailedError(f"{path} is empty, there is no store in it; is the name right?")
