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
        ReadFailedError: it cannot be opened, is another kind of file, or has a newer format.
        WriteFailedError: it cannot be written, or is locked for longer than `timeout` seconds.
        UsageError: it was open when this process was forked.
    """
    _inspect(path, timeout, create=create)
    with (
        _translated(path, writing=True),
        _closed_on_error(connect(path, "rwc" if create else "rw")) as connection,
    ):
        # Processes that create one file at once may collide; see SQLite's "WAL", section 7.
        retrying(lambda: _prepare(connection, path, create=create), timeout)
        connection.execute(_SYNCHRONOUS[durability])
        return connection


def open_to_read(path: Path, mode: Mode, timeout: float) -> sqlite3.Connection:
    """Open a mobstore file read-only, without a change to it or its directory.

    Raises:
        ReadFailedError: it cannot be opened, is not a store, or has another format.
        UsageError: it was open when this process was forked.
    """
    # Before a connection through which SQLite might write to it.
    _check_readable(_inspect(path, timeout, create=False), path)
    with _translated(path, writing=False), _closed_on_error(connect(path, mode)) as connection:
        _check_readable(retrying(lambda: _format(connection, path), timeout), path)
        return connection


def _check_readable(found: int | None, path: Path) -> None:
    if found is None:
        raise ReadFailedError(
            f"{path} was left in the middle of a write; open it once for writing, which rolls that"
            " write back"
        )
    if found == 0:
        raise _empty(path)
    if found < FORMAT:
        raise ReadFailedError(
            f"{path} has mobstore format {found}, and this mobstore reads format {FORMAT}; open it"
            " once for writing to upgrade it"
        )


def is_database(path: Path) -> bool:
    """Return whether SQLite accepts a file as a database; an empty file is not one.

    Raises:
        ReadFailedError: it is not a file, or cannot be read.
        UsageError: it was open when this process was forked.
    """
    given, path = path, resolve(path)
    with _translated(path, writing=False):
        status = find(path)
        if status is None:
            raise ReadFailedError(f"{given} is not a file; is the name right?")
        if status.st_size < 2:  # SQLite takes it for an empty database
            return False

        def attempt() -> None:
            with unchanging(path) as connection:
                connection.execute("PRAGMA schema_version").fetchone()

        try:
            retrying(attempt, 5)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
                return True  # only a database has a rollback journal
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            return False
        return True


@contextmanager
def _translated(path: Path, *, writing: bool) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path, writing=writing) from error


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    """Close a connection if the block raises."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _inspect(path: Path, timeout: float, *, create: bool) -> int | None:
    """Reject a file that is not a store, without a change to it.

    A connection that may write can change a file after a crash, even when it is closed.

    Returns:
        The format, 0 if the file is empty, or None if it was left in the middle of a write.
    """
    status = find(path)
    if status is None:
        if not create:
            raise ReadFailedError(f"{path} does not exist; is the name right?")
        if not has_log(path):
            return 0
        status = find(path)  # another process may have created it just now
    if status is None or (status.st_size == 0 and has_content(path)):
        raise ReadFailedError(
            f"{path} is missing or empty, but has a log ({path.name}-wal or {path.name}-journal),"
            " which may hold the last commits of a file that was moved or lost: SQLite would remove"
            " it. Put the file back, use another one, or remove the log"
        )
    if status.st_size == 0 and not has_log(path):
        if not create:
            raise _empty(path)
        return 0

    if status.st_size == 1:  # SQLite takes it for empty and would overwrite it
        raise ReadFailedError(f"{path} is not a SQLite database; use another file")

    def attempt() -> int:
        with unchanging(path, timeout) as connection:
            return _format(connection, path)

    try:
        return retrying(attempt, timeout)
    except UnicodeError as error:
        raise ReadFailedError(f"{path} is corrupt; restore a backup") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise translate(error, path, writing=is_busy(error)) from error
        # A process was killed within a transaction with a journal, such as the creation of a store.
        with closing(connect(path, "immutable")) as connection:
            if _application_id(connection) != APPLICATION_ID:
                raise translate(error, path, writing=False) from error
        return None


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    """Check the format of a file; create or upgrade the tables if it is empty or older."""
    found = _format(connection, path)
    if found == 0:
        if not create:
            raise _empty(path)
        _make(connection, path)
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        raise WriteFailedError(f"{path} is where SQLite cannot keep a WAL; use a local disk")
    with _transaction(connection):
        found = _format(connection, path)  # another process may have been faster
        if found < FORMAT:
            upgrade(connection, found)
        # Fail now if the file is read-only. BEGIN alone does not.
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        if found < FORMAT:
            connection.execute("COMMIT")


def _make(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a store in an empty file.

    This is done without a WAL, so that the whole store is in the file itself. A copy of it is a
    store from the beginning, and never looks like an empty file.
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
    """Begin a transaction; roll it back unless the block commits it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        _rollback(connection)


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # some failures have rolled it back already
        connection.execute("ROLLBACK")


def _format(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format of a mobstore file, or 0 if the file is empty."""
    outside = not connection.in_transaction
    if outside:
        connection.execute("BEGIN")  # another process may be creating the store right now
    try:
        application = _application_id(connection)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        found = entries(connection, path) if version <= FORMAT else []
    finally:
        if outside:
            _rollback(connection)
    if application == APPLICATION_ID:
        if version > FORMAT:
            raise ReadFailedError(
                f"{path} has mobstore format {version}, this mobstore knows {FORMAT}; update it"
            )
        if version < 1:
            raise ReadFailedError(f"{path} is corrupt: it has no format; restore a backup")
        check(found, path, statements(version))
        return int(version)
    names = {entry.name for entry in found}
    if names >= _TABLES:
        raise ReadFailedError(
            f"{path} has the tables of a store but not its application id, like a copy made by"
            " `.dump`; copy the store with `mobstore copy` instead. If this is the only copy, set"
            f" PRAGMA application_id = {APPLICATION_ID} and PRAGMA user_version = its format (now"
            f" {FORMAT}), then check it with `mobstore verify`"
        )
    if {"mob_events", "mob_runs"} <= names:
        raise ReadFailedError(
            f"{path} is a database of meerkat-mob; copy it with `mobstore import {path} URL`"
        )
    if found or application or version:
        raise ReadFailedError(f"{path} is a SQLite database of another program; use another file")
    return 0


def _application_id(connection: sqlite3.Connection) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    return int(application)


def _empty(path: Path) -> ReadFailedError:
    return ReadFailedError(f"{path} is empty, there is no store in it; is the name right?")
