"""Driver errors: retry while a lock is held, and translate what is raised to callers."""

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
        except (sqlite3.OperationalError, WrittenMeanwhileError) as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - spreads load, guards nothing


def is_busy(error: sqlite3.Error | WrittenMeanwhileError) -> bool:
    """Whether another connection holds a lock that this one needs, or was in its way."""
    return (
        isinstance(error, WrittenMeanwhileError)
        or getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
    )


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
    if code == sqlite3.SQLITE_INTERRUPT:
        return interrupted()
    name = getattr(error, "sqlite_errorname", "SQLite error")
    primary = code & 0xFF
    if primary in _BUSY:
        return kind(f"{path} is locked by another process; try again", retry_safe=True)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the shared memory was to be written, for a read too
        kind, primary = WriteFailedError, sqlite3.SQLITE_FULL
    if primary == sqlite3.SQLITE_FULL:
        return kind(
            f"no room to write {path}, or the temporary files that SQLite needs to compact it"
            " (where, SQLITE_TMPDIR says); free some disk space",
            retry_safe=True,
        )
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return kind(
            f"{path} was left in the middle of a write; open it once for writing, with the program"
            " that made it"
        )
    if primary == sqlite3.SQLITE_READONLY:
        return kind(
            f"{path} is read-only; make the file and its directory writable, and what lies beside"
            " it: -wal and -shm may be another user's"
        )
    if primary == sqlite3.SQLITE_CANTOPEN:
        if _none_left():
            return kind(
                f"{path} cannot be opened: this process has no file descriptors left; close some"
                " files, or raise the limit (ulimit -n)",
                retry_safe=True,
            )
        if path.exists() and not os.access(path, os.R_OK):
            return kind(f"{path} may not be read by this user; change its permissions")
        if has_log(path) and not os.access(path.parent, os.W_OK):
            return kind(
                f"{path} has a log that cannot be read on a medium that cannot be written; copy"
                f" both, it and {path.name}-wal, to another place"
            )
        return kind(f"{path} cannot be opened ({name}); is its directory there and accessible?")
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} and has_log(path):
        return kind(
            f"{path} is damaged ({name}), or the log beside it belongs to another file: after a"
            f" backup was copied over it, {path.name}-wal and {path.name}-shm are still those of"
            " the file before. If that is so, close all that use it, remove both and copy the"
            " backup again; if not, restore a backup in this way"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return kind(
            f"{path} is not a SQLite database; name another file, or restore a backup if it was one"
        )
    if primary == sqlite3.SQLITE_CORRUPT:
        return kind(f"{path} is damaged ({name}); restore a backup")
    if primary == sqlite3.SQLITE_TOOBIG:
        return kind(
            f"{path} holds a row of more than {LONGEST >> 20} MiB, and mobstore writes none: the"
            " file is damaged, or not of mobstore; restore a backup"
        )
    if primary == sqlite3.SQLITE_IOERR:
        # A commit frame may have reached the disk although the call that wrote it failed.
        return kind(f"the disk refused {path} ({name})", maybe_written=committing)
    return kind(
        f"{path} cannot be used ({name}): it is damaged, or needs a newer SQLite; restore a backup"
        if primary == sqlite3.SQLITE_ERROR
        else f"{path}: {name}"
    )


def _none_left() -> bool:
    """Whether this process can open no more files, or fewer than a database needs."""
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
