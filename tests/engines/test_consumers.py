"""Consumers of a SQLite file in several processes, which are killed; and lingering."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from time import monotonic

import pytest

from engines.children import project
from engines.support import RUN, hear, new_run, running
from mobstore import EventBatch, MobStores, Stores, Subscription, open_stores, verify
from mobstore.testing.samples import number_of, tagged_event

KILLS, EACH = 12, 40
LINGER = 0.2  # seconds


@pytest.mark.slow
@pytest.mark.process
def test_killed_projectors_count_each_event_once(tmp_path: Path) -> None:
    """Two processes follow under one name, and are killed one after the other, many times."""
    path, chance = tmp_path / "mobs.db", random.Random(12)
    counts: list[int] = []

    async def append(stores: MobStores) -> None:
        for n in range(EACH):
            await stores.events.append(tagged_event(str(n)))

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", durability="normal") as stores:
            await stores.runs.create_run(new_run())
            with running(project, path) as process:
                await asyncio.to_thread(hear, process)
                began = monotonic()
                await append(stores)
                await _until_counted(stores, EACH)
                took = monotonic() - began  # the machine may be busy
            for _ in range(KILLS):
                with running(project, path) as one, running(project, path) as other:
                    for process in (one, other):
                        await asyncio.to_thread(hear, process)
                    appending = asyncio.create_task(append(stores))
                    for process in (one, other):
                        await asyncio.sleep(chance.uniform(0, took))
                        process.kill()
                    await appending
                counts.append(await stores.atomic(_counted))
            with running(project, path):
                await _until_counted(stores, (KILLS + 1) * EACH)
            assert await stores.events.latest_cursor() == (KILLS + 1) * EACH
            assert (await verify(stores)).problems == ()

    asyncio.run(main())
    assert len(set(counts)) > KILLS // 2, "the processes were killed before they counted"
    assert any(count % EACH for count in counts), "the processes were killed after they counted"


async def _until_counted(stores: MobStores, events: int) -> None:
    async with asyncio.timeout(20):
        while await stores.atomic(_counted) < events:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.001)
    assert await stores.atomic(_counted) == events


async def _counted(at: Stores) -> int:
    """Return the count, after a check that count and position are one commit."""
    run = await at.runs.get_run(RUN)
    assert run is not None
    positions = [consumer.cursor for consumer in await at.events.consumers()]
    assert positions in ([], [number_of(run.flow_state)])
    return number_of(run.flow_state)


async def _step(batches: Subscription[EventBatch]) -> EventBatch:
    return await anext(batches)


@pytest.mark.slow
def test_steps_with_timeouts_below_the_linger_time_return_batches() -> None:
    """A cancelled step does not begin to linger anew."""

    async def main() -> None:
        async with open_stores("memory:") as stores:
            await stores.events.append(tagged_event("one"))
            async with stores.events.follow("name", linger=LINGER) as batches:
                began, found = monotonic(), None
                while found is None and monotonic() < began + 50 * LINGER:
                    try:
                        found = await asyncio.wait_for(_step(batches), LINGER / 4)
                    except TimeoutError:
                        await stores.events.append(tagged_event("more"))
                assert found is not None
                assert monotonic() - began >= LINGER
                assert len(found.events) > 2
                again = await _step(batches)
                assert monotonic() - began >= 2 * LINGER, "each batch lingers"
                assert again.events == found.events

    asyncio.run(main())
