"""Subscriptions to a file that other processes write, and their end."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, ExitStack, aclosing
from pathlib import Path

import pytest

from engines.children import append_some, follow
from engines.support import (
    RUN,
    hear,
    new_run,
    no_store_threads,
    open_files,
    running,
    side_files,
    tell,
)
from mobstore import ClosedError, MobEvent, MobStores, NotFoundError, Subscription, open_stores
from mobstore.engines.sqlite import SqliteEngine
from mobstore.testing.samples import tag_of, tagged_event

pytestmark = pytest.mark.slow

WRITERS, EACH = 3, 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


async def take(of: Subscription[MobEvent], count: int, pause: float = 0) -> list[MobEvent]:
    taken: list[MobEvent] = []
    async with aclosing(of):
        async for one in of:
            taken.append(one)
            if len(taken) == count:
                break
            await asyncio.sleep(pause)
    return taken


def test_other_processes_write(path: Path) -> None:
    """Fast and slow subscribers receive each event once, while this process writes, too."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            following = [
                asyncio.create_task(take(stores.events.subscribe(), total, pause))
                for pause in (0, 0.002)
            ]
            for process in processes:
                tell(process)
            for n in range(EACH):
                await stores.events.append(tagged_event(f"here-{n}"))
                await asyncio.sleep(0)
            async with asyncio.timeout(30):
                quick, slow = await asyncio.gather(*following)
            stored = await stores.events.replay_all()
        assert [one.cursor for one in stored] == list(range(1, total + 1))
        assert quick == stored
        assert slow == stored
        for name in ("here", *names):
            tags = [tag_of(one.kind) for one in stored]
            mine = [tag for tag in tags if tag.startswith(f"{name}-")]
            assert mine == [f"{name}-{n}" for n in range(EACH)]

    names, total = [f"writer {n}" for n in range(WRITERS)], (WRITERS + 1) * EACH
    with ExitStack() as stack:
        processes = [stack.enter_context(running(append_some, path, name, EACH)) for name in names]
        for process in processes:
            assert hear(process) == "ready"
        asyncio.run(main())


def test_another_process_follows(path: Path) -> None:
    """The process receives each event soon, and the end of a run, with no other notification."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.runs.create_run(new_run())
            with running(follow, path) as process:
                assert hear(process) == "running"
                for n in range(5):
                    await stores.events.append(tagged_event(f"{n}"))
                    assert await asyncio.to_thread(hear, process) == f"{n + 1} {n}"
                await stores.runs.cas_run_status(RUN, expected="running", next="completed")
                assert await asyncio.to_thread(hear, process) == "completed"
                assert await asyncio.to_thread(hear, process) == "ended"

    async def in_time() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(in_time())


def test_following_needs_no_thread_and_no_connection(path: Path) -> None:
    """The writer polls for commits of others on its own connection, for any subscriber."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("first"))
            await stores.events.replay_all()
            threads, files = set(threading.enumerate()), sorted(open_files(path.parent))
            for _ in range(4):  # and polling can start again
                async with AsyncExitStack() as stack:
                    for _ in range(3):
                        of = await stack.enter_async_context(aclosing(stores.events.subscribe()))
                        await anext(of)
                    watch = await stack.enter_async_context(aclosing(stores.runs.watch(RUN)))
                    with pytest.raises(NotFoundError):
                        await anext(watch)
                    assert listeners(stores)
                    assert set(threading.enumerate()) == threads
                    assert sorted(open_files(path.parent)) == files
                assert not listeners(stores)

    asyncio.run(main())
    assert not side_files(path)


def test_nothing_is_left_of_a_store_that_was_followed(path: Path) -> None:
    """Closing ends waiting subscriptions, the polling thread, and all connections."""

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        waiting = [asyncio.create_task(take(stores.events.subscribe(), 1)) for _ in range(3)]
        await asyncio.sleep(0.05)
        await stores.close()
        done, _ = await asyncio.wait(waiting, timeout=5)
        assert {type(task.exception()) for task in done} == {ClosedError}
        assert len(done) == 3
        assert not listeners(stores)

    asyncio.run(main())
    assert no_store_threads()
    assert not open_files(path.parent)
    assert not side_files(path)


def listeners(stores: MobStores) -> bool:
    """Return whether a listener is still registered."""
    assert isinstance(stores.engine, SqliteEngine)
    return bool(stores.engine._writer.listeners)  # pyright: ignore[reportPrivateUsage]
