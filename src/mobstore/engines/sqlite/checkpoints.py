"""Checkpoints: copies of the log into the file, so that the log stays small.

SQLite from 3.7.0 to 3.51.2 can lose committed pages if a commit restarts the log while a checkpoint
of another connection begins (the "WAL-reset bug"). Therefore no connection of a store checkpoints
automatically: `connect` turns that off. The writer holds the write lock on one connection and
checkpoints on a second one, so no commit can come between. All versions take this path.

When the last connection of all processes is closed, SQLite checkpoints under an exclusive lock,
which is safe as well.

The first commit that finds the whole log copied, and no reader in it, restarts the log.
Overlapping readers would prevent that for ever. So while the log is too large, the writer holds the
lock for up to 0.25 s: reads that begin meanwhile need only the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from mobstore.engines.sqlite.condition import Condition
from mobstore.engines.sqlite.driver_errors import is_busy, retrying
from mobstore.engines.sqlite.identity import OpenFiles
from mobstore.engines.sqlite.rows import Rows
from mobstore.errors import WriteFailedError

COMMITS = 200
"""Commits between two copies of the log; SQLite itself would copy it about as often."""

LIMIT = 16 * 2**20
"""Bytes. A larger log is copied at once, and its file is truncated to this size."""

_LOOK = 2.0  # seconds between checks of the log while nothing is written
_LOCK_PATIENCE = 0.1  # seconds to wait for the lock, and between two attempts
_PATIENCE, _MOST_PATIENCE = 0.03, 0.25  # seconds to wait for readers to leave the log
_REST = 20  # times the patience, until the next attempt: writers wait for 5% of the time


class Checkpoints:
    """Checkpoints of one writer, whose thread copies the log between transactions."""

    def __init__(
        self,
        rows: Rows,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        identity: OpenFiles,
        condition: Condition,
    ) -> None:
        """Replace SQLite's automatic checkpoints.

        Args:
            rows: the writer's rows.
            path: the file.
            connect: opens a second connection to it.
            identity: the files that the writer has open.
            condition: of the file; nothing is copied into a corrupt file.
        """
        self._rows, self._connect, self._identity = rows, connect, identity
        self._condition = condition
        self._log = f"{path}-wal"
        self._second: sqlite3.Connection | None = None
        self._commits = 0
        self._grown = True  # the log may have grown since the last check
        self._patience = _PATIENCE
        self._next_look = monotonic() + _LOOK
        self._next_try = 0.0  # when to truncate the log again; 0: it is not too large
        rows.limit_log(LIMIT)

    def committed(self) -> int:
        """Count a commit; return the number of commits since the log was copied."""
        self._commits += 1
        self._grown = True
        return self._commits

    def pause(self) -> float:
        """Return the seconds until `due` may be true even if nothing is written."""
        return max(0.0, (self._next_try or self._next_look) - monotonic())

    def due(self) -> bool:
        """Return whether it is time to copy the log."""
        now = monotonic()
        if now >= self._next_look:  # another process may have died and left a large log
            self._next_look, self._grown = now + _LOOK, True
        if self._next_try:
            return now >= self._next_try
        if self._grown and (self._commits >= COMMITS or self._size() > LIMIT):
            return True
        self._grown = False
        return False

    def run(self) -> None:
        """Copy the log. A failure loses nothing, and is retried later."""
        self._attempt(self._truncate if self._size() > LIMIT else self._copy)

    def truncate(self) -> None:
        """Copy the log and truncate its file to nothing, unless a reader needs it."""
        self._rows.limit_log(0)
        try:
            self._attempt(self._truncate)
        finally:
            self._rows.limit_log(LIMIT)

    def close(self) -> None:
        """Close the second connection."""
        if self._second is not None:
            self._second.close()

    def _attempt(self, work: Callable[[], bool]) -> None:
        self._commits = 0
        if self._condition.corrupt:
            self._next_try = 0.0
            return
        try:
            done = work()
        except WriteFailedError:  # the file is gone; the next call raises this
            self._next_try = 0.0
            return
        except Exception as error:  # noqa: BLE001 - committed data is safe in the log
            if isinstance(error, sqlite3.Error) and is_busy(error):
                self._next_try = monotonic() + _LOCK_PATIENCE
                return
            done = False
            if isinstance(error, sqlite3.Error):
                self._condition.record(error)
            _log(self._log, error)
        if done or self._size() <= LIMIT:
            self._patience, self._next_try = _PATIENCE, 0.0
        else:
            self._next_try = monotonic() + _REST * self._patience
            self._patience = min(2 * self._patience, _MOST_PATIENCE)

    def _truncate(self) -> bool:
        """Copy the log, and commit so that SQLite truncates its file. Return whether it did."""
        before, pause = self._size(), 0.0
        deadline = monotonic() + self._patience
        while monotonic() <= deadline:
            copied = self._copy(pause)
            if copied:
                with self._lock():  # reads that begin from now on do not need the log
                    sleep(pause)
                    self._rows.touch()
                    self._rows.commit()
                if self._size() < before:
                    return True
            pause = min(2 * pause or 0.001, max(0.0, deadline - monotonic()))
        return False

    def _copy(self, pause: float = 0) -> bool:
        """Copy the part of the log that no reader needs. Return whether that was all of it.

        If it was not, hold the lock for `pause` seconds more, so that reads can end.
        """
        with self._lock():
            if self._second is None:
                self._second = self._connect()
            busy, pages, copied = self._second.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if busy or pages != copied:
                sleep(pause)
                return False
            return True

    @contextmanager
    def _lock(self) -> Generator[None]:
        retrying(self._rows.begin, _LOCK_PATIENCE)
        try:
            # This lock would not stop a connection to another log.
            self._identity.check(WriteFailedError)
            yield
        finally:
            self._rows.rollback()

    def _size(self) -> int:
        # Not by `stat`: since Linux 6.13, the next commit would have to write the log's new time to
        # the disk as well, and take 220 µs instead of 160.
        try:
            log = os.open(self._log, os.O_RDONLY)
        except OSError:
            return 0
        try:
            return os.lseek(log, 0, os.SEEK_END)
        finally:
            os.close(log)


def has_reset_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Return whether a version of SQLite has the WAL-reset bug."""
    if version[:2] in {(3, 44), (3, 50)}:
        return version < ((3, 44, 6) if version[1] == 44 else (3, 50, 7))
    return (3, 7, 0) <= version < (3, 51, 3)


def _log(path: str, error: Exception) -> None:
    import logging  # rarely needed

    name = getattr(error, "sqlite_errorname", type(error).__name__)
    logging.getLogger("mobstore").warning(
        "%s could not be copied into its database (%s); nothing is lost, and it is retried",
        path,
        name,
    )
