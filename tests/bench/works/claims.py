"""Claims: against a compare-and-swap, among many runs, and as the fence of an atomic call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from bench import samples
from bench.logs import connect, open_mobstore
from bench.outcome import Check, Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, by_tasks, compete
from mobstore import Claim, MobStores, Stores, open_stores, run_claim_name
from mobstore.scripts.tables import NEXT_RUN

SWAP, ACQUIRE, RENEW = "compare-and-swap", "acquire", "renew"
FENCED, FREE = "with a claim", "without"
TTL = 3600.0

# Prints the idle cost of one and of sixteen workers that wait, in percent of a core.
_WAITING = """
import asyncio, json, sys
from time import monotonic, process_time
from mobstore import open_stores

async def idle(seconds):
    await asyncio.sleep(seconds)
    start, used = monotonic(), process_time()
    await asyncio.sleep(seconds)
    return 100 * (process_time() - used) / (monotonic() - start)

async def main(url, seconds):
    shares = []
    async with open_stores(url) as stores:
        for number in (1, 16):
            works = [stores.runs.claims(f"worker-{n}", ttl=60) for n in range(number)]
            waiting = [asyncio.ensure_future(anext(work)) for work in works]
            shares.append(await idle(seconds))
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for work in works:
                await work.aclose()
    print(json.dumps(shares))

asyncio.run(main(sys.argv[1], float(sys.argv[2])))
"""

_Open: TypeAlias = Callable[[Path], AbstractAsyncContextManager[MobStores]]
_Do: TypeAlias = Callable[[int], Awaitable[object]]
_Prepare: TypeAlias = Callable[[MobStores], Awaitable[_Do]]

_ENGINES: tuple[tuple[str, _Open], ...] = (
    ("memory", lambda _: open_stores("memory:")),
    ("SQLite", open_mobstore),
)
# SQLite itself generates the runs: a hundred thousand of them through a store would take a minute.
_FILL = (
    """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO runs SELECT printf('00000000-0000-4000-8000-%012x', n), n, 'mob-' || (n % 50),
        'publish', 'pending', 'null', '2020-01-01T00:00:00.000000000Z', '', 4 FROM numbers
    """,
    """
    INSERT INTO run_states SELECT run_id, '{"phase":"Pending","fields":{}}' FROM runs
    """,
    """
    INSERT INTO run_claims
    SELECT run_id, number, mob_id, flow_id, status, created_at, '', 0, 0 FROM runs
    """,
)


def fill_runs(path: Path, size: int) -> None:
    """Insert pending runs directly; each can be claimed."""
    with closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_FILL[0], (size,))
        for statement in _FILL[1:]:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO NOTHING", (NEXT_RUN, size + 1)
        )
        connection.execute("COMMIT")


def claims(settings: Settings) -> Iterator[Outcome]:
    """Measure acquiring and renewing, with the compare-and-swap of a run's 5 KB flow state."""
    for engine, open_ in _ENGINES:
        for tasks in (1, 64):
            found = compete(
                [
                    Contestant(SWAP, _doing(open_, _swapping, tasks)),
                    Contestant(ACQUIRE, _doing(open_, _acquiring, tasks)),
                    Contestant(RENEW, _doing(open_, _renewing, tasks)),
                ],
                settings,
                least=10 * tasks,
                most=10_000,
            )
            yield Outcome(
                f"{engine}: claims on runs, {'one task' if tasks == 1 else f'{tasks} tasks'}",
                "calls/s",
                list(found.values()),
                [cost(found[ACQUIRE], found[SWAP], 1.3), cost(found[RENEW], found[SWAP], 1.3)],
                ["acquire and release take turns; a call of each counts as two"],
            )


def claim_next(settings: Settings) -> Iterator[Outcome]:
    """Measure claiming the next run among few and many."""
    few, many = (1_000, 10_000) if settings.quick else (1_000, 100_000)
    names = [f"mobstore, {number:,} runs" for number in (few, many)]
    found = compete(
        [Contestant(name, _claiming(n)) for name, n in zip(names, (few, many), strict=True)],
        settings,
        least=10,
        most=few // 4,
    )
    yield Outcome(
        "claim_next, and release until later",
        "pairs/s",
        list(found.values()),
        [cost(found[names[1]], found[names[0]], 1.3)],
    )


