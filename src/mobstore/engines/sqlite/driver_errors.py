"""Errors of the driver: retries while a lock is held, and translation for callers."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mobstore.engines.sqlite.connections import WrittenMeanwhileError, has_log
from mobstore.engines.sqlite.interruption import interrupted
from mobstore.engines.sqlite.rows import LONGEST
from mobstore.errors import InternalError, MobStoreError, ReadFailedError, WriteFailedError

T = TypeVar("T")

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def retrying(attempt: Callable[[], T], patience: float) -> T:
    """Retry while another process holds a lock, for at most `patience` seconds.

    With short random pauses four busy processes are twice as fast as with SQLite's own waiting,
    and none of them starves.

    Raises:
        sqlite3.Error: the last attempt's error.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return attempt()
        except (sqlite3.OperationalError, WrittenMeanwhileError) as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - not for security


def is_busy(error: sqlite3.Error | WrittenMeanwhileError) -> bool:
    """Return whether another connection holds a lock, or has written meanwhile."""
    return (
        isinstance(error, WrittenMeanwhileError)
        or getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
    )


def translate(
    error: sqlite3.Error, path: Path, *, writing: bool, committing: bool = False
) -> MobStoreError:
    """Translate a driver error, which stays the cause."""
    code = getattr(error, "sqlite_errorcode", None)
    kind: type[ReadFailedError | WriteFailedError]
    kind = WriteFailedError if writing else ReadFailedError
    if isinstance(error, sqlite3.ProgrammingError) or code == sqlite3.SQLITE_MISUSE:
        return InternalError("the driver was used wrongly; this is a bug in mobstore")
    if code is None:
        error.args = ("text is not UTF-8",)  # the driver's own message quotes the stored text
        return kind(f"{path} is corrupt: it holds text that is not UTF-8; restore a backup")
    if code == sqlite3.SQLITE_INTERRUPT:
        return interrupted()
    name = getattr(error, "sqlite_errorname", "SQLite error")
    primary = code & 0xFF
    if primary in _BUSY:
        return kind(f"{path} is locked by another process; try again", retry_safe=True)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # reads write to the shared memory, too
        kind, primary = WriteFailedError, sqlite3.SQLITE_FULL
    if primary == sqlite3.SQLITE_FULL:
        return kind(
            f"no space left to write {path}, or temporary files of SQLite (in SQLITE_TMPDIR); free"
            " some disk space first: to remove events or runs takes some, too",
            retry_safe=True,
        )
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return kind(
            f"{path} was left in the middle of a write; open it once for writing, with the program"
            " that created it"
        )
    if primary == sqlite3.SQLITE_READONLY:
        return kind(
            f"{path} is read-only; make the file, its directory and its -wal and -shm files"
            " writable: they may belong to another user"
        )
    if primary == sqlite3.SQLITE_CANTOPEN:
        if _no_descriptors_left():
            return kind(
                f"{path} cannot be opened: this process has no file descriptors left; close some"
                " files, or raise the limit (ulimit -n)",
                retry_safe=True,
            )
        if path.exists() and not os.access(path, os.R_OK):
            return kind(f"{path} is not readable by this user; change its permissions")
        if has_log(path) and not os.access(path.parent, os.W_OK):
            return kind(
                f"{path} has a log, which cannot be read on a read-only medium; copy it and"
                f" {path.name}-wal to a writable place"
            )
        return kind(f"{path} cannot be opened ({name}); check that its directory is accessible")
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} and has_log(path):
        return kind(
            f"{path} is corrupt ({name}), or its log belongs to another file: if a backup was"
            f" copied over it, {path.name}-wal and {path.name}-shm are still those of the old file."
            " Close all programs that use it, remove both, and copy the backup again"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return kind(
            f"{path} is not a SQLite database; use another file, or restore a backup if it was one"
        )
    if primary == sqlite3.SQLITE_CORRUPT:
        return kind(f"{path} is corrupt ({name}); restore a backup")
    if primary == sqlite3.SQLITE_TOOBIG:
        return kind(
            f"{path} is corrupt: it holds a row of more than {LONGEST >> 20} MiB, and mobstore"
            " writes no such row; restore a backup"
        )
    if primary == sqlite3.SQLITE_IOERR:
        # A commit frame may have reached the disk although the call that wrote it failed.
        return kind(f"the disk failed for {path} ({name})", maybe_written=committing)
    return kind(
        f"{path} cannot be used ({name}): it is corrupt, or needs a newer SQLite; restore a backup"
        if primary == sqlite3.SQLITE_ERROR
        else f"{path}: {name}"
    )


def _no_descriptors_left() -> bool:
    """Return whether this process cannot open the four files that a database needs."""
    opened: list[int] = []
    try:
        for _ in range(4):  # the file, its log, its shared memory, its directory
            opened.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - it may raise
    except OSError as error:
        return error.errno in {errno.EMFILE, errno.ENFILE}
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False
