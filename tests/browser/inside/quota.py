"""Databases that reach the browser's limits."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

from browser.inside.handles import described, error_of, held
from mobstore import MeerkatId, MobStoreError, NewMobEvent, PeersWired
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.scripts.transaction import Add, Scan
from mobstore.testing.samples import event
from mobstore.testing.scripts import read_script, write_script

_TASKS = 4


def _large(size: int) -> NewMobEvent:
    """Return an event of about `size` bytes that cannot be compressed."""
    text = base64.b64encode(os.urandom(size * 3 // 4)).decode()
    return event(kind=PeersWired(a=MeerkatId(""), b=MeerkatId(text)))


async def beside_too_large(name: str, size: int) -> list[dict[str, Any] | None]:
    """Append five events at once, the third of this size; return all errors."""
    append = held(name).events.append
    events = [event(), event(), _large(size), event(), event()]
    return await asyncio.gather(*(error_of(append(one)) for one in events))


async def in_the_middle(name: str, size: int) -> list[dict[str, Any] | None]:
    """Add three rows at once, the second of this size; return all errors."""
    engine = held(name).engine

    async def add(cursor: int, kind: str) -> None:
        row = EventRow(cursor, "mob", "t", "mob_reset", "", kind)
        await engine.write(write_script(Add(EVENTS, (row,))))

    large = base64.b64encode(os.urandom(size * 3 // 4)).decode()
    return await asyncio.gather(*map(error_of, (add(1, "{}"), add(2, large), add(3, "{}"))))


async def cursors(name: str) -> list[int]:
    """Return the cursors of all events, readable or not."""
    return [one.cursor for one in await held(name).engine.read(read_script(Scan(EVENTS)))]


async def fill(name: str, size: int) -> tuple[list[int], list[dict[str, Any]]]:
    """Append events of this size in several tasks, until each fails.

    Returns:
        The acknowledged cursors, and the error of each task.
    """
    given: list[int] = []

    async def until_failure() -> dict[str, Any]:
        while True:
            try:
                given.append((await held(name).events.append(_large(size))).cursor)
            except MobStoreError as error:
                return described(error)

    errors = await asyncio.gather(*(until_failure() for _ in range(_TASKS)))
    return given, errors
