"""Claims on runs by several openings at once, in both isolations; the time of a server."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from mobstore import Isolation, MobStores, PostgresMobStores, RunClaim, Timestamp, open_stores
from mobstore.scripts import tables
from mobstore.scripts.transaction import Scan
from mobstore.testing.samples import make_run
from mobstore.testing.scripts import read_script
from support.postgres.pair import Pair

RUNS, OPENINGS = 30, 4


async def work(stores: MobStores, holder: str) -> list[RunClaim]:
    """Claim runs until none is left, while their statuses change; return the claims."""
    found: list[RunClaim] = []
    while (claim := await stores.runs.claim_next(holder, ttl=60)) is not None:
        found.append(claim)
        if len(found) % 2:
            await stores.runs.cas_run_status(claim.run.run_id, expected="pending", next="running")
        else:
            await stores.claims.renew(claim, 90)
    return found


@pytest.mark.parametrize("kind", ["read committed", "serializable"])
def test_each_run_is_claimed_once(postgres_url: str, kind: Isolation) -> None:
    """Also while other tasks change and create runs, whose locks a search does not take."""

    async def disturb(stores: MobStores, ids: list[UUID]) -> None:
        for n, run_id in enumerate(ids):
            await stores.runs.cas_run_status(run_id, expected="pending", next="running")
            await stores.runs.create_run(make_run(RUNS + n + 1, status="completed"))

    async def main() -> None:
        async with AsyncExitStack() as stack:
            openings = [
                await stack.enter_async_context(
                    PostgresMobStores.open(postgres_url, isolation=kind, timeout=30)
                )
                for _ in range(OPENINGS)
            ]
            ids = [UUID(int=n) for n in range(1, RUNS + 1)]
            for n in range(1, RUNS + 1):
                await openings[0].runs.create_run(make_run(n))
            async with asyncio.TaskGroup() as group:
                group.create_task(disturb(openings[0], ids))
                workers = [
                    group.create_task(work(stores, f"worker {n}"))
                    for n, stores in enumerate(openings)
                ]
            made = [claim for worker in workers for claim in worker.result()]
            assert Counter(claim.run.run_id for claim in made) == Counter(ids)
            assert len({claim.epoch for claim in made}) == RUNS
            stored = await openings[0].claims.list(prefix="run/")
            assert {(one.name, one.holder, one.epoch) for one in stored} == {
                (one.name, one.holder, one.epoch) for one in made
            }
            runs = await openings[0].engine.read(read_script(Scan(tables.RUNS)))
            rows = await openings[0].engine.read(read_script(Scan(tables.RUN_CLAIMS)))
            going = {run.run_id: run.status for run in runs if run.status != "completed"}
            assert {row.run_id: row.status for row in rows} == going

    asyncio.run(main())


def test_expiry_is_by_the_server_s_clock_also_read_only(postgres_url: str) -> None:
    async def main() -> None:
        async with open_stores(postgres_url) as stores:
            claim = await stores.claims.acquire("short", "holder", 0.001)
            assert claim is not None
            assert await stores.claims.acquire("long", "holder", 60)
        await asyncio.sleep(0.01)
        async with open_stores(postgres_url, read_only=True) as stores:
            assert [one.name for one in await stores.claims.list(expired=True)] == ["short"]
            assert [one.name for one in await stores.claims.list(expired=False)] == ["long"]

    asyncio.run(main())


def test_a_clock_for_tests_replaces_the_server_s(postgres_url: str) -> None:
    now = Timestamp("2001-02-03T04:05:06.789012345Z")

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url, clock=lambda: now) as stores:
            claim = await stores.claims.acquire("name", "holder", 1)
            assert claim is not None
            assert str(claim.expires_at) == "2001-02-03T04:05:07.789012345Z"

    asyncio.run(main())


@pytest.mark.slow
def test_expiry_on_a_standby(postgres_pair: Pair) -> None:
    async def main() -> None:
        url = postgres_pair.primary.url()
        async with open_stores(url) as stores:
            assert await stores.claims.acquire("long", "holder", 60)
        standby = postgres_pair.standby.url()
        postgres_pair.wait_until_replayed()
        async with open_stores(standby, read_only=True) as stores:
            found = await stores.claims.list(expired=False)
            assert [one.name for one in found] == ["long"]
            assert await stores.claims.list(expired=True) == []

    asyncio.run(main())
