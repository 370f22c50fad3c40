"""Reads that last keep no other reads waiting, and reads that do not share few threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from engines.support import no_store_threads
from mobstore import MobStores, export_stores, open_stores
from mobstore.engines.sqlite import places
from mobstore.engines.sqlite.engine import READING_THREADS, SqliteEngine
from mobstore.maintenance.verification import verify
from mobstore.scripts.tables import EVENTS
from mobstore.scripts.transaction import Commit, Count, Scan, Script, fetch
from mobstore.testing.samples import event

pytestmark = pytest.mark.slow

HANGS = 60  # seconds


@asynccontextmanager
async def filled(tmp_path: Path) -> AsyncGenerator[MobStores]:
    async with open_stores(f"sqlite:{tmp_path / 'mobs.db'}", durability="normal") as stores:
        await stores.events.append_batch([event()] * 1500)
        yield stores


class Held:
    """Progress of long work, which stops at its first report until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()

    def report(self, *_: object) -> None:
        self.begun.release()
        assert self.released.wait(HANGS)


def test_exports_keep_no_other_reads_waiting(tmp_path: Path) -> None:
    held = Held()

    async def main() -> None:
        async with filled(tmp_path) as stores:
            works: list[asyncio.Task[Any]] = [
                asyncio.create_task(export_stores(stores, BytesIO(), progress=held.report))
                for _ in range(4)
            ]
            works.append(asyncio.create_task(verify(stores, progress=held.report)))
            try:
                async with asyncio.timeout(HANGS / 2):
                    for _ in works:
                        await asyncio.to_thread(held.begun.acquire)
                    assert len(await stores.events.poll(0, 2000)) == 1500
                    assert await stores.engine.read(_count) == 1500
            finally:
                held.released.set()
                await asyncio.gather(*works)

    asyncio.run(main())
    assert no_store_threads()


def _count() -> Script[int]:
    found = yield from fetch(Count(Scan(EVENTS)))
    return Commit(found)


class Crowd:
    """Scripts that count how many of them run at once."""

    def __init__(self) -> None:
        self._lock, self._running, self.most = threading.Lock(), 0, 0

    def script(self) -> Script[None]:
        """Take a moment on a thread."""
        yield (Count(Scan(EVENTS)),)  # never on the event loop
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        time.sleep(0.03)
        with self._lock:
            self._running -= 1
        return Commit(None)


@pytest.mark.parametrize(
    ("long", "most"), [(HANGS, range(2, 3)), (0, range(3, READING_THREADS + 1))]
)
def test_reads_share_threads_and_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: float, most: range
) -> None:
    monkeypatch.setattr(places, "_LONG", long)
    crowd = Crowd()

    async def main() -> None:
        async with filled(tmp_path) as stores:
            engine = stores.engine
            assert isinstance(engine, SqliteEngine)
            await asyncio.gather(*(engine.read(crowd.script) for _ in range(50)))
            assert crowd.most in most
            connections = engine._readers  # pyright: ignore[reportPrivateUsage]
            assert len(connections) <= most.stop, "one is the loop's"

    asyncio.run(main())
    assert no_store_threads()


def test_a_read_that_waits_for_a_place_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_LONG", HANGS)
    held, ran = Held(), False

    def wait() -> Script[None]:
        yield (Count(Scan(EVENTS)),)
        held.report()
        return Commit(None)

    def late() -> Script[None]:
        nonlocal ran
        yield (Count(Scan(EVENTS)),)
        ran = True
        return Commit(None)

    async def main() -> None:
        async with filled(tmp_path) as stores:
            works = [asyncio.create_task(stores.engine.read(wait)) for _ in range(2)]
            for _ in works:
                await asyncio.to_thread(held.begun.acquire)
            waiting = asyncio.create_task(stores.engine.read(late))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            held.released.set()
            await asyncio.gather(*works)

    asyncio.run(main())
    assert not ran
    assert no_store_threads()
