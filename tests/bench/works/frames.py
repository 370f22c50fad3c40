"""Reads of a run with many frames that are never decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from bench import samples
from bench.logs import connect, open_mobstore
from bench.outcome import Check, Outcome, speed
from bench.turns import Contestant, Settings, Stopwatch, Turn, compete
from mobstore.model import kernel

RAW = "raw sqlite3, text"
FRAMES = 200
_SELECTS = (
    "SELECT * FROM runs WHERE run_id = ?",
    "SELECT * FROM run_states WHERE run_id = ?",
    "SELECT * FROM frames WHERE run_id = ? ORDER BY frame_id",
)


def frames(settings: Settings) -> Iterator[Outcome]:
    """Measure get_run of a run with 200 frames of 5 KB."""
    found = compete([Contestant("mobstore", _mobstore), Contestant(RAW, _raw)], settings)
    yield Outcome(
        f"get_run with {FRAMES} frames of 5 KB, none decoded",
        "runs/s",
        list(found.values()),
        [
            speed(found["mobstore"], found[RAW], 0.6),
            Check(
                "states decoded by one get_run", asyncio.run(_decoded()), 0, at_most=True, unit=""
            ),
        ],
        ["raw sqlite3 selects from the three tables with rows of the run; mobstore reads ten"],
    )


@asynccontextmanager
async def _mobstore(path: Path) -> AsyncGenerator[Turn]:
    run = samples.run(frames=FRAMES)
    async with open_mobstore(path) as stores:
        await stores.runs.create_run(run)

        async def turn(count: int) -> float:
            with Stopwatch() as watch:
                for _ in range(count):
                    found = await stores.runs.get_run(run.run_id)
                    assert found
                    assert len(found.frames) == FRAMES
            return watch.seconds

        yield turn


@asynccontextmanager
async def _raw(path: Path) -> AsyncGenerator[Turn]:
    run = samples.run(frames=FRAMES)
    async with open_mobstore(path) as stores:
        await stores.runs.create_run(run)
    key = (str(run.run_id),)
    with closing(connect(path)) as connection:

        async def turn(count: int) -> float:
            with Stopwatch() as watch:
                for _ in range(count):
                    found = [connection.execute(select, key).fetchall() for select in _SELECTS]
                    assert len(found[-1]) == FRAMES
            return watch.seconds

        yield turn


async def _decoded() -> int:
    """Count the calls that decode the JSON of a state during one get_run."""
    run = samples.run(frames=FRAMES)
    with TemporaryDirectory() as place, ExitStack() as stack:
        async with open_mobstore(Path(place) / "frames.db") as stores:
            await stores.runs.create_run(run)
            spies = [
                stack.enter_context(patch.object(kernel, name, wraps=getattr(kernel, name)))
                for name in ("loads", "parse", "canonical_state", "from_wire")
            ]
            found = await stores.runs.get_run(run.run_id)
            read = sum(spy.call_count for spy in spies)
            assert found
            assert found.frames[next(iter(found.frames))].kernel_state.phase == "Pending"
            # Proves that the counter counts.
            assert sum(spy.call_count for spy in spies) > read
    return read
