"""Subscriptions to the log: the time from the commit of an event to its receipt."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any, Literal, NamedTuple, TypeAlias

from bench import samples
from bench.logs import open_mobstore
from bench.outcome import Check, Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import MobStores, open_stores

SUBSCRIBED = "mobstore, subscribe"
CONDITION = "asyncio.Condition, no store"
APPENDED = "mobstore's append, then asyncio.Condition"
_MOST = 2_000
_LATEST = 50
_BUSIEST = 1

Since: TypeAlias = Literal["append", "commit"]
_OTHERS: tuple[tuple[Since, str], ...] = (("commit", CONDITION), ("append", APPENDED))

# Prints the idle cost of an open store, then that of a subscription as well, then the arrival
# time of each event.
_CHILD = """
import asyncio, json, sys
from contextlib import aclosing
from time import monotonic, process_time
from mobstore import open_stores

url, seconds, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])

async def idle():
    await asyncio.sleep(0.5)
    busy, since = process_time(), monotonic()
    await asyncio.sleep(seconds)
    return 100 * (process_time() - busy) / (monotonic() - since)

async def follow(stores):
    async with aclosing(stores.events.subscribe()) as events:
        return [(await anext(events), monotonic())[1] for _ in range(count)]

async def main():
    async with open_stores(url) as stores:
        shares = [await idle()]
        following = asyncio.create_task(follow(stores))
        shares.append(await idle())
        print(json.dumps(shares), flush=True)
        print(json.dumps(await following))

