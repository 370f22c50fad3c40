"""Appends of single events and of batches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.logs import OpenLog, mobstore_log, raw_log
from bench.outcome import Outcome, speed
from bench.peers import (
    aiosqlite_by_hand,
    eventsource_py,
    eventsourcing_sync,
    named,
    py_event_sourcing,
)
from bench.turns import Contestant, Settings, Stopwatch, Turn, by_tasks, compete

RAW = "raw sqlite3, autocommit"
RAW_64 = "raw sqlite3, 64 rows a commit"
EXECUTEMANY = "raw sqlite3, executemany"
BATCH = 10_000
LIBRARIES = ("aiosqlite", "py-event-sourcing", "eventsource-py", "eventsourcing")


def append_one(settings: Settings) -> Iterator[Outcome]:
    """Measure appends by one task."""
    found = compete(
        [
            *_contestants(1),
            appending(eventsource_py.NAME, eventsource_py.open_log, 1),
            appending(eventsourcing_sync.NAME, eventsourcing_sync.open_log, 1),
        ],
        settings,
        least=50,
    )
    ours = found["mobstore"]
    yield Outcome(
        "append, one task",
        "appends/s",
        list(found.values()),
        [
            speed(ours, found[RAW], 0.5),
            speed(ours, found[aiosqlite_by_hand.COMMIT], 1.3),
            speed(ours, found[aiosqlite_by_hand.AUTOCOMMIT]),
            speed(ours, found[py_event_sourcing.NAME], 2),
            speed(ours, found[eventsource_py.NAME], 2),
            speed(ours, found[eventsourcing_sync.NAME]),
        ],
        [py_event_sourcing.NOTE, ", ".join(map(named, LIBRARIES))],
    )


def append_64(settings: Settings) -> Iterator[Outcome]:
    """Measure appends by 64 concurrent tasks."""
    together = batching(RAW_64, raw_log, 64)
    found = compete([*_contestants(64), together], settings, least=640)
    ours = found["mobstore"]
    yield Outcome(
        "append, 64 tasks",
        "appends/s",
        list(found.values()),
        [
            speed(ours, found[RAW_64], 0.5),
            speed(ours, found[RAW], 6),
            speed(ours, found[aiosqlite_by_hand.COMMIT], 12),
            speed(ours, found[aiosqlite_by_hand.AUTOCOMMIT]),
            speed(ours, found[py_event_sourcing.NAME], 20),
        ],
        [py_event_sourcing.NOTE],
    )


def _contestants(tasks: int) -> list[Contestant]:
    """Return the contestants for appends by a number of tasks."""
    return [
        appending("mobstore", mobstore_log, tasks),
        appending(RAW, raw_log, tasks),
        appending(aiosqlite_by_hand.COMMIT, aiosqlite_by_hand.open_log(autocommit=False), tasks),
        appending(aiosqlite_by_hand.AUTOCOMMIT, aiosqlite_by_hand.open_log(autocommit=True), tasks),
        appending(py_event_sourcing.NAME, py_event_sourcing.open_log, tasks),
    ]


def append_batch(settings: Settings) -> Iterator[Outcome]:
    """Measure a call that appends 10,000 events."""
    found = compete(
        [
            batching("mobstore", mobstore_log, BATCH),
            batching(EXECUTEMANY, raw_log, BATCH),
            batching(py_event_sourcing.NAME, py_event_sourcing.open_log, BATCH),
        ],
        settings,
        least=BATCH,
        most=4 * BATCH,
    )
    ours = found["mobstore"]
    yield Outcome(
        f"append_batch of {BATCH:,}, JSON encoding included",
        "events/s",
        list(found.values()),
        [speed(ours, found[EXECUTEMANY], 0.8), speed(ours, found[py_event_sourcing.NAME], 3)],
        [
            "raw sqlite3 writes the same table and indexes, including json.dumps of dicts",
            py_event_sourcing.NOTE,
        ],
    )


def appending(name: str, open_log: OpenLog, tasks: int) -> Contestant:
    """Return a contestant that appends single events in a number of tasks."""

    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_log(path) as log:

            async def turn(count: int) -> float:
                return await by_tasks(tasks, log.prepare(count), log.append)

            yield turn

    return Contestant(name, opened)


def batching(name: str, open_log: OpenLog, size: int) -> Contestant:
    """Return a contestant that appends events in batches of a size."""

    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_log(path) as log:

            async def turn(count: int) -> float:
                items = log.prepare(count)
                with Stopwatch() as watch:
                    for first in range(0, count, size):
                        await log.append_batch(items[first : first + size])
                return watch.seconds

            yield turn

    return Contestant(name, opened)
