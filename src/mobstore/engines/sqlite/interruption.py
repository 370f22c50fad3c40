"""Interruptions of reads on a thread: the waiting task was cancelled, or the store is closed.

SQLite interrupts a statement that is running. Between statements the thread calls `check`. A
statement that begins after the check and before the interruption is missed, so a caller that must
not wait for long requests the interruption again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager

from mobstore.errors import ClosedError


class Interruption:
    """A request to end a read early. Any thread may call `request`, the reading thread the rest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the connection must still belong to this read
        self._connection: sqlite3.Connection | None = None
        self._requested = False

    def request(self) -> None:
        """End the read soon."""
        with self._lock:
            self._requested = True
            if self._connection is not None:
                self._connection.interrupt()

    def check(self) -> None:
        """Raise if an interruption was requested.

        Raises:
            ClosedError: it was.
        """
        if self._requested:
            raise interrupted()

    @contextmanager
    def of(self, connection: sqlite3.Connection) -> Generator[None]:
        """Interrupt the statements of a connection on request, within the context."""
        with self._lock:
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None


def interrupted() -> ClosedError:
    """Return the error of work that was interrupted."""
    return ClosedError("the store was closed before this was done; open it again to use it")
