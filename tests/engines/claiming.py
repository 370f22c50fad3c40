"""Processes that race for runs, and are killed and stopped meanwhile; see `support.claiming`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, cast

from engines.support import Process, running
from mobstore import MobStores, open_stores
from support import claiming

PROCESSES = 4
LONGEST = 90.0  # seconds, on a loaded machine
_DISTURBED = 8  # times; then the processes can work on
_TAKEN = 4.0  # seconds to wait for others to take a run


class Race(NamedTuple):
    """The notes and disturbances of a race.

    Attributes:
        notes: the notes of all processes.
        kills: number of killed processes.
        stops: number of processes that were stopped beyond the ttl.
    """

    notes: list[dict[str, Any]]
    kills: int
    stops: int


def work(url: str, name: str, ttl: str, journal: str, variant: str) -> None:
    """Execute runs until all have ended; note what happens in a journal."""
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(fact: dict[str, Any]) -> None:
        os.write(file, f"{json.dumps(fact)}\n".encode())  # one system call: never half a line

    async def main() -> None:
        async with open_stores(url, timeout=60, durability="normal") as stores:
            await claiming.Worker(stores, name, float(ttl), note, naps=0).work()

    try:
        with claiming.VARIANTS[variant]():
            asyncio.run(main())
    except BaseException as error:  # noqa: BLE001 - the test must hear of it
        note({"complaint": _described(error)})


def _described(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _described(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return f"{type(error).__name__}: {error}"


async def race(stores: MobStores, url: str, ttl: float, folder: Path, variant: str) -> Race:
    """Run processes until all runs of a store have ended; kill some of them, and stop others."""
    chance, names = random.Random(1), count()
    kills = stops = 0
    with ExitStack() as stack:
        working: dict[str, Process] = {}

        def start() -> None:
            name = f"w{next(names)}"
            journal = folder / f"{name}.notes"
            working[name] = stack.enter_context(running(work, url, name, ttl, journal, variant))

        for _ in range(PROCESSES):
            start()
        while all(process.poll() is None for process in working.values()):
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            holders = [claim.holder for claim in await stores.claims.list()]
            held = [name for name in holders if name in working]
            if not held or kills + stops >= _DISTURBED:
                continue
            name = chance.choice(held)
            if kills < stops:
                working[name].kill()
                await asyncio.to_thread(working.pop(name).wait)
                kills += 1
                start()
            else:
                os.kill(working[name].pid, signal.SIGSTOP)
                await asyncio.sleep(ttl)
                await _until_taken(stores, name, held.count(name))
                os.kill(working[name].pid, signal.SIGCONT)
                stops += 1
        for process in working.values():
            assert await asyncio.to_thread(process.wait, LONGEST) == 0
    return Race(_notes(folder), kills, stops)


def _notes(folder: Path) -> list[dict[str, Any]]:
    lines = [line for file in folder.glob("*.notes") for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


async def _until_taken(stores: MobStores, holder: str, held: int) -> None:
    """Wait until others have taken a run of a stopped process; not for long if it has the lock."""

    async def left() -> int:
        return sum(claim.holder == holder for claim in await stores.claims.list())

    with suppress(TimeoutError):
        async with asyncio.timeout(_TAKEN):
            while await left() >= held:  # noqa: ASYNC110 - no event comes from a stopped process
                await asyncio.sleep(0.02)


async def race_and_check(
    stores: MobStores, url: str, ttl: float, folder: Path, variant: str = "none"
) -> None:
    """Race on a new store, and check what is stored.

    Raises:
        AssertionError: something is wrong.
    """
    async with asyncio.timeout(LONGEST):
        raced, _ = await asyncio.gather(
            race(stores, url, ttl, folder, variant), claiming.create_runs(stores, ttl)
        )
    await claiming.check(stores, raced.notes)
    assert raced.kills >= 2, "too few were killed"
    assert raced.stops >= 2, "too few were stopped"
    assert claiming.count(raced.notes, "claimed") > claiming.RUNS, "no run was taken over"
