"""The memory engine, compared with encoding and decoding alone."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import samples
from bench.outcome import Outcome, cost
from bench.turns import Contestant, Settings, Stopwatch, Turn, compete
from mobstore import NewMobEvent, open_stores

CODEC = "encoding and decoding alone"
SIZE = 5_000


def memory(settings: Settings) -> Iterator[Outcome]:
    """Measure appends and swaps in memory."""
    found = compete(
        [Contestant("mobstore", _appending), Contestant(CODEC, _event_codec)], settings, least=100
    )
    yield Outcome(
        "memory engine: append",
        "appends/s",
        list(found.values()),
        [cost(found["mobstore"], found[CODEC], 3)],
        ["encoding and decoding by pydantic: model_dump_json, model_validate_json"],
    )
    found = compete(
        [Contestant("mobstore", _swapping), Contestant(CODEC, _state_codec)], settings, least=100
    )
    yield Outcome(
        "memory engine: CAS of a 5 KB flow state",
        "swaps/s",
        list(found.values()),
        [cost(found["mobstore"], found[CODEC], 3)],
        ["encoding and decoding by json.dumps and json.loads"],
    )


@asynccontextmanager
async def _appending(_: Path) -> AsyncGenerator[Turn]:
    async with open_stores("memory:") as stores:

        async def turn(count: int) -> float:
            await stores.events.clear()
            items = samples.events(count)
            with Stopwatch() as watch:
                for item in items:
                    await stores.events.append(item)
            return watch.seconds

        yield turn


@asynccontextmanager
async def _event_codec(_: Path) -> AsyncGenerator[Turn]:
    async def turn(count: int) -> float:
        items = samples.events(count)
        with Stopwatch() as watch:
            for item in items:
                NewMobEvent.model_validate_json(item.model_dump_json())
        return watch.seconds

    yield turn


@asynccontextmanager
async def _swapping(_: Path) -> AsyncGenerator[Turn]:
    states, place = samples.states(SIZE), 0
    run = samples.run().model_copy(update={"flow_state": states[0]})
    async with open_stores("memory:") as stores:
        await stores.runs.create_run(run)

        async def turn(count: int) -> float:
            nonlocal place
            with Stopwatch() as watch:
                for _ in range(count):
                    before, place = states[place], (place + 1) % len(states)
                    assert await stores.runs.cas_flow_state(
                        run.run_id, expected=before, next=states[place]
                    )
            return watch.seconds

        yield turn


@asynccontextmanager
async def _state_codec(_: Path) -> AsyncGenerator[Turn]:
    texts = [state.to_json() for state in samples.states(SIZE)]

    async def turn(count: int) -> float:
        with Stopwatch() as watch:
            for n in range(count):
                json.dumps(json.loads(texts[n % len(texts)]))
        return watch.seconds

    yield turn
