"""Workers that wait for runs: what wakes them, and what a cancelled one keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from engines.support import hear, running, say, tell
from mobstore import MobStores, RunClaim, Subscription, open_stores
from mobstore.testing.samples import make_run, run_id

ENGINES = ["memory", "sqlite"]
WORKERS = 50
LOADED = 20  # times as long as on an idle machine
WOKEN = 0.05 * LOADED  # seconds


def url_of(engine: str, folder: Path) -> str:
    return "memory:" if engine == "memory" else f"sqlite:{folder / 'mobs.db'}"


def waiting_for_run(stores: MobStores, holder: str = "worker") -> Subscription[RunClaim]:
    return stores.runs.claims(holder, ttl=60)


@asynccontextmanager
async def all_waiting(
    stores: MobStores, number: int
) -> AsyncGenerator[list[asyncio.Task[RunClaim]]]:
    """Let workers wait for a run."""
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[RunClaim]] = []
        for n in range(number):
            claims = await stack.enter_async_context(waiting_for_run(stores, f"worker {n}"))
            tasks.append(asyncio.create_task(anext(claims)))
        await asyncio.sleep(0.05)
        yield tasks
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def reads_of(stores: MobStores, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that grows with every script that the engine runs."""
    scripts: list[float] = []
    engine = stores.engine
    for name in ("read", "write"):
        original = getattr(engine, name)

        def counted(make: object, original: object = original) -> object:
            scripts.append(time.monotonic())
            return original(make)  # type: ignore[operator]

        monkeypatch.setattr(engine, name, counted)
    return scripts


# What wakes them ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_of_many_workers_one_gets_the_run_and_the_others_wait_on(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_stores(url_of(engine, tmp_path)) as stores:
            async with all_waiting(stores, WORKERS) as tasks:
                scripts = reads_of(stores, monkeypatch)
                for n in (1, 2):
                    created = time.monotonic()
                    await stores.runs.create_run(make_run(n))
                    async with asyncio.timeout(30):
                        while sum(task.done() for task in tasks) < n:  # noqa: ASYNC110
                            await asyncio.sleep(0.001)
                    assert time.monotonic() - created < WOKEN
                    await asyncio.sleep(0.2)
                    assert sum(task.done() for task in tasks) == n
                    # Each is woken by the new run, and by the commits of the claim on it.
                    assert len(scripts) <= n * (1 + 4 * WORKERS)
                rested = len(scripts)
                await asyncio.sleep(0.3)
                assert len(scripts) == rested, "they poll"
            held = await stores.claims.list()
            assert [claim.run_id for claim in held] == [run_id(1), run_id(2)]

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_due_time_wakes_without_polling(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_stores(url_of(engine, tmp_path)) as stores:
            await stores.runs.create_run(make_run(1))
            claim = await stores.runs.claim_next("before", ttl=60)
            assert claim is not None
            async with all_waiting(stores, 1) as (task,):
                released = time.monotonic()
                await stores.claims.release(claim, timedelta(seconds=0.5))
                await asyncio.sleep(0.1)
                scripts = reads_of(stores, monkeypatch)
                found = await asyncio.wait_for(task, 30)
                assert 0.5 <= time.monotonic() - released < 0.5 + WOKEN
                assert found.run_id == run_id(1)
                assert len(scripts) == 2, "one to look, one to claim"

    asyncio.run(main())


def create_one(path: str) -> None:
    """Child: create a run, and print the time."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            say("ready")
            await asyncio.to_thread(input)
            await stores.runs.create_run(make_run(1))
            say(str(time.monotonic()))

    asyncio.run(main())


@pytest.mark.process
def test_another_process_wakes_them(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores, all_waiting(stores, 1) as (task,):
            with running(create_one, path) as child:
                await asyncio.to_thread(hear, child)
                tell(child)
                await asyncio.wait_for(task, 30)
                woken = time.monotonic()
                assert woken - float(await asyncio.to_thread(hear, child)) < WOKEN

    asyncio.run(main())


# What a cancelled one keeps ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ending", ["next", "close"])
def test_a_worker_cancelled_at_any_time_loses_no_claim(
    engine: str, ending: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with open_stores(url_of(engine, tmp_path)) as stores:
            cancelled = 0
            for steps in range(40):
                await stores.runs.create_run(make_run(steps + 1))
                async with waiting_for_run(stores) as claims:
                    task = asyncio.ensure_future(anext(claims))
                    for _ in range(steps):
                        # On SQLite, the writer's thread needs time.
                        await asyncio.sleep(0 if engine == "memory" else 1e-4)
                    task.cancel()
                    await asyncio.wait([task])
                    cancelled += task.cancelled()
                    claim: RunClaim | None = None
                    if not task.cancelled():
                        claim = task.result()
                    elif ending == "next":
                        claim = await asyncio.wait_for(anext(claims), 5)
                    if claim is not None:
                        assert claim.run_id == run_id(steps + 1)
                        await stores.claims.release(claim)
                assert await stores.claims.list() == [], "a claim is held, but was not received"
                await stores.runs.delete_run(run_id(steps + 1))
            assert cancelled >= 2

    asyncio.run(main())
