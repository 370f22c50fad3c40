"""Reads of a runtime that recovers after a crash; the cost depends on the result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bench import samples
from bench.logs import connect, fill_events, open_mobstore
from bench.outcome import Outcome, cost, speed
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete

LIMIT = 1.3
RUNNING = 100
EVENTS = 100
RAW, LOADED = "raw sqlite3, text", "raw sqlite3, json.loads"
_HEADERS = "SELECT * FROM runs WHERE status = 'running' ORDER BY number"
_EVENTS = (
    "SELECT cursor, mob_id, timestamp, kind FROM events WHERE mob_id = ? AND cursor > ?"
    " ORDER BY cursor LIMIT ?"
)


def run_headers(settings: Settings) -> Iterator[Outcome]:
    """Measure the headers of running runs among others that have ended."""
    few, many = (500, 2_000) if settings.quick else (1_000, 10_000)
    small, large = f"mobstore, {few:,} runs", f"mobstore, {many:,} runs"
    found = compete(
        [
            Contestant(small, _headers(few)),
            Contestant(large, _headers(many)),
            Contestant(RAW, _raw_headers(many)),
        ],
        settings,
        least=10,
    )
    yield Outcome(
        f"run_headers of {RUNNING} running runs among others",
        "lists/s",
        list(found.values()),
        [cost(found[large], found[small], LIMIT), speed(found[large], found[RAW])],
        ["every run has 5 ledger entries; by hand the same columns, without models"],
    )


def poll_of_mob(settings: Settings) -> Iterator[Outcome]:
    """Measure a poll of the events of one mob among those of many."""
    few, many = (10_000, 20_000) if settings.quick else (100_000, 200_000)
    small, large = f"mobstore, {few:,} events", f"mobstore, {many:,} events"
    found = compete(
        [
            Contestant(small, _polling(few)),
            Contestant(large, _polling(many)),
            Contestant(LOADED, _raw_polling(few)),
        ],
        settings,
        least=10,
    )
    yield Outcome(
        f"poll of {EVENTS} events of one mob among others",
        "polls/s",
        list(found.values()),
        [cost(found[large], found[small], LIMIT), speed(found[small], found[LOADED])],
        ["by hand as dicts, without models"],
    )


async def _fill(path: Path, count: int) -> None:
    """Create runs: `wanted` of them are running, the others have ended."""
    ended = {"status": "completed", "completed_at": samples.MOMENT}
    async with open_mobstore(path) as stores:
        for _ in range(RUNNING):
            batch = [samples.run(entries=5) for _ in range(count // RUNNING)]
            batch[1:] = [run.model_copy(update=ended) for run in batch[1:]]
            batch[0] = batch[0].model_copy(update={"status": "running"})
            await asyncio.gather(*map(stores.runs.create_run, batch))


def _headers(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        await _fill(path, size)
        async with open_mobstore(path) as stores:

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        assert len(await stores.runs.run_headers(status="running")) == RUNNING
                return watch.seconds

            yield turn

    return opened


def _raw_headers(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        await _fill(path, size)
        with closing(connect(path)) as connection:

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        assert len(connection.execute(_HEADERS).fetchall()) == RUNNING
                return watch.seconds

            yield turn

    return opened


def _polling(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            fill_events(path, size, mobs=size // EVENTS)

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for n in range(count):
                        found = await stores.events.poll(0, EVENTS, mob_id=_mob(n))
                        assert len(found) == EVENTS
                return watch.seconds

            yield turn

    return opened


def _raw_polling(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        with closing(connect(path)) as connection:
            fill_events(path, size, mobs=size // EVENTS)

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for n in range(count):
                        rows = connection.execute(_EVENTS, (_mob(n), 0, EVENTS))
                        found = [(*row, json.loads(kind)) for *row, kind in rows]
                        assert len(found) == EVENTS
                return watch.seconds

            yield turn

    return opened


def _mob(n: int) -> str:
    return f"mob-{n % 100}"
