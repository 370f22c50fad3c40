"""Helpers of cases that follow a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from mobstore.errors import ReadFailedError
from mobstore.model.event import FlowCompleted, MobEventKind
from mobstore.model.ids import FlowId
from mobstore.scripts.transaction import Engine, LoadingScript, Scan, Script
from mobstore.stores.mob_stores import MobStores
from mobstore.stores.subscription import Subscription
from mobstore.testing.samples import run_id

T = TypeVar("T")


async def take(subscription: Subscription[T], count: int) -> list[T]:
    """Return the next items of a subscription and close it."""
    async with aclosing(subscription):
        return [await anext(subscription) for _ in range(count)]


async def start_waiting(stores: MobStores, step: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a step that waits for a commit, and return its task once it has read the store."""
    task = asyncio.create_task(step)
    await asyncio.sleep(0)  # some engines answer a read before any other task runs
    await stores.events.latest_cursor()  # answered after the reads before it
    return task


def kind_of_run(n: int) -> MobEventKind:
    """Return an event's kind that belongs to the run with this number."""
    return FlowCompleted(run_id=run_id(n), flow_id=FlowId("flow"))


class CountingEngine(Engine):
    """An engine that counts reads and listeners of another one, and whose reads can fail.

    Attributes:
        reads: the number of reads.
        listening: the number of listeners.
        fault: the error that reads raise, or None.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.reads: int = 0
        self.listening: int = 0
        self._counted = asyncio.Event()
        self.fault: ReadFailedError | None = None

    async def read(self, make: Callable[[], Script[T]]) -> T:
        """Count the read once it is done, or raise the fault."""
        if self.fault is not None:
            raise self.fault
        found = await self._engine.read(make)
        self.reads += 1
        self._counted.set()
        return found

    async def write(self, make: Callable[[], Script[T]]) -> T:
        """Pass the write on."""
        return await self._engine.write(make)

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        """Pass the load on."""
        return await self._engine.load(make)

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        """Count the listener until it stops."""
        stop = self._engine.listen(wake, to)
        self.listening += 1
        self._counted.set()

        def end() -> None:
            self.listening -= 1
            stop()

        return end

    def use_clock(self, now: Callable[[], str]) -> None:
        """Pass the clock on."""
        self._engine.use_clock(now)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the counts are as expected."""
        while not reached():
            self._counted.clear()
            await self._counted.wait()

    async def compact(self) -> None:
        """Compact the engine."""
        await self._engine.compact()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()
