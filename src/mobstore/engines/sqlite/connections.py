"""Connections: the only place where database files are opened, and always through SQLite.

POSIX drops all locks of a process on a file when the process closes any descriptor of that file.
SQLite keeps its own descriptors open for this reason; `open(path)` in Python does not. So no code
opens a database, its log or its shared memory in another way. SQLite alone decides whether a file
is a database (SQLITE_NOTADB).

A file that does not exist is created empty, readable by its owner only, and closed before SQLite
opens it: SQLite itself would create it readable by everyone. No process can have a lock on it yet.

A file may come from an untrusted source. So every connection distrusts the SQL in its file, and has
limits.

A forked process inherits SQLite's table of locks, but not the locks: SQLite would open a file of
the parent without any lock. So this module records which files are open.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from mobstore.engines.sqlite.identity import FileIdentity, OpenFiles, UnusedFile, which
from mobstore.errors import MobStoreError, ReadFailedError, UsageError, reason
from mobstore.model.text import brief

LONGEST_NAME = 255 - len("-journal")
"""Bytes of a file's name: Linux, macOS and Windows allow 255, and SQLite appends to it."""
_LONGEST_PATH = 500  # bytes; SQLite's own limit is 512, with the names of side files

Mode = Literal["rwc", "rw", "query", "ro", "immutable"]
"""The purpose of a connection."""

_OPTIONS: dict[Mode, str] = {
    "rwc": "mode=rwc",  # to write; creates the file if it is missing
    "rw": "mode=rw",  # to write
    "query": "mode=rw",  # to read; with `ro` its side files would remain
    "ro": "mode=ro",  # to read where the side files exist, or the folder is read-only
    "immutable": "mode=ro&immutable=1",  # to read a file that no process writes
}

_SETTINGS = (
    "wal_autocheckpoint = 0",  # see `checkpoints.py`
    "trusted_schema = OFF",  # SQL in the file calls no unsafe function
    "cell_size_check = ON",  # corruption is noticed when a page is read
    "mmap_size = 0",  # a file that is truncated meanwhile is an error, not a signal
)
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2**20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}


class Connection(sqlite3.Connection):
    """A connection that is recorded as open until it is closed or freed."""

    def close(self) -> None:
        super().close()
        with _guard:
            _open.pop(self, None)


_guard = threading.RLock()  # held while forking; reentrant because a finalizer may close
_open: WeakKeyDictionary[Connection, tuple[int, int]] = WeakKeyDictionary()
_inherited: dict[tuple[int, int], list[Connection]] = {}


def _inherit() -> None:
    """Forbid a forked process to open or close the files that its parent has open."""
    for connection, file in _open.items():
        _inherited.setdefault(file, []).append(connection)
    _open.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_inherit
    )


_ESCAPED = {ord(" "): r"\040", ord("\t"): r"\011", ord("\n"): r"\012", ord("\\"): r"\134"}


