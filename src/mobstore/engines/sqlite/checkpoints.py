"""Checkpoints: the log is copied into the file now and then, so that it stays small.

SQLite from 3.7.0 to 3.51.2 can lose committed pages where a commit restarts the log while a
checkpoint of another connection begins (the "WAL-reset bug"). Therefore no connection of a store
checkpoints by itself (`connect` turns that off). The writer holds the write lock on one connection
and checkpoints on a second one: nobody can commit meanwhile. It is one way for all versions.

When the last connection of all processes is closed, SQLite checkpoints by itself, under an
exclusive lock, which is safe as well.

A log is restarted by the first commit that finds all of it copied and no reader in it. Readers
that overlap would prevent that for ever. So while the log is too large, the lock is held for some
moments: those who begin to read then need the file alone.
"""

from __future__ import annotations

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
"""After so many commits the log is copied; SQLite itself would do it about as often."""

LIMIT = 16 * 2**20
"""Bytes. A larger log is copied at once, and its file is cut to this size."""

_LOOK = 2.0  # seconds between looks at the log while nothing is written
_LOCK_PATIENCE = 0.1  # seconds; if the lock is not free, it is tried again after as many
_PATIENCE, _MOST_PATIENCE = 0.03, 0.25  # seconds in which readers may leave the log
_REST = 20  # times the patience, until the next try: writers are held up for 5% of the time


class Checkpoints:
    """The checkpoints of one writer. All methods are for its thread, between transactions."""

    def __init__(
        self,
        rows: Rows,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        identity: OpenFiles,
        condition: Condition,
    ) -> None:
        """Take over from SQLite.

        Args:
            rows: the writer's.
            path: the file.
            connect: opens a second connection to it.
            identity: of what the writer has open.
            condition: of the file; while it is damaged, nothing is copied into it.
        """
        self._rows, self._connect, self._identity = rows, connect, identity
        self._condition = condition
        self._log = path.with_name(f"{path.name}-wal")
        self._second: sqlite3.Connection | None = None
        self._commits = 0
        self._grown = True  # perhaps, since it was looked at
        self._patience = _PATIENCE
        self._next_look = monotonic() + _LOOK
        self._next_try = 0.0  # when to try to cut the log again; 0: it is not too large
        rows.limit_log(LIMIT)

    def committed(self) -> None:
        """Count a commit."""
        self._commits += 1
        self._grown = True

    def pause(self) -> float:
        """Seconds until `run_if_due` should be called even if nothing is written."""
        return max(0.0, (self._next_try or self._next_look) - monotonic())

    def run_if_due(self) -> None:
        """Copy the log if it is time to. If that fails nothing is lost, and it is tried later."""
        now = monotonic()
        if now >= self._next_look:  # another process may have died and left a large log
            self._next_look, self._grown = now + _LOOK, True
        if self._next_try:
            if now < self._next_try:
                return
        elif not self._grown or (self._commits < COMMITS and self._size() <= LIMIT):
            self._grown = False
            return
        self._attempt(self._cut if self._size() > LIMIT else self._copy)

    def cut_off(self) -> None:
        """Copy the log and cut its file to nothing, if readers allow it; else as `run_if_due`."""
        self._rows.limit_log(0)
        try:
            self._attempt(self._cut)
        finally:
            self._rows.limit_log(LIMIT)

    def close(self) -> None:
        """Close the second connection."""
        if self._second is not None:
            self._second.close()

    def _attempt(self, work: Callable[[], bool]) -> None:
        self._commits = 0
        if self._condition.damaged:
            self._next_try = 0.0
            return
        try:
            done = work()
        except WriteFailedError:  # the file is gone; whoever uses it next is told
            self._next_try = 0.0
            return
        except Exception as error:  # noqa: BLE001 - what was committed is safe in the log
            if isinstance(error, sqlite3.Error) and is_busy(error):
                self._next_try = monotonic() + _LOCK_PATIENCE
                return
            done = False
            if isinstance(error, sqlite3.Error):
                self._condition.note(error)
            _log(self._log, error)
        if done or self._size() <= LIMIT:
            self._patience, self._next_try = _PATIENCE, 0.0
        else:
            self._next_try = monotonic() + _REST * self._patience
            self._patience = min(2 * self._patience, _MOST_PATIENCE)

    def _cut(self) -> bool:
        """Copy the log, and have SQLite cut its file by a commit; whether it did."""
        before, pause = self._size(), 0.0
        deadline = monotonic() + self._patience
        while monotonic() <= deadline:
            copied = self._copy(pause)
            if copied:
                with self._lock():  # anew: only who begins after the copy reads without the log
                    sleep(pause)
                    self._rows.touch()
                    self._rows.commit()
                if self._size() < before:
                    return True
            pause = min(2 * pause or 0.001, max(0.0, deadline - monotonic()))
        return False

    def _copy(self, pause: float = 0) -> bool:
        """Copy what no reader keeps from being copied; whether that was all.

        If it was not, the lock is held a little longer, for readers to end.
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
            # A connection opened to another log would not be held up by this lock.
            self._identity.check(WriteFailedError)
            yield
        finally:
            self._rows.rollback()

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0


def has_reset_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether a version of SQLite has the WAL-reset bug."""
    if version[:2] in {(3, 44), (3, 50)}:
        return version < ((3, 44, 6) if version[1] == 44 else (3, 50, 7))
    return (3, 7, 0) <= version < (3, 51, 3)


def _log(path: Path, error: Exception) -> None:
    import logging  # seldom needed

    name = getattr(error, "sqlite_errorname", type(error).__name__)
    logging.getLogger("mobstore").warning(
        "%s could not be copied into its database (%s); nothing is lost, and it is tried again",
        path,
        name,
    )
