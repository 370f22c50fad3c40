"""SQLite files: opening, marking and refusing them, and the driver's errors in our words.

A mobstore file carries `application_id` "mobs" and the format's number in `user_version`. A file
that is anything else is refused before a byte of it is changed.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeVar

from mobstore.engines.sqlite.rows import SCHEMA
from mobstore.engines.sqlite.upgrade import identify, upgrade
from mobstore.errors import InternalError, MobStoreError, ReadFailedError, WriteFailedError
from mobstore.tables import FORMAT
from mobstore.transaction import Durability

T = TypeVar("T")

APPLICATION_ID = int.from_bytes(b"mobs", "big")
_MAGIC = b"SQLite format 3\0"
_SYNCHRONOUS: dict[Durability, str] = {
    "full": "PRAGMA synchronous = FULL",
    "normal": "PRAGMA synchronous = NORMAL",
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def open_file(
    path: Path, *, durability: Durability, timeout: float, create: bool
) -> sqlite3.Connection:
    """Open a mobstore file for writing; `create` it if it is missing or empty.

    Raises:
        ReadFailedError: it cannot be opened or must not be: another kind of file, a newer format.
        WriteFailedError: it cannot be written, or is locked for longer than `timeout` seconds.
    """
    _refuse_unusable(path, create=create)
    connection: sqlite3.Connection | None = None
    try:
        if path.exists() and path.stat().st_size:
            # Even to close a connection that may write can change a file that a crash left behind.
            with closing(connect_unchanging(path, timeout)) as looking:
                _format(looking, path)
        connection = connect(path, "rwc")
        opened = connection
        # Eight processes that create one file at once do collide; see SQLite's "WAL", section 7.
        retrying(lambda: _prepare(opened, path), timeout)
        opened.execute(_SYNCHRONOUS[durability])
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise translate(error, path, writing=True) from error
        if isinstance(error, UnicodeError):
            raise ReadFailedError(f"{path} is damaged; restore a backup") from error
        raise
    return connection


def connect(path: Path, mode: Literal["rw", "rwc"]) -> sqlite3.Connection:
    """A bare connection for any thread: no implicit transactions, no waiting for locks.

    It does not checkpoint by itself; `checkpoints.py` says why.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False,
        cached_statements=256,
    )  # fmt: skip
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
    return connection


def connect_unchanging(path: Path, timeout: float = 5) -> sqlite3.Connection:
    """A connection that does not change one byte of the file.

    A file that nobody uses (it has no log beside it) is not even locked, and nothing is left
    beside it.
    """
    logs = (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-journal"))
    unused = not any(log.exists() for log in logs)
    # Of a file that nobody uses, `ro` alone would leave a -wal and a -shm behind.
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if unused else ''}"
    return sqlite3.connect(
        uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False
    )


def retrying(attempt: Callable[[], T], patience: float) -> T:
    """Try again while another process holds a lock, for at most `patience` seconds.

    Short random pauses serve four busy processes twice as fast as SQLite's own waiting, and
    none of them starves.

    Raises:
        sqlite3.Error: the last attempt's error.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - spreads load, guards nothing


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds a lock that this one needs."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


def translate(
    error: sqlite3.Error, path: Path, *, writing: bool, committing: bool = False
) -> MobStoreError:
    """Say in our words what the driver refused; its own text may quote what was stored."""
    code = getattr(error, "sqlite_errorcode", None)
    kind: type[ReadFailedError | WriteFailedError]
    kind = WriteFailedError if writing else ReadFailedError
    if isinstance(error, sqlite3.ProgrammingError) or code == sqlite3.SQLITE_MISUSE:
        return InternalError("the database was used wrongly; this is a fault of mobstore")
    if code is None:
        return kind(f"{path} holds text that is not UTF-8: the file is damaged; restore a backup")
    name = getattr(error, "sqlite_errorname", "SQLite error")
    primary = code & 0xFF
    if primary in _BUSY:
        return kind(f"{path} is locked by another process; try again", retry_safe=True)
    if primary == sqlite3.SQLITE_FULL:
        return kind(f"no room to write {path}; free some disk space", retry_safe=True)
    if primary == sqlite3.SQLITE_READONLY:
        return kind(f"{path} is read-only; make the file and its directory writable")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return kind(f"{path} cannot be opened ({name}); is its directory there and accessible?")
    if primary == sqlite3.SQLITE_NOTADB:
        return kind(f"{path} is not a SQLite database, or its header is damaged")
    if primary == sqlite3.SQLITE_CORRUPT:
        return kind(f"{path} is damaged ({name}); restore a backup")
    if primary == sqlite3.SQLITE_IOERR:
        # A commit frame may have reached the disk although the call that wrote it failed.
        return kind(f"the disk refused {path} ({name})", maybe_written=committing)
    return kind(f"{path}: {name}")


def _refuse_unusable(path: Path, *, create: bool) -> None:
    try:
        if path.is_dir():
            raise ReadFailedError(f"{path} is a directory; name a file in it")
        if not path.parent.is_dir():
            raise ReadFailedError(f"the directory {path.parent} does not exist; create it first")
        if not create and not path.exists():
            raise ReadFailedError(f"{path} does not exist; is the name right?")
        if path.is_file():
            with path.open("rb") as file:
                magic = file.read(len(_MAGIC))
            if magic and magic != _MAGIC:
                raise ReadFailedError(f"{path} is not a SQLite database; name another file")
    except (OSError, ValueError) as error:
        raise ReadFailedError(f"{path} cannot be opened: {type(error).__name__}") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check what the file is; give an empty or older one the present format."""
    if _format(connection, path) != FORMAT:
        # Cannot be done inside a transaction, and does no harm to an empty file.
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = _format(connection, path)  # another process may have been faster
            if found == 0:
                for statement in SCHEMA:
                    connection.execute(statement)
                identify(connection)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            elif found < FORMAT:
                upgrade(connection, found)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        finally:
            _rollback(connection)
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        raise WriteFailedError(f"{path} lies where SQLite cannot keep a WAL; use a local disk")
    # A file that cannot be written is better refused now. BEGIN alone does not notice.
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA user_version = {FORMAT}")
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
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
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
        return int(version)
    if {"mob_events", "mob_runs"} <= names:
        raise ReadFailedError(
            f"{path} is a database of meerkat-mob; copy it with `mobstore import {path} URL`"
        )
    if names or application or version:
        raise ReadFailedError(f"{path} is a SQLite database of another program; name another file")
    return 0
