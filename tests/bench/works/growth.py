"""The cost of operations as a store grows, as a plot."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

from bench import samples
from bench.logs import fill_events, open_mobstore
from bench.outcome import Check, Outcome, cost
from bench.plot import Line, Panel, draw
from bench.turns import Contestant, Measured, Opener, Settings, Stopwatch, Turn, compete
from bench.works.claims import TTL, fill_runs
from mobstore import MobStores
from mobstore.maintenance import verify

FILE = "growth.svg"
LIMIT = 1.3
POLLED = 1_000

_Do: TypeAlias = Callable[[], Awaitable[object]]
_Prepare: TypeAlias = Callable[[MobStores, "_Size"], Awaitable[_Do]]


class _Size(NamedTuple):
    events: int
    runs: int

    def __str__(self) -> str:
        return f"{self.events:,} events, {self.runs:,} runs"


_SIZES = (_Size(10_000, 200), _Size(1_000_000, 20_000), _Size(5_000_000, 100_000))
_QUICK = (_Size(1_000, 20), _Size(10_000, 200), _Size(50_000, 1_000))

_CHILD = """
import asyncio, sys
from bench.works.growth import do_each

asyncio.run(do_each(sys.argv[1], int(sys.argv[2])))
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def growth(settings: Settings) -> Iterator[Outcome]:
    """Measure operations in small and large stores; each size is filled once."""
    sizes = _QUICK if settings.quick else _SIZES
    with TemporaryDirectory(prefix="mobstore-bench-", dir=settings.directory) as place:
        files = {size: Path(place) / f"{size.events}.db" for size in sizes}
        for size, file in files.items():
            asyncio.run(_fill(file, size, check=size is sizes[0]))
        os.sync()  # the system would write gigabytes during the first measurements
        lines: list[Line] = []
        for title, (operation, prepare, limit) in _OPERATIONS.items():
            found = compete(
                [Contestant(str(size), _doing(files[size], size, prepare)) for size in sizes],
                settings,
                most=2_000,
            )
            measured = [found[str(size)] for size in sizes]
            lines.append(Line(title, [one.cost * 1e3 for one in measured]))
            yield Outcome(operation, "a second", measured, _checks(measured, limit))
        peaks = [_peak(files[size], size) for size in sizes]
    yield Outcome(
        "peak memory of a process that does each of these once",
        "",
        checks=[
            Check(f"{sizes[-1]} / {sizes[0]}", peaks[-1] / peaks[0], 1.2, at_most=True),
            *(Check(str(size), peak, unit="MB") for size, peak in zip(sizes, peaks, strict=True)),
        ],
        files={FILE: _plot(sizes, lines, peaks)},
    )


def _checks(measured: Sequence[Measured], limit: float | None) -> list[Check]:
    first = measured[0]
    ratios = [cost(one, first, limit) for one in measured[1:]]
    return [*ratios, *(Check(one.name, one.cost * 1e3, unit="ms") for one in measured)]


async def _fill(file: Path, size: _Size, *, check: bool) -> None:
    """Fill a new file with rows that a store would have written; `check` verifies them."""
    async with open_mobstore(file) as stores:
        fill_events(file, size.events)
        fill_runs(file, size.runs)
        if check:
            assert not (await verify(stores)).problems


async def _append(stores: MobStores, _: _Size) -> _Do:
    events = cycle(samples.events(1_000))
    return lambda: stores.events.append(next(events))


async def _poll(stores: MobStores, size: _Size) -> _Do:
    async def poll() -> None:
        assert len(await stores.events.poll(size.events - POLLED, POLLED)) == POLLED

    return poll


async def _swap(stores: MobStores, _: _Size) -> _Do:
    states = samples.states(5_000)
    run = samples.run().model_copy(update={"flow_state": states[0]})
    await stores.runs.create_run(run)
    steps = cycle(pairwise([*states, states[0]]))

    async def swap() -> None:
        expected, following = next(steps)
        assert await stores.runs.cas_flow_state(run.run_id, expected=expected, next=following)

    return swap


async def _claim(stores: MobStores, _: _Size) -> _Do:
    async def claim() -> None:
        claimed = await stores.runs.claim_next("worker", ttl=TTL)
        assert claimed is not None
        await stores.claims.release(claimed)

    return claim


async def _overview(stores: MobStores, size: _Size) -> _Do:
    async def overview() -> None:
        assert (await stores.overview()).events >= size.events

    return overview


_OPERATIONS: Mapping[str, tuple[str, _Prepare, float | None]] = {
    "append": ("append", _append, LIMIT),
    f"poll of {POLLED:,}": (f"poll of {POLLED:,} events at the end of the log", _poll, LIMIT),
    "CAS": ("CAS of a 5 KB flow state", _swap, LIMIT),
    "claim_next": ("claim_next, and release", _claim, LIMIT),
    "overview": ("overview, as mobstore info reads it", _overview, None),
}
"""By their name in the plot: title, preparation, and most growth."""


def _doing(file: Path, size: _Size, prepare: _Prepare) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        file.rename(path)  # noqa: ASYNC240 - so that the warm-up finds its log
        try:
            async with open_mobstore(path) as stores:
                do = await prepare(stores, size)

                async def turn(count: int) -> float:
                    with Stopwatch() as watch:
                        for _ in range(count):
                            await do()
                    return watch.seconds

                yield turn
        finally:
            path.rename(file)  # noqa: ASYNC240 - as above

    return opened


def _peak(file: Path, size: _Size) -> float:
    """Return the peak memory of a process that does each operation once, in megabytes."""
    command = [sys.executable, "-c", _CHILD, str(file), str(size.events)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


async def do_each(path: str, events: int) -> None:
    """Do each operation once on a filled file."""
    size = _Size(events, 0)
    async with open_mobstore(Path(path)) as stores:
        for _, prepare, _ in _OPERATIONS.values():
            await (await prepare(stores, size))()


def _plot(sizes: Sequence[_Size], lines: Sequence[Line], peaks: Sequence[float]) -> str:
    return draw(
        "mobstore on SQLite as a store grows",
        [f"{size.events:,}" for size in sizes],
        [float(size.events) for size in sizes],
        "events",
        [Panel("milliseconds each", lines), Panel("peak memory, MB", [Line("", peaks)], 0)],
    )
