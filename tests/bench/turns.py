"""Contestants take turns, so that whatever else the machine does hits them alike."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

T = TypeVar("T")

Turn: TypeAlias = Callable[[int], Coroutine[Any, Any, float]]
"""Does so many operations; gives the seconds they took, without their preparation."""

WARM_WAL = 1000 * 4096
"""Bytes; until the WAL has once grown to a thousand pages, a commit costs double."""

SLICES = 8
"""Into so many parts a round is divided: what else the machine does then hits everybody alike."""

Opener: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Turn]]
"""Opens a contestant on a file of its own; it stays open until the contest ends."""


class Contestant(NamedTuple):
    """Someone who does the work."""

    name: str
    open: Opener


@dataclass(frozen=True)
class Settings:
    """How long and where to measure."""

    rounds: int = 7
    seconds: float = 0.4
    quick: bool = False
    directory: Path | None = None


@dataclass
class Measured:
    """What one contestant needed: seconds per operation, once per round."""

    name: str
    costs: list[float]

    @property
    def cost(self) -> float:
        return median(self.costs)

    @property
    def rate(self) -> float:
        return 1 / self.cost


class Stopwatch:
    """Takes the time of what is done within it; garbage made before is not collected then."""

    seconds = 0.0

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        self._start = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = perf_counter() - self._start
        gc.unfreeze()


async def by_tasks(tasks: int, items: Sequence[T], do: Callable[[T], Awaitable[object]]) -> float:
    """Give each task its share of the items, which it does one after another; the seconds."""

    async def work(share: Sequence[T]) -> None:
        for item in share:
            await do(item)

    shares = [items[n::tasks] for n in range(tasks)]
    with Stopwatch() as watch:
        if tasks == 1:
            await work(items)
        else:
            await asyncio.gather(*map(work, shares))
    return watch.seconds


def compete(
    contestants: Sequence[Contestant],
    settings: Settings,
    *,
    least: int = 1,
    most: int = 20_000,
    per_operation: int = 1,
) -> dict[str, Measured]:
    """Warm everybody up, then let them take turns, in slices of a round if they can be sliced.

    Args:
        contestants: who; each gets a file of its own.
        settings: how long, and how often.
        least: operations per turn at least.
        most: operations per turn at most; the warm-up finds how many fill `settings.seconds`.
        per_operation: into how many parts to divide the cost of an operation.
    """
    with TemporaryDirectory(
        prefix="mobstore-bench-", dir=settings.directory
    ) as place, ExitStack() as stack:  # fmt: skip
        plays: list[tuple[Measured, Callable[[int], float], int]] = []
        for number, contestant in enumerate(contestants):
            path = Path(place) / f"{number}.db"
            play = stack.enter_context(_seated(contestant, path))
            count = _warm_up(play, path, settings.seconds, least, most)
            plays.append((Measured(contestant.name, []), play, count))
        slices = max(1, min(SLICES, *(count // least for _, _, count in plays)))
        for turn in range(settings.rounds):
            sums = [0.0] * len(plays)
            for part in range(slices):
                order = list(enumerate(plays))
                for seat, (_, play, count) in order[:: -1 if (turn + part) % 2 else 1]:
                    sums[seat] += play(count // slices)
            for taken, (measured, _, count) in zip(sums, plays, strict=True):
                measured.costs.append(taken / (count // slices * slices * per_operation))
        return {measured.name: measured for measured, _, _ in plays}


@contextmanager
def _seated(contestant: Contestant, path: Path) -> Generator[Callable[[int], float]]:
    """Open a contestant on an event loop of its own, which stands still while others play.

    Some libraries poll in the background; that is to cost them, not the others.
    """
    with asyncio.Runner() as runner:
        room = contestant.open(path)
        turn = runner.run(room.__aenter__())
        try:
            yield lambda count: runner.run(turn(count))
        finally:
            runner.run(room.__aexit__(None, None, None))


def _warm_up(
    play: Callable[[int], float], path: Path, seconds: float, least: int, most: int
) -> int:
    """Play until the WAL has grown, if it grows at all, and a turn takes its time."""
    wal = path.with_name(f"{path.name}-wal")
    count, size = least, -1
    while True:
        took = play(count)
        before, size = size, wal.stat().st_size if wal.exists() else 0
        warm = size >= WARM_WAL or size == before
        if warm and (took >= seconds / 2 or count == most):
            break
        count = min(most, max(count, least * 2, min(count * 8, int(count * seconds / took))))
    return max(least, min(most, int(count * seconds / took)))
