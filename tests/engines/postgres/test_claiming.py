"""Workers that race for runs on PostgreSQL, and a run that changes while it is being claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TypeAlias, cast
from unittest.mock import patch

import pytest

from engines.claiming import race_and_check
from mobstore import Isolation, MobStores, RunClaim, Stores, Timestamp
from mobstore.engines.clock import machine_time
from mobstore.engines.postgres.locks import Locks
from mobstore.engines.postgres.sql import Sql
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Statement
from mobstore.operations import claims
from mobstore.operations.claims import Work
from mobstore.scripts.tables import RunClaimRow
from mobstore.scripts.transaction import Commit, Script
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import make_run, run_id, timestamp
from support import claiming
from support.postgres.pair import Pair
from support.postgres.pooler import Pooler
from support.postgres.server import Server

TTL = 1.0  # seconds
LONGEST_WAIT = 4.0  # seconds, on a loaded machine


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_four_processes(postgres_url: str, tmp_path: Path, isolation: Isolation) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url, isolation=isolation, timeout=60) as stores:
            await race_and_check(stores, postgres_url, TTL, tmp_path)

    asyncio.run(main())


@pytest.mark.process
@pytest.mark.slow
def test_four_processes_behind_a_pooler(
    postgres_pooler: Pooler, postgres_schema: str, tmp_path: Path
) -> None:
    async def main() -> None:
        url = postgres_pooler.url(schema=postgres_schema)
        async with PostgresMobStores.open(url, timeout=60) as stores:
            await race_and_check(stores, url, TTL, tmp_path)

    asyncio.run(main())


@pytest.mark.slow
def test_a_failover_loses_and_doubles_no_claim(postgres_pair: Pair) -> None:
    held: list[RunClaim] = []

    async def work(stores: MobStores, n: int) -> None:
        while (claim := await stores.runs.claim_next(f"worker {n}", ttl=600)) is not None:
            held.append(claim)

    async def main() -> None:
        async with PostgresMobStores.open(postgres_pair.url(schema="s"), timeout=30) as stores:
            for n in range(1, 101):
                await stores.runs.create_run(make_run(n))
            async with asyncio.TaskGroup() as group:
                for n in range(3):
                    group.create_task(work(stores, n))
                while len(held) < 20:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await asyncio.to_thread(postgres_pair.kill_primary)
                assert len(held) < 100
                await asyncio.to_thread(postgres_pair.promote)
            assert {claim.run_id for claim in held} == {run_id(n) for n in range(1, 101)}
            assert len({claim.epoch for claim in held}) == len(held) == 100
            stored = [(one.name, one.holder, one.epoch) for one in await stores.claims.list()]
            assert stored == sorted((one.name, one.holder, one.epoch) for one in held)

    asyncio.run(main())


# A run that changes while it is being claimed ----------------------------------------------------


Change: TypeAlias = Callable[[MobStores, RunClaim], Coroutine[object, None, object]]


def after_scanning(action: Callable[[], None]) -> AbstractContextManager[object]:
    """Call a function when `claim_next` has found a run, before it reads it by its key."""
    inner, left = claims.claim_next, [action]

    def claim_next(work: Work) -> Script[RunClaim | None]:
        script = inner(work)
        asked = next(script)
        try:
            while True:
                answers = yield asked
                while left:
                    left.pop()()
                asked = script.send(answers)
        except StopIteration as end:
            return cast("Commit[RunClaim | None]", end.value)

    return patch.object(claims, "claim_next", claim_next)


async def renew(stores: MobStores, claim: RunClaim) -> None:
    await stores.claims.renew(claim, 60)


async def complete(stores: MobStores, claim: RunClaim) -> None:
    """End the run in the same commit as the claim on it."""

    async def work(at: Stores) -> None:
        await at.runs.cas_run_status(claim.run.run_id, expected="pending", next="completed")
        await at.claims.release(claim)

    await stores.atomic(work, claim=claim)


async def put_off(stores: MobStores, claim: RunClaim) -> None:
    await stores.claims.release(claim, timedelta(hours=1))


def claim_during(
    change: Change, url: str, isolation: Isolation, *, atomic: bool = False, runs: int = 1
) -> None:
    """Claim a run whose claim has expired, while its holder changes it, and check the outcome."""

    async def claim_next(stores: Stores[bool]) -> RunClaim | None:
        return await stores.runs.claim_next("second", ttl=60)

    async def main() -> None:
        async with PostgresMobStores.open(url, isolation=isolation, timeout=10) as stores:
            for n in range(runs):
                await stores.runs.create_run(make_run(n + 1, created_at=timestamp(n)))
            expired = await stores.runs.claim_next("first", ttl=1e-6)
            assert expired is not None
            if runs > 1:  # the expired one is due first all the same
                later = await stores.runs.claim_next("first", ttl=1e-6)
                assert later is not None

            async def from_elsewhere() -> None:
                async with PostgresMobStores.open(url) as other:
                    await change(other, expired)

            def in_a_thread() -> None:
                thread = Thread(target=asyncio.run, args=(from_elsewhere(),))
                thread.start()
                thread.join(10)
                assert not thread.is_alive(), "claiming a run blocks its holder"

            with after_scanning(in_a_thread):
                async with asyncio.timeout(20):
                    if atomic:
                        found = await stores.atomic(claim_next)
                    else:
                        found = await claim_next(stores)
            expected = None if runs == 1 else run_id(2)
            assert (found and found.run.run_id) == expected, "a run was claimed that is not due"
            held = await stores.claims.get(expired.name)
            assert (held and held.epoch) == (expired.epoch if change is renew else None)

    asyncio.run(main())


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("change", [renew, complete, put_off])
def test_a_run_that_changes_while_it_is_claimed(
    change: Change, runs: int, atomic: bool, isolation: Isolation, postgres_url: str
) -> None:
    claim_during(change, postgres_url, isolation, atomic=atomic, runs=runs)


@pytest.mark.parametrize("change", [renew, complete, put_off])
def test_without_another_look_it_is_taken(change: Change, postgres_url: str) -> None:
    with claiming.VARIANTS["not read again"](), pytest.raises(AssertionError, match="not due"):
        claim_during(change, postgres_url, "read committed")


# The time, and locks -----------------------------------------------------------------------------


def acquire_behind_a_lock(postgres: Server, schema: str) -> None:
    """Acquire a claim while another client has the store's lock, for longer than the ttl."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres.url(schema=schema), timeout=30) as stores:
            await stores.claims.acquire("other name", "holder", 60)  # connects the writer
            with postgres.connect() as client:
                client.execute("SELECT pg_advisory_lock(%s)", [Locks(schema).store])
                acquiring = asyncio.create_task(stores.claims.acquire("name", "holder", 0.2))
                await asyncio.sleep(0.3)
                released = Timestamp.now()
                client.execute("SELECT pg_advisory_unlock(%s)", [Locks(schema).store])
                claim = await acquiring
            assert claim is not None
            assert claim.expires_at - released >= timedelta(seconds=0.2), "it has expired already"

    asyncio.run(main())


