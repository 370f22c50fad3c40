"""Subscriptions across processes: latency, and the cost of waiting."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from time import monotonic, sleep

import psutil  # type: ignore[import-untyped]

from bench.outcome import Check, Outcome
from bench.postgres.stage import Stage, open_mobstore
from bench.turns import Settings
from bench.works.following import follow_across
from support.postgres import programs
from support.postgres.pooler import Pooler
from support.postgres.server import Server

LATEST = 5
"""Milliseconds."""

# Opens a store, subscribes, and waits until its input ends.
_IDLE = """
import asyncio, sys
from contextlib import aclosing
from mobstore import open_stores

async def follow(stores):
    async with aclosing(stores.events.subscribe()) as events:
        async for _ in events:
            pass

async def main():
    async with open_stores(sys.argv[1]) as stores:
        following = asyncio.create_task(follow(stores))
        await asyncio.sleep(0.5)
        print("subscribed", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        following.cancel()

asyncio.run(main())
"""


def across(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure a subscription to the appends of another process."""
    place, count = stage.place(), 50 if settings.quick else 300
    found = follow_across(place.url, lambda: open_mobstore(place), 0.1, count)
    for name, waited in found.waited.items():
        yield Outcome(
            f"from the {name} of an append until a subscribed process has the event",
            "",
            checks=[
                Check("median", median(waited), LATEST, at_most=True, unit="ms"),
                Check(
                    "95th percentile", quantiles(waited, n=20, method="inclusive")[18], LATEST,
                    at_most=True, unit="ms",
                ),
                Check("longest", max(waited), unit="ms"),
            ],
            notes=[f"{count} events, 0 to 100 ms between them, out of step with the subscriber"],
        )  # fmt: skip


def idle(_: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure processor time without any event, of the process and of the server."""
    seconds = 5 if settings.quick else 30
    with Server() as server:  # the other one may still have to vacuum
        alone = _costs(server, None, seconds)[1]
        costs = _subscribed(server, server.url(schema="mobs"), seconds)
        yield _idle("with LISTEN", *costs, alone, seconds)
        if programs.find("pgbouncer") is None:
            missing = programs.missing("pgbouncer")
            yield Outcome("idle subscription through PgBouncer", "", notes=[f"skipped: {missing}"])
            return
        with Pooler(server) as pooler:
            costs = _subscribed(server, pooler.url(schema="mobs"), seconds)
        yield _idle("through PgBouncer, which polls", *costs, alone, seconds)


def _idle(how: str, process: float, server: float, alone: float, seconds: float) -> Outcome:
    return Outcome(
        f"processor time of an open store with one subscription, {how}, no events",
        "",
        checks=[
            Check("the process", process, unit="s a minute"),
            Check("the server", server, unit="s a minute"),
            Check("the server without any client", alone, unit="s a minute"),
        ],
        notes=[f"measured for {seconds} s each"],
    )


def _subscribed(server: Server, url: str, seconds: float) -> tuple[float, float]:
    with _idle_process(url) as process:
        return _costs(server, process, seconds)


@contextmanager
def _idle_process(url: str) -> Generator[psutil.Process]:
    with subprocess.Popen(
        [sys.executable, "-c", _IDLE, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if not child.stdout.readline():
            raise RuntimeError("the subscribed process failed")
        yield psutil.Process(child.pid)
        child.stdin.close()


def _costs(server: Server, process: psutil.Process | None, seconds: float) -> tuple[float, float]:
    """Return the processor seconds a minute of a process and of the server."""
    main = psutil.Process(server.pid)
    server.execute("CHECKPOINT")  # or a part of it may fall into the measurement

    def spent() -> tuple[float, float]:
        own = 0.0 if process is None else _processor_time(process)
        # The server's own count includes its ended children.
        ended = main.cpu_times()
        running = sum(_processor_time(child) for child in main.children())
        return own, sum(ended[:4]) + running

    before, start = spent(), monotonic()
    sleep(seconds)
    after, end = spent(), monotonic()
    own, of_server = (60 * (b - a) / (end - start) for a, b in zip(before, after, strict=True))
    return own, of_server


def _processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
