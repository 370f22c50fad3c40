"""An engine that writes nothing: all that its scripts wrote lies over an empty store, pending.

Whatever holds on this engine holds within an atomic call of any length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mobstore.atomic.overlay import Overlay
from mobstore.engines.memory import MemoryEngine
from mobstore.transaction import Commit, Script

T = TypeVar("T")


class PendingEngine(MemoryEngine):
    """A memory engine under an overlay that grows."""

    def __init__(self) -> None:
        super().__init__()
        self.overlay = Overlay()

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return (await super().read(lambda: self._over(make))).result

    async def write(self, make: Callable[[], Script[T]]) -> T:
        commit = await super().read(lambda: self._over(make))
        self._listeners.tell(commit.writes)
        return commit.result

    def _over(self, make: Callable[[], Script[T]]) -> Script[Commit[T]]:
        return Commit((yield from self.overlay.run(make())))
