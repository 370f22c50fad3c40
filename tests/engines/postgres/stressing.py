"""Processes that do one kind of work on one store at the same time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, NamedTuple, cast

from engines.postgres import broken
from engines.postgres.work import Append, Claim, Create, Ledger, Result, Revise, Swap, Work
from engines.postgres.work_across import Limit, Move, Prune
from engines.support import say
from mobstore.stores.postgres import PostgresMobStores

KINDS: dict[str, type[Work]] = {
    kind.__name__.lower(): kind
    for kind in (Append, Swap, Claim, Ledger, Create, Revise, Move, Limit, Prune)
}


class Task(NamedTuple):
    """An order for a process."""

    kind: str
    url: str
    variant: str
    name: str
    seconds: float


def serve() -> None:
    """Child: work on orders until there are no more."""
    for line in sys.stdin:
        task = Task(*json.loads(line))
        with broken.VARIANTS[task.variant]():
            try:
                answer: Any = asyncio.run(_run(task))
            except Exception as error:  # noqa: BLE001 - the test must hear of it
                answer = _described(error)
        say(json.dumps(answer))


def _described(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return _described(cast("ExceptionGroup[Exception]", error).exceptions[0])
    return f"{type(error).__name__}: {error}"


async def _run(task: Task) -> list[Result]:
    async with PostgresMobStores.open(task.url, durability="normal", timeout=30) as stores:
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        work = KINDS[task.kind](stores, task.name, time.monotonic() + task.seconds)
        await work.run()
        return work.results
