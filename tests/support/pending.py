"""An engine that writes nothing: all that its scripts wrote lies over an empty store, pending.

Whatever holds on this engine holds within an atomic call of any length.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from mobstore.atomic.overlay import Overlay
from mobstore.engines.memory import MemoryEngine
from mobstore.transaction import Script, drive, refuse_within_atomic

T = TypeVar("T")


class PendingEngine(MemoryEngine):
    """A memory engine under an overlay that grows."""

    def __init__(self) -> None:
        super().__init__()
        self.overlay = Overlay()

    async def read(self, make: Callable[[], Script[T]]) -> T:
        refuse_within_atomic()
        with self._lock:
            self._check()
            result = drive(self.overlay.run(make()), self._tables.answer).result
        await self._turn(monotonic())
        return result

    async def write(self, make: Callable[[], Script[T]]) -> T:
        result = await self.read(make)
        self._listeners.tell()
        return result
