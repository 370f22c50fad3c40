"""Subscriptions and event loops: loops that have ended, and several loops."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from engines.support import RUN, new_run, no_store_threads
from mobstore import InternalError, MobEvent, MobStores, Subscription, open_stores
from mobstore.testing.samples import tag_of, tagged_event


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"


async def _begin(url: str) -> MobStores:
    stores = await open_stores(url)
    await stores.events.append(tagged_event("first"))
    return stores


async def _follow(stores: MobStores) -> Subscription[MobEvent]:
    """Leave a subscription and a task that waits for it."""
    following = stores.events.subscribe()
    await anext(following)
    asyncio.create_task(_next(following))  # noqa: RUF006 - left behind is what it shall be
    await asyncio.sleep(0)
    return following


async def _next(of: Subscription[MobEvent]) -> MobEvent:
    return await anext(of)


async def _heard(stores: MobStores) -> None:
    """Check that a new subscriber receives new events."""
    async with stores.events.subscribe(await stores.events.latest_cursor()) as following:
        waiting = asyncio.create_task(_next(following))
        await asyncio.sleep(0)
        stored = await stores.events.append(tagged_event("heard"))
        assert await asyncio.wait_for(waiting, 30) == stored


@pytest.mark.slow
@pytest.mark.parametrize("held", [True, False], ids=["held", "dropped"])
def test_an_ended_loop_affects_no_other(
    url: str, held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stores = asyncio.run(_begin(url))
    left: list[Subscription[MobEvent] | None]
    left = [asyncio.run(_follow(stores)) for _ in range(2)]
    if not held:
        left = [None]
    gc.collect()

    async def main() -> None:
        await _heard(stores)
        if left[0] is not None:
            await left[0].aclose()
            await left[0].aclose()
        await stores.close()

    asyncio.run(main())
    gc.collect()
    assert not caplog.records
    assert no_store_threads()


def test_closing_with_followers_of_ended_loops(url: str, caplog: pytest.LogCaptureFixture) -> None:
    stores = asyncio.run(_begin(url))
    left = [asyncio.run(_follow(stores)) for _ in range(3)]
    asyncio.run(stores.close())
    assert not caplog.records
    assert no_store_threads()
    assert left


def test_a_subscription_is_of_one_loop(url: str) -> None:
    stores = asyncio.run(_begin(url))
    following = asyncio.run(_follow(stores))

    async def main() -> None:
        with pytest.raises(InternalError, match="to another event loop; make one in this"):
            await anext(following)
        await following.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(following)
        await stores.close()

    asyncio.run(main())


def test_two_loops_follow_at_the_same_time(url: str) -> None:
    """Each loop receives the events of the other, and can close its subscription."""
    got: list[str] = []

    async def other(stores: MobStores, ready: threading.Event, end: threading.Event) -> None:
        async with stores.events.subscribe(1) as following:
            shared.append(following)
            waiting = asyncio.create_task(_next(following))
            await asyncio.sleep(0)
            ready.set()
            got.append(tag_of((await waiting).kind))
            waiting = asyncio.create_task(_next(following))
            await asyncio.sleep(0)
            end.set()
            with pytest.raises(StopAsyncIteration):
                await waiting

    shared: list[Subscription[MobEvent]] = []

    async def main() -> None:
        stores = await _begin(url)
        ready, end = threading.Event(), threading.Event()
        thread = threading.Thread(target=_run, args=(other(stores, ready, end),))
        thread.start()
        await asyncio.to_thread(ready.wait, 30)
        await stores.events.append(tagged_event("to the other"))
        await asyncio.to_thread(end.wait, 30)
        await shared[0].aclose()
        await asyncio.to_thread(thread.join, 30)
        await stores.close()

    asyncio.run(main())
    assert got == ["to the other"]


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_without_a_loop() -> None:
    stores = asyncio.run(_begin("memory:"))
    step = anext(stores.events.subscribe())
    assert isinstance(step, Coroutine)
    with pytest.raises(InternalError, match="needs a running event loop"):
        step.send(None)
    asyncio.run(stores.close())


def test_a_watch_is_released_when_the_run_has_ended() -> None:
    async def main() -> None:
        async with open_stores("memory:") as stores:
            await stores.runs.create_run(new_run())
            watch = stores.runs.watch(RUN)
            await anext(watch)
            assert vars(stores.engine)["_listeners"]
            await stores.runs.cas_run_status(RUN, expected="running", next="failed")
            assert (await anext(watch)).status == "failed"
            assert not vars(stores.engine)["_listeners"]
            with pytest.raises(StopAsyncIteration):
                await anext(watch)

    asyncio.run(main())


class LoopOfPyodide(asyncio.SelectorEventLoop):
    """A loop with a clock in steps, as Firefox's, that rejects timers in the past, as Pyodide's."""

    looks = 0

    def time(self) -> float:
        self.looks += 1
        return super().time() + self.looks * 0.001

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        if when < self.time():
            raise ValueError("Can't schedule in the past")
        return super().call_at(when, callback, *args, context=context)


def test_a_short_wait_where_the_clock_moves_on() -> None:
    async def main() -> None:
        async with open_stores("memory:") as stores:
            await stores.events.append(tagged_event("first"))
            async with stores.events.follow("name", linger=0.0015) as batches:
                assert (await anext(batches)).cursor == 1

    with asyncio.Runner(loop_factory=LoopOfPyodide) as runner:
        runner.run(main())
