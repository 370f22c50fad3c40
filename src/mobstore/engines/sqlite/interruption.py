"""Work of a thread that is ended early: who waited for it was cancelled, or the store is closed.

SQLite interrupts the statement under way, if there is one; between statements the thread looks by
itself. A statement that begins between such a look and the interruption is missed, so whoever must
not wait for long asks again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager

from mobstore.errors import InternalError


class Stoppable:
    """A piece of work. `stop` is for any thread, the rest for the one that does it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # what is interrupted must still be this work's
        self._connection: sqlite3.Connection | None = None
        self._stopped = False

    def stop(self) -> None:
        """Have the work end soon."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()

    def check(self) -> None:
        """Go on, unless the work was stopped.

        Raises:
            InternalError: it was.
        """
        if self._stopped:
            raise stopped()

    @contextmanager
    def on(self, connection: sqlite3.Connection) -> Generator[None]:
        """Within, `stop` interrupts what a connection does."""
        with self._lock:
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None


def stopped() -> InternalError:
    """What to say of work that did not come to its end."""
    return InternalError("the store was closed before this was done; open it again to use it")
