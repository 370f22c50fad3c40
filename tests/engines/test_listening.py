"""Commit listeners: which ones a commit notifies, and listeners that are dead or raise."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.support import hear, no_store_threads, open_files, running, say
from mobstore import MobStoreError, MobStores, open_stores
from mobstore.engines.sqlite import SqliteEngine
from mobstore.engines.sqlite.writer import Writer
from mobstore.scripts.tables import COUNTERS, EVENTS_BY_MOB, SPECS, CounterRow
from mobstore.scripts.transaction import Commit, LoadingScript, Put, Scan
from mobstore.testing.samples import tag_of, tagged_event

LATER = 0.2  # seconds; ten polls for commits of others


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


class Ear:
    """A listener that counts its calls."""

    def __init__(self) -> None:
        self.woken = 0

    def __call__(self) -> None:
        self.woken += 1


def follow_mob(stores: MobStores, mob_id: str) -> Ear:
    ear = Ear()
    stores.engine.listen(ear, Scan(EVENTS_BY_MOB, (mob_id,)))
    return ear


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


# Whom a commit wakes ---------------------------------------------------------------------------


def test_own_commits_notify_the_listeners_that_they_concern(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            idle = [follow_mob(stores, f"mob {n}") for n in range(1000)]
            mob, every, specs = follow_mob(stores, "mob"), Ear(), Ear()
            stores.engine.listen(every)
            stores.engine.listen(specs, Scan(SPECS))
            for n in range(10):
                await stores.events.append(tagged_event(f"{n}"))
                assert mob.woken == n + 1
            await stores.events.poll(0, 10)
            await asyncio.sleep(LATER)  # nor does the poll for commits of others
            assert (mob.woken, every.woken, specs.woken) == (10, 10, 0)
            assert {ear.woken for ear in idle} == {0}

            await stores.engine.load(_loading)  # its writes are not known
            assert {ear.woken for ear in (*idle, specs)} == {1}
            assert mob.woken == 11

    asyncio.run(main())


def _loading() -> LoadingScript[None]:
    yield (Put(COUNTERS, (CounterRow("next_cursor", 50),)),)
    return Commit(None)


def test_an_operation_without_writes_notifies_no_listener(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            every = Ear()
            stores.engine.listen(every)
            assert not await stores.specs.delete_spec("none", 1)
            await asyncio.sleep(LATER)
            assert every.woken == 0

    asyncio.run(main())


@pytest.mark.slow
def test_commits_of_others_notify_all_listeners(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("first"))
            idle, mob = follow_mob(stores, "idle"), follow_mob(stores, "mob")
            with running(append_one, path) as process:
                assert hear(process) == "appended"
            await until(lambda: bool(idle.woken and mob.woken))

    asyncio.run(main())


def append_one(path: str) -> None:
    """Append an event."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("by another"))

    asyncio.run(main())
    say("appended")


@pytest.mark.slow
def test_commits_of_others_are_noticed_during_constant_writes(path: Path) -> None:
    """The queue of writes is never empty, so the writer never pauses."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", durability="normal") as stores:
            idle = follow_mob(stores, "mob")
            done = asyncio.Event()

            async def write() -> None:
                while not done.is_set():
                    await stores.events.append(tagged_event("e"))

            writing = [asyncio.create_task(write()) for _ in range(4)]
            with running(append_one, path) as process:
                assert await asyncio.to_thread(hear, process) == "appended"
            await until(lambda: idle.woken > 0)
            done.set()
            await asyncio.gather(*writing)

    asyncio.run(main())


def test_without_listeners_the_writer_seldom_wakes(path: Path) -> None:
    """It wakes only to check the size of the log."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            assert (pause(stores) or 0) > 1
            end = stores.engine.listen(Ear())
            assert 0 <= (pause(stores) or 0) <= 0.02
            end()
            assert (pause(stores) or 0) > 1

    asyncio.run(main())


def pause(stores: MobStores) -> float | None:
    assert isinstance(stores.engine, SqliteEngine)
    writer: Writer = stores.engine._writer  # pyright: ignore[reportPrivateUsage]
    return writer._pause()  # pyright: ignore[reportPrivateUsage]


