"""The cost of `import mobstore` beyond pydantic, in separate processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench.outcome import Check, Outcome
from bench.turns import Contestant, Measured, Opener, Settings, Turn, compete

PYDANTIC = "import pydantic"
USED = "from pydantic import BaseModel"
OURS = "import mobstore"
OURS_USED = "from mobstore import open_stores"
STATEMENTS = (OURS, OURS_USED, PYDANTIC, USED)
_TIMED = "from time import perf_counter as now; t = now(); {}; print(now() - t)"


def imports(settings: Settings) -> Iterator[Outcome]:
    """Measure at least ten new processes each."""
    found = compete(
        [Contestant(statement, _importing(statement)) for statement in STATEMENTS],
        replace(settings, rounds=max(10, settings.rounds)),
        most=1,
    )
    yield Outcome(
        OURS,
        "imports/s",
        list(found.values()),
        [
            _beyond(found[OURS], found[PYDANTIC], 60),
            _beyond(found[OURS_USED], found[USED]),
        ],
        [
            "both packages load most modules at the first use of a name, so the second figure is"
            " the delay that a program sees"
        ],
    )


def _beyond(ours: Measured, theirs: Measured, target: float | None = None) -> Check:
    text = f"{ours.name}, beyond {theirs.name}"
    return Check(text, (ours.cost - theirs.cost) * 1e3, target, at_most=True, unit="ms")


def _importing(statement: str) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        command = [sys.executable, "-c", _TIMED.format(statement)]

        async def turn(count: int) -> float:
            assert count == 1
            # Nothing else runs meanwhile, so the call may block the event loop.
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: ASYNC221
            return float(done.stdout)

        yield turn

    return opened
