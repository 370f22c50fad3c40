"""Appends to step ledgers of very different length."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import samples
from bench.logs import open_mobstore
from bench.outcome import Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import RunId


def ledger(settings: Settings) -> Iterator[Outcome]:
    """Measure appends to ledgers of different length: the cost must not grow."""
    sizes = (10, 1_000, 10_000 if settings.quick else 100_000)
    found = compete(
        [Contestant(f"mobstore, {size:,} entries", _appending(size)) for size in sizes],
        settings,
        least=50,
    )
    cheapest, *_, dearest = sorted(found.values(), key=lambda one: one.cost)
    yield Outcome(
        "append to a step ledger",
        "appends/s",
        list(found.values()),
        [cost(dearest, cheapest, 1.3)],
        ["no ledger grows beyond twice its length; then a new one of the length replaces it"],
    )


def _appending(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            run, room = samples.run(entries=size), size
            await stores.runs.create_run(run)

            async def turn(count: int) -> float:
                nonlocal run, room
                places: list[RunId] = []
                for _ in range(count):
                    if room == 0:
                        run, room = samples.run(entries=size), size
                        await stores.runs.create_run(run)
                    places.append(run.run_id)
                    room -= 1
                entry = samples.step_entry(size)
                with Stopwatch() as watch:
                    for run_id in places:
                        await stores.runs.append_step_entry(run_id, entry)
                return watch.seconds

            yield turn

    return opened
