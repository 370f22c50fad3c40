"""Reads of 10,000 events, into models and as JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.logs import EventLog, OpenLog, json_log, mobstore_log, raw_log
from bench.outcome import Outcome, speed
from bench.peers import py_event_sourcing
from bench.turns import Contestant, Settings, Stopwatch, Turn, compete

RAW = "raw sqlite3, dicts"
JSON = "mobstore, poll_json"
LIMIT = 10_000


def poll(settings: Settings) -> Iterator[Outcome]:
    """Measure a poll of a whole log."""
    found = compete(
        [
            _polling("mobstore", mobstore_log, mobstore_log),
            _polling(JSON, mobstore_log, json_log),
            _polling(RAW, mobstore_log, raw_log),
            _polling(
                py_event_sourcing.NAME, py_event_sourcing.open_log, py_event_sourcing.open_log
            ),
        ],
        settings,
        per_operation=LIMIT,
    )
    ours, text = found["mobstore"], found[JSON]
    yield Outcome(
        f"poll of {LIMIT:,} into models",
        "events/s",
        list(found.values()),
        [
            speed(ours, found[RAW], 0.65),
            speed(ours, found[py_event_sourcing.NAME], 3),
            speed(text, found[RAW], 1.5),
            speed(text, found[py_event_sourcing.NAME], 3),
        ],
        [
            "raw sqlite3 reads the rows of mobstore, with json.loads: dicts, no models",
            "poll_json writes an event as one text, without a look into the JSON of its kind",
            "py-event-sourcing also creates models, but leaves their data as bytes of JSON",
        ],
    )


def _polling(name: str, filled_by: OpenLog, read_by: OpenLog) -> Contestant:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with filled_by(path) as log:
            await log.append_batch(log.prepare(LIMIT))
        async with read_by(path) as log:

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        await _read(log)
                return watch.seconds

            yield turn

    return Contestant(name, opened)


async def _read(log: EventLog) -> None:
    found = await log.read(LIMIT)
    assert len(found) == LIMIT
