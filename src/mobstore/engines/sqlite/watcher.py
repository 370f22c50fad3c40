"""Hearing of the commits of other processes.

SQLite tells nobody of a commit, but answers cheaply whether there was one: `PRAGMA data_version`
of a connection changes when another connection has committed. A thread asks 50 times a second,
only while somebody listens.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from mobstore.engines.sqlite.connecting import Mode, connect
from mobstore.listeners import Listeners
from mobstore.transaction import Scan

_PAUSE = 0.02


class FileListeners(Listeners):
    """Listeners that hear of every commit to a file, whoever made it."""

    def __init__(self, path: Path, mode: Mode) -> None:
        super().__init__()
        self._path, self._mode = path, mode
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def add(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        end = super().add(wake, to)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="mobstore-watch", daemon=True
                )
                self._thread.start()
        return end

    def close(self) -> None:
        """Call them all a last time, and let go of the file."""
        self._ending.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        self.tell()

    def _watch(self) -> None:
        while self._goes_on():
            try:
                with closing(connect(self._path, self._mode)) as connection:
                    self._ask(connection)
            except sqlite3.Error:
                self.tell()  # whoever reads now meets the failure, and can say what it is
                self._ending.wait(1)

    def _ask(self, connection: sqlite3.Connection) -> None:
        seen: int | None = None
        while self._goes_on():
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != seen:  # also at first: there may have been a commit since `add`
                seen = version
                self.tell()
            self._ending.wait(_PAUSE)

    def _goes_on(self) -> bool:
        with self._lock:
            if self and not self._ending.is_set():
                return True
            self._thread = None
            return False
