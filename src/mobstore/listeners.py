"""Those who want to hear of commits."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Listeners:
    """Functions to be called after a commit; any thread may add, end and tell."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._wakes: tuple[Callable[[], None], ...] = ()  # replaced, so that telling needs no lock

    def add(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have a function called from now on; gives what ends it."""
        with self._lock:
            self._wakes += (wake,)

        def end() -> None:
            with self._lock:
                self._wakes = tuple(other for other in self._wakes if other is not wake)

        return end

    def __bool__(self) -> bool:
        return bool(self._wakes)

    def tell(self) -> None:
        """Call them all."""
        for wake in self._wakes:
            wake()
