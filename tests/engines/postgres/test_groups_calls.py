"""Every call: on a closed store, on one opened to read, cancelled, and in several event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from engines.support import READS, RUN, every_call, new_run, rich_run
from mobstore import (
    CasConflictError,
    ClosedError,
    MobStores,
    Stores,
    UsageError,
    open_stores,
    verify,
)
from mobstore.scripts.tables import EVENTS
from mobstore.scripts.transaction import Commit, DeleteRange, Scan, Script
from mobstore.testing.samples import number_of, state, tagged_event


async def fill(url: str) -> None:
    async with open_stores(url) as stores:
        await stores.runs.create_run(rich_run())
        await stores.events.append(tagged_event("e"))


def test_after_close(postgres_url: str) -> None:
    async def main() -> None:
        stores = await open_stores(postgres_url)
        await stores.runs.create_run(new_run())
        await stores.close()
        for call in every_call(stores):
            with pytest.raises(ClosedError, match="the store is closed; open it again"):
                await call.make()
        await stores.close()

    asyncio.run(main())


def test_opened_to_read(postgres_url: str) -> None:
    async def nothing(_: Stores) -> None:
        pass

    def script() -> Script[None]:
        yield ()
        return Commit(None, (DeleteRange(Scan(EVENTS)),))

    async def main() -> None:
        await fill(postgres_url)
        async with open_stores(postgres_url, read_only=True) as stores:
            attempts: list[Callable[[], Awaitable[object]]] = [
                *(call.make for call in every_call(stores) if call.method not in READS),
                stores.compact,
                lambda: stores.atomic(nothing),
                lambda: stores.engine.write(script),
                lambda: stores.engine.load(script),
            ]
            for attempt in attempts:
                with pytest.raises(UsageError, match="open it without read_only to write"):
                    await attempt()
            for call in every_call(stores):
                if call.method in READS:
                    await call.make()

    asyncio.run(main())


@pytest.mark.parametrize("turns", [0, 2, 5, 13])
def test_cancelled(turns: int, postgres_url: str) -> None:
    """After each call that is cancelled the store works, and holds it whole or not at all."""

    async def cancel(stores: MobStores, make: Callable[[], Awaitable[object]]) -> None:
        async def call() -> None:
            await make()

        task = asyncio.create_task(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, CasConflictError)  # since an earlier call was cancelled
        await stores.runs.get_run(RUN)

    async def main() -> None:
        await fill(postgres_url)
        async with open_stores(postgres_url) as stores:
            for call in every_call(stores):
                await cancel(stores, call.make)
            async with asyncio.timeout(10):  # a read under way may last a little longer
                while len(asyncio.all_tasks()) > 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            appended = await stores.events.append(tagged_event("last"))
            assert (await stores.events.replay_all())[-1] == appended
            assert not (await verify(stores)).problems

    asyncio.run(main())


def test_several_event_loops(postgres_url: str) -> None:
    """Threads with event loops of their own share an opening; none of their swaps is lost."""
    swaps = 25

    async def swap(stores: MobStores) -> None:
        done = 0
        while done < swaps:
            run = await stores.runs.get_run(RUN)
            assert run is not None
            following = state(number_of(run.flow_state) + 1)
            done += await stores.runs.cas_flow_state(RUN, expected=run.flow_state, next=following)

    async def two(stores: MobStores) -> None:
        await asyncio.gather(swap(stores), swap(stores))

    async def main() -> int:
        async with open_stores(postgres_url) as stores:
            await stores.runs.create_run(new_run(flow_state=state(0)))
            with ThreadPoolExecutor(3) as threads:
                others = [threads.submit(asyncio.run, two(stores)) for _ in range(3)]
                await two(stores)
                await asyncio.gather(*map(asyncio.wrap_future, others))
            run = await stores.runs.get_run(RUN)
            assert run is not None
            return number_of(run.flow_state)

    assert asyncio.run(main()) == 4 * 2 * swaps
