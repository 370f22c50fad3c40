"""The time until work can start, in separate processes: imports, a first event, commands."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench.outcome import Check, Outcome, cost
from bench.turns import Contestant, Measured, Opener, Settings, Turn, compete
from mobstore import MobReset, NewMobEvent, open_stores

PYDANTIC = "import pydantic; pydantic.BaseModel"
IMPORTED = "from pydantic import BaseModel"
IN_USE = "import asyncio, pydantic; a first model, a TypeAdapter"
FIRST = "import mobstore; a first event"
HELP = "mobstore --help"
INFO = "mobstore info"

_TIMED = "from time import perf_counter as now; t = now(){}\nprint(now() - t)"
_IN_USE = """
import asyncio
from pydantic import BaseModel, TypeAdapter
class First(BaseModel):
    number: int
async def main():
    TypeAdapter(list[First]).validate_json('[{"number": 1}]')
asyncio.run(main())
"""
_FIRST = """
import asyncio, mobstore
async def main():
    async with mobstore.open_stores("memory:") as stores:
        await stores.events.append(mobstore.NewMobEvent(mob_id="m", kind=mobstore.MobReset()))
        assert len(await stores.events.poll(0, 1)) == 1
asyncio.run(main())
"""


def imports(settings: Settings) -> Iterator[Outcome]:
    """Measure at least ten new processes each."""
    with TemporaryDirectory(prefix="mobstore-bench-", dir=settings.directory) as folder:
        path = Path(folder, "small.db")
        asyncio.run(_fill(path))
        processes = {
            PYDANTIC: ["-c", PYDANTIC],
            HELP: ["-m", "mobstore", "--help"],
            INFO: ["-m", "mobstore", "info", f"sqlite:{path}"],
        }
        programs = {IMPORTED: f"\n{IMPORTED}", IN_USE: _IN_USE, FIRST: _FIRST}
        timed = {name: ["-c", _TIMED.format(code)] for name, code in programs.items()}
        found = compete(
            [
                *(
                    Contestant(name, _running(line, timed=False))
                    for name, line in processes.items()
                ),
                *(Contestant(name, _running(line, timed=True)) for name, line in timed.items()),
            ],
            replace(settings, rounds=max(10, settings.rounds)),
            most=1,
        )
    yield Outcome(
        "start of a process until its first work is done",
        "starts/s",
        list(found.values()),
        [
            cost(found[HELP], found[PYDANTIC], 2),
            cost(found[INFO], found[PYDANTIC], 3.5),
            _beyond(found[FIRST], found[IMPORTED]),
            _beyond(found[FIRST], found[IN_USE], 60),
        ],
        [
            "pydantic loads most of its modules when the first model is defined, and a program"
            " with stores imports asyncio: the last figure is the delay that mobstore adds",
            "commands from the start to the end of their process, the three others from their first"
            " to their last statement; modules are .pyc, as pip installs them",
        ],
    )


def _beyond(ours: Measured, theirs: Measured, target: float | None = None) -> Check:
    text = f"{ours.name}, beyond {theirs.name}"
    return Check(text, (ours.cost - theirs.cost) * 1e3, target, at_most=True, unit="ms")


async def _fill(path: Path) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await stores.events.append(NewMobEvent(mob_id="m", kind=MobReset()))


def _running(arguments: Sequence[str], *, timed: bool) -> Opener:
    @asynccontextmanager
    async def opened(place: Path) -> AsyncGenerator[Turn]:
        # The first process compiles all modules; a checkout may have none that are compiled.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(place.with_name("compiled"))}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        async def turn(count: int) -> float:
            assert count == 1
            command = [sys.executable, *arguments]
            start = perf_counter()
            # Nothing else runs meanwhile, so the call may block the event loop.
            done = subprocess.run(  # noqa: ASYNC221
                command, check=True, env=environment, stdout=subprocess.PIPE, text=True
            )
            return float(done.stdout) if timed else perf_counter() - start

        yield turn

    return opened
