"""The one place where database files are opened, and always by SQLite.

POSIX drops all locks that a process has on a file when the process closes any descriptor of it.
SQLite knows that and keeps its own descriptors open; `open(path)` in Python does not. So nothing
here or elsewhere opens a database, its log or its shared memory by other means; what SQLite says
(SQLITE_NOTADB) decides what is no database.

A file that does not exist is made empty first, for its owner alone, and closed before SQLite opens
it: SQLite itself would let everybody read it. Nobody can have a lock on it by then.

What is opened may have been sent by anybody. So every connection is told to trust nothing in it,
and has limits.

A forked process inherits SQLite's table of locks without the locks: a file that is open there
would be opened again without any. So it is remembered which files are open.
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
from mobstore.errors import InternalError, MobStoreError, ReadFailedError, reason

_LONGEST_NAME = 255  # bytes; of Linux, macOS and Windows
_LONGEST_PATH = 500  # bytes; SQLite's own limit is 512, with the names of side files

Mode = Literal["rwc", "rw", "query", "ro", "immutable"]
"""What a connection is for."""

_OPTIONS: dict[Mode, str] = {
    "rwc": "mode=rwc",  # to write; the file may be made
    "rw": "mode=rw",  # to write
    "query": "mode=rw",  # to read; as `ro` it would leave its side files behind
    "ro": "mode=ro",  # to read where the side files are there already, or nothing can be made
    "immutable": "mode=ro&immutable=1",  # to read what nobody writes
}

_SETTINGS = (
    "wal_autocheckpoint = 0",  # `checkpoints.py` says why
    "trusted_schema = OFF",  # SQL in the file calls no function that could do harm
    "cell_size_check = ON",  # damage is noticed when a page is read
    "mmap_size = 0",  # a file that is cut short by others is an error, not a signal
)
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2**20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}


class Connection(sqlite3.Connection):
    """A connection whose file is known to be open until it is closed or freed."""

    def close(self) -> None:
        super().close()
        with _guard:
            _open.pop(self, None)


_guard = threading.RLock()  # held by whoever forks; a finalizer may close one within
_open: WeakKeyDictionary[Connection, tuple[int, int]] = WeakKeyDictionary()
_inherited: dict[tuple[int, int], list[Connection]] = {}


def _inherit() -> None:
    """In a forked process: nothing that the parent has open may be opened, nor closed."""
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
    """Whether a file is mounted by itself, as containers do with `-v ./mobs.db:/app/mobs.db`.

    Its log lies in the container then, or beside another name of the file; see proc(5), mountinfo.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:  # noqa: PTH123 - of one system only
            point = str(path).translate(_ESCAPED)
            return any(line.split(" ", 5)[4] == point for line in mounts)
    except OSError:  # another system
        return False


def _refuse_long(path: Path) -> None:
    """Refuse a path that leaves no room for the names of the files beside it."""
    name, whole = os.fsencode(path.name), os.fsencode(path)
    if len(name) + len("-journal") > _LONGEST_NAME or len(whole) > _LONGEST_PATH:
        raise ReadFailedError(
            f"a path of {len(whole)} bytes with a name of {len(name)} is too long: SQLite takes"
            f" {_LONGEST_PATH}, and of a name {_LONGEST_NAME - len('-journal')}"
        )


def resolve(path: Path) -> Path:
    """The path of the file itself: SQLite would look for the log of a link beside the link.

    Raises:
        ReadFailedError: there is no such path, or it is relative and the working directory was
            removed.
    """
    try:
        return Path(os.path.realpath(path))
    except UnicodeEncodeError as error:
        raise ReadFailedError("the path has characters that no file here can have") from error
    except OSError as error:
        raise ReadFailedError(
            f"{path} cannot be opened: the working directory was removed; go to another one, or"
            " name a whole path"
        ) from error


def find(path: Path) -> os.stat_result | None:
    """Look for a database file; None: it is not there, but could be made.

    Raises:
        ReadFailedError: it is no file, has several names, or cannot be reached.
        InternalError: it was open when this process was forked.
    """
    _refuse_long(path)
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
            " each, so that writes are lost; copy it to a file of its own while nobody uses it"
        )
    if _is_mount_point(path):
        raise ReadFailedError(
            f"{path} is mounted by itself, without its directory, so its log would be left behind:"
            " writes are lost. Mount the directory that holds it, as in `-v ./data:/data`"
        )
    _refuse_inherited(path)
    return status


def connect(path: Path, mode: Mode, timeout: float = 0) -> sqlite3.Connection:
    """A bare connection for any thread: no implicit transactions, no waiting for locks.

    Args:
        path: the file, resolved.
        mode: what for.
        timeout: seconds for which SQLite itself waits for a lock.

    Raises:
        InternalError: it was open when this process was forked.
        sqlite3.Error: it cannot be opened.
    """
    uri = f"{path.as_uri()}?{_OPTIONS[mode]}"
    with _guard:
        _refuse_inherited(path)
        if mode == "rwc":
            _make_private(path)
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


def _make_private(path: Path) -> None:
    """Make an empty file unless there is one; the side files will have its mode."""
    with suppress(OSError):  # SQLite meets it, too
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
    """How to read a file without writing to it and without leaving anything beside it."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "query"
    return "ro" if _size(path, "-wal") or _size(path, "-journal") else "immutable"


def open_files(path: Path, mode: Mode) -> OpenFiles:
    """The files of a connection that was made with a mode, and has read."""
    return UnusedFile(path) if mode == "immutable" else FileIdentity(path)


def size_of_file(connection: sqlite3.Connection) -> int:
    """How many bytes a database has by its pages, those in its log included."""
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return int(pages * size)


def has_log(path: Path) -> bool:
    """Whether a log or journal lies beside a file: it is in use, or its user was killed."""
    return any(_size(path, suffix) is not None for suffix in ("-wal", "-journal"))


def has_content(path: Path) -> bool:
    """Whether the log of a file holds anything."""
    return bool(_size(path, "-wal"))


@contextmanager
def unchanging(path: Path, timeout: float = 5) -> Generator[sqlite3.Connection]:
    """A connection that does not change one byte of the file.

    A file that nobody uses (it has no log beside it) is not even locked, and nothing is left
    beside it.

    Args:
        path: the file, resolved; `find` has found no fault in it.
        timeout: seconds to wait for other processes that hold its lock.

    Raises:
        WrittenMeanwhileError: another process began to use the file, so what was read, or why it
            could not be read, means nothing.
        InternalError: it was open when this process was forked.
        sqlite3.Error: it cannot be opened or read.
    """
    if has_log(path):
        with closing(connect(path, "ro", timeout)) as connection:
            yield connection
        return
    file = UnusedFile(path)
    # Of a file that nobody uses, `ro` alone would leave a -wal and a -shm behind.
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
    """A file that nobody used when it was opened has been written since."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was written by another process while it was read; try again", retry_safe=True
        )


def is_open(status: os.stat_result) -> bool:
    """Whether this process has a database file open, or had it when it was forked."""
    file = status.st_dev, status.st_ino
    with _guard:
        return file in _inherited or file in _open.values()


def _refuse_inherited(path: Path) -> None:
    if which(path) in _inherited:
        raise InternalError(
            f"{path} was open when this process was forked, and cannot be used safely here:"
            " close stores before forking, or start processes with spawn"
        )


def _size(path: Path, suffix: str) -> int | None:
    try:
        return path.with_name(f"{path.name}{suffix}").stat().st_size
    except OSError:
        return None
