"""Processes that work at the same time: `python -m bench.postgres.children JOB TASKS URL...`.

A process prints an empty line when its stores are open. For each number that it reads, it performs
so many operations and prints when it began and ended. Its tasks are spread over its stores.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TypeAlias

from bench import samples
from bench.postgres.stage import Place
from bench.postgres.swapping import swaps_of
from bench.turns import Opener, Turn
from mobstore import MobStores, open_stores

Job: TypeAlias = Literal["append", "cas"]


class _Child:
    """A process with open stores."""

    def __init__(self, job: Job, tasks: int, urls: Sequence[str]) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.postgres.children", job, str(tasks), *urls],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def start(self, operations: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{operations}\n")
        self.process.stdin.flush()

    def wait(self) -> list[float]:
        """Wait for a line and return its numbers.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise RuntimeError("a process of the benchmark failed")
        return list(map(float, line.split()))

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def working(job: Job, processes: int, tasks: int, places: Callable[[], Sequence[Place]]) -> Opener:
    """Return the opener of processes that work at the same time.

    Args:
        job: what they do.
        processes: how many there are.
        tasks: the tasks of each process.
        places: returns the places of all stores. They are divided among the processes; if there
            are fewer, several processes share one.
    """

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        urls = [place.url for place in places()]
        with ExitStack() as stack:
            children = list[_Child]()
            for n in range(processes):
                own = urls[n::processes] or [urls[n % len(urls)]]
                children.append(child := _Child(job, tasks, own))
                stack.callback(child.end)
            for child in children:
                child.wait()

            async def turn(count: int) -> float:
                share = -(-count // processes)
                for child in children:
                    child.start(share)
                begun, ended = zip(*(child.wait() for child in children), strict=True)
                seconds: float = max(ended) - min(begun)
                return seconds * count / (share * processes)

            yield turn

    return opened


# In the child ----------------------------------------------------------------------------------


async def _main(job: Job, tasks: int, urls: Sequence[str]) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_stores(url)) for url in urls]
        do = await (_appends(stores, tasks) if job == "append" else swaps_of(stores, tasks))
        gc.collect()
        gc.freeze()
        print(flush=True)
        for line in sys.stdin:
            begun, count = monotonic(), int(line)
            await asyncio.gather(*(_each(range(n, count, tasks), do) for n in range(tasks)))
            print(begun, monotonic(), flush=True)


async def _each(numbers: Iterable[int], do: Callable[[int], Awaitable[object]]) -> None:
    for n in numbers:
        await do(n)


async def _appends(
    stores: Sequence[MobStores], tasks: int
) -> Callable[[int], Coroutine[Any, Any, None]]:
    events = samples.events(1000)

    async def append(n: int) -> None:
        await stores[n % tasks % len(stores)].events.append(events[n % len(events)])

    return append


if __name__ == "__main__":
    asyncio.run(_main(*(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))  # type: ignore[arg-type]
