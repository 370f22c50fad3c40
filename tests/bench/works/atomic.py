"""Two operations in one commit, compared with each alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from itertools import count as counting
from pathlib import Path
from typing import TypeAlias

from bench import samples
from bench.outcome import Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import FrameSnapshot, MobStores, RunId, Stores, open_stores
from mobstore.scripts.transaction import Durability

STEP, EVENT = "complete a step", "append its event"
ATOMIC, FOLLOWING = "both in one commit", "both, one after the other"

_Operation: TypeAlias = Callable[[Stores[bool], RunId, int], Awaitable[object]]
_Open: TypeAlias = Callable[[Path], AbstractAsyncContextManager[MobStores]]


def atomic(settings: Settings) -> Iterator[Outcome]:
    """Complete a step of a loop's iteration, a frame of 5 KB, and append its event."""
    engines: tuple[tuple[str, _Open], ...] = (
        ("memory", lambda _: open_stores("memory:")),
        ("SQLite, normal", _sqlite("normal")),
        ("SQLite, full", _sqlite("full")),
    )
    for engine, open_ in engines:
        found = compete(
            [
                Contestant(STEP, _doing(open_, _complete)),
                Contestant(EVENT, _doing(open_, _append)),
                Contestant(ATOMIC, _doing(open_, _together)),
                Contestant(FOLLOWING, _doing(open_, _both)),
            ],
            settings,
            least=50,
            most=5_000,
        )
        dearer = max(found[STEP], found[EVENT], key=lambda one: one.cost)
        yield Outcome(
            f"{engine}: {STEP} and {EVENT}",
            "calls/s",
            list(found.values()),
            [cost(found[ATOMIC], dearer, 1.2), cost(found[ATOMIC], found[FOLLOWING])],
        )


def _sqlite(durability: Durability) -> _Open:
    return lambda path: open_stores(f"sqlite:{path}", durability=durability)


def _doing(open_: _Open, operation: _Operation) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        run, numbers = samples.run(frames=1), counting()
        _frames()
        async with open_(path) as stores:
            await stores.runs.create_run(run)

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        await operation(stores, run.run_id, next(numbers))
                return watch.seconds

            yield turn

    return opened


async def _complete(stores: Stores[bool], run_id: RunId, number: int) -> object:
    frames = _frames()
    return await stores.runs.cas_complete_step_and_record_output(
        run_id,
        frame_id="frame-0",
        expected_frame=frames[number % len(frames)],
        next_frame=frames[(number + 1) % len(frames)],
        step_output_key="step-0",
        step_output={"words": 400, "text": "The tide is high at noon."},
        loop_context=("loop-0", number),
    )


async def _append(stores: Stores[bool], _: RunId, number: int) -> object:
    events = samples.events(1_000)
    return await stores.events.append(events[number % len(events)])


async def _both(stores: Stores[bool], run_id: RunId, number: int) -> object:
    assert await _complete(stores, run_id, number)
    return await _append(stores, run_id, number)


async def _together(stores: Stores[bool], run_id: RunId, number: int) -> object:
    assert isinstance(stores, MobStores)
    return await stores.atomic(lambda at: _both(at, run_id, number))


@cache
def _frames() -> list[FrameSnapshot]:
    return [FrameSnapshot(kernel_state=state) for state in samples.states(5_000)]