def _is_mount_point(path: Path) -> bool:
    """Return whether a file is a mount of its own, as with `-v ./mobs.db:/app/mobs.db`.

    Its log is then in the container, or beside another name of the file; see proc(5), mountinfo.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:  # noqa: PTH123 - Linux only
            point = str(path).translate(_ESCAPED)
            return any(line.split(" ", 5)[4] == point for line in mounts)
    except OSError:  # another system
        return False


def _check_length(path: Path) -> None:
    """Raise if a path leaves no room for the names of its side files."""
    name, whole = os.fsencode(path.name), os.fsencode(path)
    if len(name) > LONGEST_NAME or len(whole) > _LONGEST_PATH:
        raise ReadFailedError(
            f"the path of {brief(path.name)} is too long: it has {len(whole)} bytes, its"
            f" name {len(name)}. SQLite allows {_LONGEST_PATH} bytes, and {LONGEST_NAME} for the"
            " name"
        )


def resolve(path: Path) -> Path:
    """Return the path without links: SQLite would look for a log beside the link.

    Raises:
        ReadFailedError: the path is invalid, or relative in a removed working directory.
    """
    try:
        return Path(os.path.realpath(path))
    except UnicodeEncodeError as error:
        raise ReadFailedError(
            "the path has characters that no file name on this system can have"
        ) from error
    except OSError as error:
        raise ReadFailedError(
            f"{path} cannot be opened: the working directory was removed; change to another one, or"
            " use an absolute path"
        ) from error


def find(path: Path) -> os.stat_result | None:
    """Return the status of a database file, or None if it is missing and can be created.

    Raises:
        ReadFailedError: it is not a regular file, has several names, or is not accessible.
        UsageError: it was open when this process was forked.
    """
    _check_length(path)
    try:
        try:
            status = path.stat()
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise ReadFailedError(
                    f"the directory {path.parent} does not exist; create it first"
                ) from None
            return None
    except (OSError, ValueError) as error:
        raise ReadFailedError(f"{path} cannot be opened: {reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ReadFailedError(f"{path} is a directory; name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ReadFailedError(f"{path} is not a regular file; name another one")
    if status.st_nlink > 1:
        raise ReadFailedError(
            f"{path} has {status.st_nlink} names (hard links), and SQLite would keep a log for"
            " each, so that writes are lost; copy it to a file of its own while it is not in use"
        )
    if _is_mount_point(path):
        raise ReadFailedError(
            f"{path} is mounted without its directory, so its log would be left behind and writes"
            " lost. Mount the directory that holds it, as in `-v ./data:/data`"
        )
    _check_inherited(path)
    return status


def connect(path: Path, mode: Mode, timeout: float = 0) -> sqlite3.Connection:
    """Open a connection for any thread, without implicit transactions.

    Args:
        path: the file, resolved.
        mode: the purpose.
        timeout: seconds for which SQLite itself waits for a lock.

    Raises:
        UsageError: the file was open when this process was forked.
        sqlite3.Error: it cannot be opened.
    """
    uri = f"{path.as_uri()}?{_OPTIONS[mode]}"
    with _guard:
        _check_inherited(path)
        if mode == "rwc":
            _create_private(path)
        connection = sqlite3.connect(
            uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False,
            cached_statements=256, factory=Connection,
        )  # fmt: skip
        opened = which(path)
        if opened is not None:
            _open[connection] = opened
    _harden(connection, mode)
    if mode == "query":
        connection.execute("PRAGMA query_only = ON")
    return connection


def _create_private(path: Path) -> None:
    """Create an empty file if it is missing; its side files will have its mode."""
    with suppress(OSError):  # SQLite fails as well, and its error is raised
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _harden(connection: sqlite3.Connection, mode: Mode) -> None:
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}").fetchone()
    for limit, most in _LIMITS.items():
        connection.setlimit(limit, most)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, mode in {"rwc", "rw"})  # VACUUM needs one
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)


def reading_mode(path: Path) -> Mode:
    """Return the mode that reads a file without a change to it or its directory."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "query"
    return "ro" if _size(path, "-wal") or _size(path, "-journal") else "immutable"


def open_files(path: Path, mode: Mode) -> OpenFiles:
    """Return the files of a connection in this mode, once it has read."""
    return UnusedFile(path) if mode == "immutable" else FileIdentity(path)


def size_of_file(connection: sqlite3.Connection) -> int:
    """Return the size of a database in bytes, pages in its log included."""
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return int(pages * size)


def has_log(path: Path) -> bool:
    """Return whether a file has a log or journal: it is in use, or a process was killed."""
    return any(_size(path, suffix) is not None for suffix in ("-wal", "-journal"))


def has_content(path: Path) -> bool:
    """Return whether a file has a log that is not empty."""
    return bool(_size(path, "-wal"))


@contextmanager
def unchanging(path: Path, timeout: float = 5) -> Generator[sqlite3.Connection]:
    """Open a connection that does not change a byte of the file.

    A file without a log is not in use. It is not even locked, and no side file is created.

    Args:
        path: the file, resolved and accepted by `find`.
        timeout: seconds to wait for other processes that hold its lock.

    Raises:
        WrittenMeanwhileError: another process began to use the file, so neither the rows nor the
            error of the read can be trusted.
        UsageError: the file was open when this process was forked.
        sqlite3.Error: it cannot be opened or read.
    """
    if has_log(path):
        with closing(connect(path, "ro", timeout)) as connection:
            yield connection
        return
    file = UnusedFile(path)
    # With `ro` alone a -wal and a -shm would remain beside an unused file.
    with closing(connect(path, "immutable")) as connection:
        try:
            yield connection
        except (sqlite3.Error, MobStoreError, UnicodeError) as error:
            if file.intact():
                raise
            raise WrittenMeanwhileError(path) from error
        if not file.intact():
            raise WrittenMeanwhileError(path)


class WrittenMeanwhileError(ReadFailedError):
    """A file that was not in use when it was opened has been written since."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was written by another process while it was read; try again", retry_safe=True
        )


def is_open(status: os.stat_result) -> bool:
    """Return whether this process has a database file open, or its parent had when it forked."""
    file = status.st_dev, status.st_ino
    with _guard:
        return file in _inherited or file in _open.values()


def _check_inherited(path: Path) -> None:
    if which(path) in _inherited:
        raise UsageError(
            f"{path} was open when this process was forked, so its locks do not work here: close"
            " stores before forking, or start processes with spawn"
        )


def _size(path: Path, suffix: str) -> int | None:
    try:
        return path.with_name(f"{path.name}{suffix}").stat().st_size
    except OSError:
        return None
