"""Turns of contestants: other load on the machine affects all of them alike."""

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
"""Runs a number of operations and returns their seconds, without the preparation."""

WARM_WAL = 1000 * 4096
"""Bytes; a commit costs double until the WAL has grown to a thousand pages once."""

SLICES = 8
"""Parts of a round; they spread other load of the machine over all contestants."""

Opener: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Turn]]
"""Opens a contestant on a separate file; it stays open until the contest ends."""


class Contestant(NamedTuple):
    """An implementation under test."""

    name: str
    open: Opener


@dataclass(frozen=True)
class Settings:
    """Duration and place of measurements."""

    rounds: int = 7
    seconds: float = 0.4
    quick: bool = False
    directory: Path | None = None


@dataclass
class Measured:
    """The costs of one contestant: seconds per operation, for each round."""

    name: str
    costs: list[float]

    @property
    def cost(self) -> float:
        return median(self.costs)

    @property
    def rate(self) -> float:
        return 1 / self.cost


class Stopwatch:
    """A stopwatch for a block; earlier garbage is collected before it starts."""

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
    """Process items in concurrent tasks and return the seconds; each task has an equal share."""

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
    """Warm up all contestants, then run them in turns, in slices of a round if possible.

    Args:
        contestants: the contestants; each gets a separate file.
        settings: duration and number of rounds.
        least: minimum operations per turn.
        most: maximum operations per turn; the warm-up finds the number for `settings.seconds`.
        per_operation: number of parts that the cost of an operation is divided by.
    """
    with TemporaryDirectory(
        prefix="mobstore-bench-", dir=settings.directory
    ) as place, ExitStack() as stack:  # fmt: skip
        plays: list[tuple[Measured, Callable[[int], float], int]] = []
        for number, contestant in enumerate(contestants):
            # In a folder of its own, since some contestants create and remove files all the time.
            path = Path(place) / str(number) / "bench.db"
            path.parent.mkdir()
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
    """Open a contestant on a separate event loop that is stopped during the turns of others.

    Some libraries poll in the background; only their own turns should pay for it.
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
    """Run operations until the WAL has grown, if it grows, and a turn has its full duration."""
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
