"""Commits of other connections, and the removal of the file.

SQLite sends no notification of a commit, but a poll is cheap: `PRAGMA data_version` of a connection
changes when another connection has committed. The writer polls on its own connection, so its own
commits do not count.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from mobstore.engines.sqlite.driver_errors import is_busy
from mobstore.engines.sqlite.rows import Rows

_PAUSE = 0.02  # seconds between two polls
_QUIET = 5.0  # seconds without a commit of others, after which polls are rarer
_LONG_PAUSE = 0.1  # an idle worker that waits for runs should take less than 0.5% of a core
_POLLS_PER_CHECK = 5  # a check that the file is there costs more than a poll for commits


class ExternalCommits:
    """A poll for commits of others, on the writer's thread, at most 50 times a second."""

    def __init__(
        self, rows: Rows, intact: Callable[[], bool], notify: Callable[[None], None]
    ) -> None:
        """Record the present version of the file.

        Args:
            rows: the writer's rows.
            intact: returns whether the path still leads to the files that the writer has open.
            notify: is called after commits of others, and once if the file is gone or corrupt.
        """
        self._rows, self._intact, self._notify = rows, intact, notify
        self._seen = -1
        with suppress(sqlite3.Error):  # the first poll then notifies
            self._seen = rows.data_version()
        self._usable = True
        self._polls = 0
        self._next = 0.0
        self._changed = monotonic()

    def pause(self) -> float:
        """Return the seconds until the next poll."""
        return max(0.0, self._next - monotonic())

    def poll(self) -> None:
        """Poll if it is time to."""
        now = monotonic()
        if now < self._next:
            return
        self._polls += 1
        version, usable = self._seen, self._usable
        if self._polls % _POLLS_PER_CHECK == 0:
            usable = self._intact()
        try:
            version = self._rows.data_version()
        except sqlite3.Error as error:
            usable = usable and is_busy(error)
        changed = version != self._seen or (self._usable and not usable)
        self._seen, self._usable = version, usable
        if changed:
            self._changed = now
        self._next = now + (_PAUSE if now < self._changed + _QUIET else _LONG_PAUSE)
        if changed:
            self._notify(None)