asyncio.run(main())
"""


def subscribe(settings: Settings) -> Iterator[Outcome]:
    """Measure a subscription to the appends of another task of the process.

    There are two comparisons with an `asyncio.Condition`, whose waiter takes the event's object
    from a list. The first has no store: one clock starts with the commit, the other when the
    Condition's lock is acquired. The second appends and then notifies a Condition: both
    clocks start before the append. All clocks stop when the waiter has the event.
    """
    for engine in ("memory", "SQLite"):
        for since, other in _OTHERS:
            found = compete(
                [
                    Contestant(SUBSCRIBED, _subscribed(engine, since)),
                    Contestant(other, _bare if since == "commit" else _by_hand(engine)),
                ],
                settings,
                least=50,
                most=_MOST,
            )
            yield Outcome(
                f"{engine}: from the {since} until a subscribed task has the event",
                "events/s",
                list(found.values()),
                [cost(found[SUBSCRIBED], found[other], 2)],
                ["one event at a time: the next one is appended when the last one has arrived"],
            )


def _subscribed(engine: str, since: Since) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with _open(engine, path) as stores:
            follower, notified = _Follower(), 0.0

            def note() -> None:
                nonlocal notified
                notified = perf_counter()

            stores.engine.listen(note)  # called at the same time as the subscription

            async def follow() -> None:
                async with aclosing(stores.events.subscribe()) as events:
                    async for _ in events:
                        follower.take(notified)

            async def turn(count: int) -> float:
                events, total = samples.events(_MOST), 0.0
                with Stopwatch():
                    for n in range(count):
                        follower.taken.clear()
                        start = perf_counter()
                        await stores.events.append(events[n])
                        await follower.taken.wait()
                        begun = start if since == "append" else follower.notified
                        total += follower.at - begun
                return total

            async with _task(follow()):
                yield turn

    return opened


@asynccontextmanager
async def _bare(_: Path) -> AsyncGenerator[Turn]:
    follower, condition, waiting = _Follower(), asyncio.Condition(), list[object]()

    async def turn(count: int) -> float:
        events, total = samples.events(_MOST), 0.0
        with Stopwatch():
            for n in range(count):
                follower.taken.clear()
                start = perf_counter()
                async with condition:
                    waiting.append(events[n])
                    condition.notify_all()
                await follower.taken.wait()
                total += follower.at - start
        return total

    async with _task(_take_all(follower, condition, waiting)):
        yield turn


def _by_hand(engine: str) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        follower, condition, waiting = _Follower(), asyncio.Condition(), list[object]()
        async with _open(engine, path) as stores:

            async def turn(count: int) -> float:
                events, total = samples.events(_MOST), 0.0
                with Stopwatch():
                    for n in range(count):
                        follower.taken.clear()
                        start = perf_counter()
                        stored = await stores.events.append(events[n])
                        async with condition:
                            waiting.append(stored)
                            condition.notify_all()
                        await follower.taken.wait()
                        total += follower.at - start
                return total

            async with _task(_take_all(follower, condition, waiting)):
                yield turn

    return opened


class _Follower:
    """The times at which a task received an event.

    Attributes:
        at: time of receipt.
        notified: time of the last notification before it.
        taken: set when an event has arrived.
    """

    def __init__(self) -> None:
        self.at = self.notified = 0.0
        self.taken = asyncio.Event()

    def take(self, notified: float = 0.0) -> None:
        """Record the receipt of an event."""
        self.at, self.notified = perf_counter(), notified
        self.taken.set()


async def _take_all(
    follower: _Follower, condition: asyncio.Condition, waiting: list[object]
) -> None:
    while True:
        async with condition:
            while not waiting:
                await condition.wait()
            waiting.pop()
        follower.take()


def _open(engine: str, path: Path) -> AbstractAsyncContextManager[MobStores]:
    return open_stores("memory:") if engine == "memory" else open_mobstore(path)


@asynccontextmanager
async def _task(of: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run a task until the block ends; it waits before the block starts."""
    running = asyncio.create_task(of)
    await asyncio.sleep(0.1)
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def across(settings: Settings) -> Iterator[Outcome]:
    """Measure a subscription to the appends of another process to the same file."""
    seconds, count = (2, 50) if settings.quick else (10, 300)
    with TemporaryDirectory(prefix="mobstore-bench-", dir=settings.directory) as place:
        path = Path(place) / "mobs.db"
        found = follow_across(f"sqlite:{path}", lambda: open_mobstore(path), seconds, count)
    for name, waited in found.waited.items():
        yield Outcome(
            f"SQLite: from the {name} of an append until a subscribed process has the event",
            "",
            checks=[
                Check("median", median(waited), _LATEST, at_most=True, unit="ms"),
                Check(
                    "99th percentile", quantiles(waited, n=100, method="inclusive")[98], _LATEST,
                    at_most=True, unit="ms",
                ),
                Check("longest", max(waited), unit="ms"),
            ],
            notes=[f"{count} events, 0 to 100 ms between them, out of step with the subscriber"],
        )  # fmt: skip
    yield Outcome(
        "SQLite: idle cost of a subscription",
        "",
        checks=[
            Check("follows", found.following, _BUSIEST, at_most=True, unit="% of a core"),
            Check("has the store open only", found.opened, unit="% of a core"),
        ],
        notes=[f"processor time of the process within {seconds} s"],
    )


class Followed(NamedTuple):
    """A subscription from another process.

    Attributes:
        opened: percentage of a core for an idle process with the store open.
        following: the same with a subscription.
        waited: milliseconds from the beginning and from the end of each append.
    """

    opened: float
    following: float
    waited: dict[str, list[float]]


def follow_across(
    url: str,
    open_writer: Callable[[], AbstractAsyncContextManager[MobStores]],
    seconds: float,
    count: int,
) -> Followed:
    """Append in this process while another one is subscribed; it is idle for `seconds` before."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, url, str(seconds), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        opened, following = json.loads(child.stdout.readline())
        begun, ended = asyncio.run(_append_now_and_then(open_writer, count))
        came: list[float] = json.loads(child.stdout.readline())
    waited = {
        name: [1e3 * (end - start) for start, end in zip(starts, came, strict=True)]
        for name, starts in (("beginning", begun), ("end", ended))
    }
    return Followed(opened, following, waited)


async def _append_now_and_then(
    open_writer: Callable[[], AbstractAsyncContextManager[MobStores]], count: int
) -> tuple[list[float], list[float]]:
    """Append at random times; return the start and the end of each append."""
    begun, ended, random = list[float](), list[float](), Random(count)
    async with open_writer() as stores:
        for event in samples.events(count):
            await asyncio.sleep(random.uniform(0, 0.1))
            begun.append(monotonic())
            await stores.events.append(event)
            ended.append(monotonic())
    return begun, ended