# The file is gone ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("what", ["removed", "replaced", "log removed", "directory removed"])
def test_subscribers_raise_when_the_file_is_gone(tmp_path: Path, what: str) -> None:
    directory = tmp_path / "stores"
    directory.mkdir()
    path = directory / "mobs.db"

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}", timeout=1)
        try:
            await stores.events.append(tagged_event("first"))
            woken = follow_mob(stores, "another")
            of = stores.events.subscribe()
            assert (await anext(of)).cursor == 1
            waiting = asyncio.ensure_future(anext(of))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            if what == "removed":
                path.unlink()
            elif what == "replaced":
                shutil.copy(path, tmp_path / "other")
                (tmp_path / "other").replace(path)
            elif what == "log removed":
                path.with_name("mobs.db-wal").unlink()
            else:
                shutil.rmtree(directory)
            with pytest.raises(MobStoreError, match="removed or replaced while it was open"):
                await asyncio.wait_for(waiting, 30)
            await until(lambda: woken.woken > 0)
            await asyncio.sleep(LATER)
            assert woken.woken == 1  # once, not at every poll
        finally:
            await stores.close()

    asyncio.run(main())
    assert no_store_threads()


# Dead listeners --------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[[], None]:
    def wake() -> None:
        raise error

    return wake


def of_a_closed_loop() -> Callable[[], None]:
    loop = asyncio.new_event_loop()
    loop.close()

    def wake() -> None:
        loop.call_soon_threadsafe(print)

    return wake


WAKES: dict[str, Callable[[], Callable[[], None]]] = {
    "closed loop": of_a_closed_loop,
    "error": lambda: raising(ValueError("mine")),
    "cancelled": lambda: raising(asyncio.CancelledError()),
    "exit": lambda: raising(SystemExit(3)),
    "interrupt": lambda: raising(KeyboardInterrupt()),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WAKES)
def test_a_listener_that_raises_affects_no_other(path: Path, kind: str) -> None:
    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        before, after = Ear(), Ear()
        stores.engine.listen(before)
        stores.engine.listen(WAKES[kind]())
        stores.engine.listen(after)
        async with asyncio.timeout(30):
            cursors = await asyncio.gather(
                *(stores.events.append(tagged_event(f"{n}")) for n in range(20))
            )
            assert [one.cursor for one in cursors] == list(range(1, 21))
            stored = await stores.events.replay_all()
            # None was written twice, as after a failed commit.
            assert [tag_of(one.kind) for one in stored] == [f"{n}" for n in range(20)]
            assert before.woken
            assert before.woken == after.woken
            woken = after.woken
            with running(append_one, path) as process:
                assert hear(process) == "appended"
            await until(lambda: after.woken > woken)
            woken = after.woken
            await stores.close()
            assert after.woken == woken + 1

    asyncio.run(main())
    assert no_store_threads()
    assert open_files(path.parent) == []


# Closing ---------------------------------------------------------------------------------------


async def _used(path: Path) -> MobStores:
    """Return a store with all its threads and connections."""
    stores = await open_stores(f"sqlite:{path}")
    await stores.events.append_batch([tagged_event("e", "x" * 1000)] * 2000)
    await asyncio.gather(*(stores.events.replay_all() for _ in range(4)))
    await stores.compact()
    stores.engine.listen(Ear())
    assert len(open_files(path.parent)) >= 4
    return stores


def _assert_all_gone(path: Path) -> None:
    assert no_store_threads()
    assert open_files(path.parent) == []
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


@pytest.mark.slow
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_a_cancelled_close_completes(path: Path, turns: int) -> None:
    """There is no second call, and the loop ends at once."""

    async def main() -> None:
        stores = await _used(path)
        reading = [asyncio.ensure_future(stores.events.replay_all()) for _ in range(3)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(stores.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        for task in reading:
            task.cancel()
        if turns == 0:
            await stores.close()  # that one had not started

    asyncio.run(main())
    _assert_all_gone(path)


def test_close_from_other_loops_at_once(path: Path) -> None:
    stores: Any = asyncio.run(_used(path))
    failures: list[BaseException] = []

    def close() -> None:
        try:
            asyncio.run(stores.close())
            assert no_store_threads(0.5, "mobstore-write")
        except BaseException as error:  # noqa: BLE001 - raised below; a thread cannot raise
            failures.append(error)

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not failures
    asyncio.run(stores.close())
    _assert_all_gone(path)


def test_close_while_the_loop_of_a_waiting_call_is_gone(path: Path) -> None:
    """Its results are dropped, and all other calls continue."""

    async def start() -> MobStores:
        stores = await _used(path)
        for n in range(5):
            asyncio.ensure_future(stores.events.append(tagged_event(f"{n}")))  # noqa: RUF006
            asyncio.ensure_future(stores.events.replay_all())  # noqa: RUF006
        await asyncio.sleep(0)
        return stores

    loop = asyncio.new_event_loop()
    stores = loop.run_until_complete(start())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    asyncio.run(stores.close())
    _assert_all_gone(path)
