"""The golden scripts on IndexedDB."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from support import golden

_READS = ("get", "list", "poll", "replay_all")


async def replay(calls: list[dict[str, Any]], overlapping: bool) -> list[dict[str, Any]]:
    """Make the calls of one script, in order.

    Args:
        calls: the script.
        overlapping: start calls that write before those ahead of them have ended, until a call
            reads. The answers are the same, because writes are made in the order of the calls.

    Returns:
        The answer of each call.
    """
    name, chance = f"golden-{uuid4()}", random.Random(len(calls))
    started: list[asyncio.Task[dict[str, Any]]] = []
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        for call in calls:
            reads = call["op"].removeprefix("realm_").startswith(_READS)
            if reads or not overlapping:
                await asyncio.gather(*started)
            started.append(asyncio.create_task(golden.replay(stores, call)))
            if reads:
                await started[-1]
            for _ in range(chance.choice((0, 0, 1, 2, 5))):
                await asyncio.sleep(0)
        answers = await asyncio.gather(*started)
    await delete_database(name)
    return answers
