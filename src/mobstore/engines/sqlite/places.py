"""The number of reads that run on threads at once.

Python runs one thread at a time, so more reads at once end later in all, and hold up the event
loop. But a short read must not wait for an export. So few read at once, not counting those that
have lasted.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Condition
from time import monotonic

_FEW = 2
_LONG = 0.1  # seconds after which a read no longer keeps others waiting


class Places:
    """The places of reads, for threads to wait for."""

    def __init__(self) -> None:
        """Start with all places free."""
        self._changed = Condition()
        self._began: list[float] = []  # ascending

    @contextmanager
    def one(self) -> Generator[None]:
        """Wait for a place, and hold it."""
        with self._changed:
            while (pause := self._pause()) > 0:
                self._changed.wait(pause)
            began = monotonic()
            self._began.append(began)
        try:
            yield
        finally:
            with self._changed:
                self._began.remove(began)
                self._changed.notify()

    def _pause(self) -> float:
        if len(self._began) < _FEW:
            return 0
        return self._began[-_FEW] + _LONG - monotonic()
