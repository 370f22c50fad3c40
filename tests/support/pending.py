"""An engine that writes nothing: all writes stay pending in an overlay of an empty store.

Rules that hold on this engine hold in atomic calls of any length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar, cast

from mobstore.engines.memory import MemoryEngine
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.overlay import Overlay
from mobstore.scripts.transaction import (
    Commit,
    Count,
    Get,
    LoadingScript,
    Read,
    Scan,
    Script,
    Write,
    drive,
    require_outside_atomic,
)
from mobstore.testing.scripts import write_script

T = TypeVar("T")


class PendingEngine(MemoryEngine):
    """A memory engine under an overlay that grows."""

    def __init__(self) -> None:
        super().__init__()
        self.overlay = Overlay()
        self._written = MemoryTables()  # the same rows, to find existing ones quickly

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return (await self._over(make)).result

    async def write(self, make: Callable[[], Script[T]]) -> T:
        commit = await self._over(make)
        self._listeners.notify(commit.writes)
        return commit.result

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        require_outside_atomic()
        writes: list[Write] = []

        def noted(asked: Any) -> object:
            if not isinstance(asked, (Get, Scan, Count)):
                writes.append(cast("Write", asked))
            return self._written.answer_or_write(cast("Read | Write", asked))

        with self._lock:
            self._check()
            try:
                commit = drive(make(), noted, self._now)
                self._written.write(commit.writes)
            except BaseException:
                self._written.undo()
                raise
            self._written.keep()
            loaded = write_script(*writes, *commit.writes)
            drive(self.overlay.run(loaded()), self._tables.answer, self._now)
        self._listeners.notify()
        return commit.result

    async def _over(self, make: Callable[[], Script[T]]) -> Commit[T]:
        require_outside_atomic()
        began = monotonic()
        try:
            with self._lock:
                self._check()
                script = self.overlay.run(self._noted(make()))
                commit = drive(script, self._tables.answer, self._now)
        except Exception:
            if self._turns.is_due(began):
                await asyncio.sleep(0)
            raise
        if self._turns.is_due(began):
            await asyncio.sleep(0)
        return commit

    def _noted(self, script: Script[T]) -> Script[T]:
        commit = yield from script
        try:
            self._written.write(commit.writes)
        except BaseException:
            self._written.undo()
            raise
        self._written.keep()
        return commit
