"""Costs that depend only on returned or deleted rows: measured by doubling all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from bench import samples
from bench.logs import fill_events, open_mobstore
from bench.outcome import Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import Timestamp

LIMIT = 1.3
NOTE = "a cost that depended on the whole would be 2 x; the goal of 1.3 is that of ledgers"


def list_runs(settings: Settings) -> Iterator[Outcome]:
    """Measure a list of a hundred runs of one mob among those of many."""
    whole = 1_000 if settings.quick else 10_000
    yield _doubled(settings, "list_runs of one mob's 100 runs", "lists/s", "runs", whole, _listing)


def poll(settings: Settings) -> Iterator[Outcome]:
    """Measure a poll of a hundred events in a long log."""
    whole = 100_000 if settings.quick else 1_000_000
    yield _doubled(settings, "poll of 100 events", "polls/s", "events", whole, _polling)


def prune(settings: Settings) -> Iterator[Outcome]:
    """Measure pruning half of a log, and the same events of a log of twice the length."""
    whole = 20_000 if settings.quick else 100_000
    yield _doubled(
        settings, f"prune of {whole // 2:,} events", "prunes/s", "events", whole,
        lambda size: _pruning(whole // 2, size), most=1,
    )  # fmt: skip


def _doubled(
    settings: Settings,
    title: str,
    unit: str,
    what: str,
    whole: int,
    opener: Callable[[int], Opener],
    *,
    most: int = 20_000,
) -> Outcome:
    names = [f"mobstore, {size:,} {what}" for size in (whole, 2 * whole)]
    found = compete(
        [Contestant(name, opener(whole * n)) for n, name in enumerate(names, 1)],
        settings,
        most=most,
    )
    checks = [cost(found[names[1]], found[names[0]], LIMIT)]
    return Outcome(f"{title} out of {whole:,}", unit, list(found.values()), checks, [NOTE])


def _listing(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            others = size // 100
            for _ in range(100):
                batch = [samples.run(mob=f"mob-{mob}") for mob in range(others)]
                await asyncio.gather(*map(stores.runs.create_run, batch))

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        assert len(await stores.runs.list_runs("mob-7")) == 100
                return watch.seconds

            yield turn

    return opened


def _polling(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            fill_events(path, size)
            random = Random(size)

            async def turn(count: int) -> float:
                places = [random.randrange(size - 100) for _ in range(count)]
                with Stopwatch() as watch:
                    for place in places:
                        assert len(await stores.events.poll(place, 100)) == 100
                return watch.seconds

            yield turn

    return opened


def _pruning(doomed: int, size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            fill_events(path, size)
            moment = Timestamp(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=doomed + 1))
            pruned = False

            async def turn(count: int) -> float:
                nonlocal pruned
                assert count == 1
                if pruned:
                    fill_events(path, doomed)
                with Stopwatch() as watch:
                    assert await stores.events.prune(moment) == doomed
                pruned = True
                return watch.seconds

            yield turn

    return opened