def test_the_time_is_read_under_the_lock(postgres: Server, postgres_schema: str) -> None:
    acquire_behind_a_lock(postgres, postgres_schema)


def test_a_time_read_before_the_lock_is_noticed(postgres: Server, postgres_schema: str) -> None:
    def too_early(_: Sql) -> Statement:
        return Statement("SELECT $1::text", (scalar(machine_time()),))

    with patch.object(Sql, "now", too_early), pytest.raises(AssertionError, match="has expired"):
        acquire_behind_a_lock(postgres, postgres_schema)


def test_claiming_a_run_does_not_lock_the_whole_store() -> None:
    """Its reads take the lock of epochs, and then that of the run."""
    locks = Locks("schema")
    script = claims.claim_next(Work("holder", 1_000_000, ("pending", "running"), most=3))
    assert locks.add(next(script)) == {("counters", "next_epoch")}
    due = RunClaimRow(f"{run_id(1)}", 1, "mob", "flow", "pending", "", "", 0, 0)
    asked = script.send((None, Timestamp.now().sortable, [], [due], []))
    assert locks.add(asked) == {("run", f"{run_id(1)}")}
    assert not locks.whole


@pytest.mark.slow
def test_many_workers_claim_at_once_and_none_starves(postgres_url: str) -> None:
    """Eight openings claim and release 20 runs all the time, without a break."""
    longest, won = 0.0, [0] * 8

    async def work(n: int, stores: MobStores, deadline: float) -> None:
        nonlocal longest
        while (began := monotonic()) < deadline:
            claim = await stores.runs.claim_next(f"worker {n}", ttl=60)
            longest = max(longest, monotonic() - began)
            if claim is not None:
                won[n] += 1
                await stores.claims.release(claim)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(PostgresMobStores.open(postgres_url, timeout=30))
                for _ in won
            ]
            for n in range(1, 21):
                await opened[0].runs.create_run(make_run(n))
            async with asyncio.TaskGroup() as group:
                for n, stores in enumerate(opened):
                    group.create_task(work(n, stores, monotonic() + 2))
        assert longest < LONGEST_WAIT
        assert min(won) >= 3, won

    asyncio.run(main())
