"""Searches of events: the cost depends on the result, not on the rest of the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.logs import fill_events, open_mobstore
from bench.outcome import Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import MobReset, NewMobEvent, Timestamp

LIMIT = 1.3
FOUND = 20

_SEARCHES: dict[str, dict[str, Any]] = {
    "the newest": {"newest_first": True},
    "of one type": {"types": "mob_reset"},
    "of one type, newest first": {"types": "mob_reset", "newest_first": True},
    "since yesterday": {"since": Timestamp.now() - timedelta(days=1)},
}


def search(settings: Settings) -> Iterator[Outcome]:
    """Measure searches for twenty events in a short and in a long log."""
    few, many = (10_000, 100_000) if settings.quick else (10_000, 1_000_000)
    for title, conditions in _SEARCHES.items():
        names = [f"mobstore, {number:,} events" for number in (few, many)]
        found = compete(
            [
                Contestant(names[0], _searching(few, conditions)),
                Contestant(names[1], _searching(many, conditions)),
            ],
            settings,
            least=10,
        )
        yield Outcome(
            f"poll of {FOUND} events {title}",
            "polls/s",
            list(found.values()),
            [cost(found[names[1]], found[names[0]], LIMIT)],
        )


def _searching(size: int, conditions: dict[str, Any]) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(path) as stores:
            fill_events(path, size)
            reset = NewMobEvent(mob_id="mob-1", kind=MobReset())
            await stores.events.append_batch([reset] * FOUND)

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        found = await stores.events.poll(limit=FOUND, **conditions)
                        assert len(found) == FOUND
                return watch.seconds

            yield turn

    return opened
