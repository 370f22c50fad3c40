"""Deletions of a run; the cost depends on its rows, not on other rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bench import samples
from bench.logs import connect, open_mobstore
from bench.outcome import Outcome, cost
from bench.turns import Contestant, Measured, Opener, Settings, Stopwatch, Turn, compete
from mobstore import MobStores, RunId

ALONE, AMONG, RAW = "mobstore", "mobstore, among others", "raw sqlite3, DELETE, among others"
LIMIT = 1.3
_TABLES = ("runs", "run_states", "step_ledger")  # those with rows of the run


def delete_run(settings: Settings) -> Iterator[Outcome]:
    """Measure runs of two lengths, each with and without many other entries in the store."""
    others = 20_000 if settings.quick else 100_000
    shorter: Measured | None = None
    for entries in (1_000, 10_000):
        found = compete(
            [
                Contestant(ALONE, _mobstore(entries, 0)),
                Contestant(AMONG, _mobstore(entries, others)),
                Contestant(RAW, _raw(entries, others)),
            ],
            settings,
            most=20_000 // entries,
            per_operation=entries,
        )
        checks = [cost(found[AMONG], found[RAW]), cost(found[AMONG], found[ALONE], LIMIT)]
        if shorter is not None:
            longer = Measured(f"{AMONG}, {entries:,}", found[AMONG].costs)
            checks.append(cost(longer, shorter, LIMIT))
        shorter = Measured("1,000", found[AMONG].costs)
        yield Outcome(
            f"delete_run of {entries:,} entries, with and without {others:,} of other runs",
            "entries/s",
            list(found.values()),
            checks,
            [f"by hand: one transaction that deletes from {', '.join(_TABLES)}"],
        )


def _mobstore(entries: int, others: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            await _create(stores, others // 10_000, 10_000)

            async def turn(count: int) -> float:
                doomed = await _create(stores, count, entries)
                with Stopwatch() as watch:
                    for run_id in doomed:
                        assert await stores.runs.delete_run(run_id)
                return watch.seconds

            yield turn

    return opened


def _raw(entries: int, others: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            await _create(stores, others // 10_000, 10_000)
            with closing(connect(path)) as connection:

                async def turn(count: int) -> float:
                    doomed = [(str(run_id),) for run_id in await _create(stores, count, entries)]
                    with Stopwatch() as watch:
                        for key in doomed:
                            connection.execute("BEGIN IMMEDIATE")
                            for table in _TABLES:
                                connection.execute(f"DELETE FROM {table} WHERE run_id = ?", key)
                            connection.execute("COMMIT")
                    return watch.seconds

                yield turn

    return opened


async def _create(stores: MobStores, count: int, entries: int) -> list[RunId]:
    runs = [samples.run(entries=entries) for _ in range(count)]
    for run in runs:
        await stores.runs.create_run(run)
    return [run.run_id for run in runs]