def fence(settings: Settings) -> Iterator[Outcome]:
    """Measure an atomic call of two operations with and without a claim."""
    for engine, open_ in _ENGINES:
        found = compete(
            [
                Contestant(FREE, _doing(open_, _calling(fenced=False), 1)),
                Contestant(FENCED, _doing(open_, _calling(fenced=True), 1)),
            ],
            settings,
            least=50,
            most=5_000,
        )
        yield Outcome(
            f"{engine}: an atomic call that appends a ledger entry and an event",
            "calls/s",
            list(found.values()),
            [cost(found[FENCED], found[FREE], 1.2)],
        )


def waiting(settings: Settings) -> Iterator[Outcome]:
    """Measure a process whose workers wait for runs, while no run is due."""
    seconds = 5 if settings.quick else 20
    with TemporaryDirectory(prefix="mobstore-bench-", dir=settings.directory) as place:
        for engine, url in (("memory", "memory:"), ("SQLite", f"sqlite:{place}/mobs.db")):
            shares: list[float] = json.loads(
                subprocess.run(
                    [sys.executable, "-c", _WAITING, url, str(seconds)],
                    stdout=subprocess.PIPE,
                    check=True,
                ).stdout
            )
            yield Outcome(
                f"{engine}: idle cost of workers that wait for a run",
                "",
                checks=[
                    Check("one waits", shares[0], 0.5, at_most=True, unit="% of a core"),
                    Check("sixteen wait", shares[1], 0.5, at_most=True, unit="% of a core"),
                ],
                notes=[f"processor time within {seconds} s, after as many seconds of quiet"],
            )


def _doing(open_: _Open, prepare: _Prepare, tasks: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_(path) as stores:
            do = await prepare(stores)

            async def turn(count: int) -> float:
                return await by_tasks(tasks, range(count), do)

            yield turn

    return opened


async def _swapping(stores: MobStores) -> _Do:
    states = samples.states(5_000, 61)  # not 64: each run would get the state that it has
    runs = [samples.run().model_copy(update={"flow_state": states[0]}) for _ in range(64)]
    current = dict.fromkeys([run.run_id for run in runs], states[0])
    for run in runs:
        await stores.runs.create_run(run)
    following = cycle(states)

    async def swap(number: int) -> None:
        run_id, next_ = runs[number % len(runs)].run_id, next(following)
        await stores.runs.cas_flow_state(run_id, expected=current[run_id], next=next_)
        current[run_id] = next_

    return swap


async def _names(stores: MobStores) -> list[str]:
    runs = [samples.run() for _ in range(64)]
    for run in runs:
        await stores.runs.create_run(run)
    return [run_claim_name(run.run_id) for run in runs]


async def _acquiring(stores: MobStores) -> _Do:
    names = await _names(stores)
    held: dict[str, Claim] = {}

    async def acquire_or_release(number: int) -> None:
        name = names[number % len(names)]
        claim = held.pop(name, None)
        if claim is not None:
            assert await stores.claims.release(claim)
        else:
            claim = await stores.claims.acquire(name, "worker", TTL)
            assert claim is not None
            held[name] = claim

    return acquire_or_release


async def _renewing(stores: MobStores) -> _Do:
    found = [await stores.claims.acquire(name, "worker", TTL) for name in await _names(stores)]
    claims_ = [claim for claim in found if claim is not None]

    async def renew(number: int) -> None:
        await stores.claims.renew(claims_[number % len(claims_)])

    return renew


def _claiming(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            fill_runs(path, size)

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        claim = await stores.runs.claim_next("worker", ttl=TTL)
                        assert claim is not None
                        await stores.claims.release(claim)
                return watch.seconds

            yield turn

    return opened


def _calling(*, fenced: bool) -> _Prepare:
    async def prepare(stores: MobStores) -> _Do:
        run = samples.run()
        await stores.runs.create_run(run)
        claim = await stores.claims.acquire(run_claim_name(run.run_id), "worker", TTL)
        (event,) = samples.events(1)
        (entry,) = samples.run(entries=1).step_ledger

        async def work(at: Stores) -> None:
            await at.runs.append_step_entry(run.run_id, entry)
            await at.events.append(event)

        async def call(_: int) -> None:
            await stores.atomic(work, claim=claim if fenced else None)

        return call

    return prepare
