"""What happens to the file without the writer: commits of others, its end.

SQLite tells nobody of a commit, but answers cheaply whether there was one: `PRAGMA data_version`
of a connection changes when another connection has committed. The writer asks on its own, so its
own commits do not count.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from mobstore.engines.sqlite.driver_errors import is_busy
from mobstore.engines.sqlite.rows import Rows

_PAUSE = 0.02  # seconds
_LOOKS_PER_CHECK = 5  # of whether the file is there; to ask costs more than to look for commits


class ExternalCommits:
    """Looks at the file for the writer's thread, at most 50 times a second."""

    def __init__(
        self, rows: Rows, same_file: Callable[[], bool], tell: Callable[[None], None]
    ) -> None:
        """Remember how the file is now.

        Args:
            rows: the writer's.
            same_file: tells whether the path still leads to what the writer has open.
            tell: is called when others have committed, and once when the file is gone or damaged.
        """
        self._rows, self._same_file, self._tell = rows, same_file, tell
        self._seen = -1
        with suppress(sqlite3.Error):  # the first look tells what may have been missed
            self._seen = rows.data_version()
        self._usable = True
        self._looks = 0
        self._next = 0.0

    def pause(self) -> float:
        """Seconds until the next look."""
        return max(0.0, self._next - monotonic())

    def look(self) -> None:
        """Look if it is time to."""
        now = monotonic()
        if now < self._next:
            return
        self._next = now + _PAUSE
        self._looks += 1
        version, usable = self._seen, self._usable
        if self._looks % _LOOKS_PER_CHECK == 0:
            usable = self._same_file()
        try:
            version = self._rows.data_version()
        except sqlite3.Error as error:
            usable = usable and is_busy(error)
        changed = version != self._seen or (self._usable and not usable)
        self._seen, self._usable = version, usable
        if changed:
            self._tell(None)
