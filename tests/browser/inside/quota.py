"""Filling a database until the browser lets nothing more in."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

from browser.inside.handles import described, error_of, held
from mobstore import MeerkatId, MobStoreError, NewMobEvent, PeersWired
from mobstore.testing.samples import event

_TASKS = 4


def _large(size: int) -> NewMobEvent:
    """An event that takes about so many bytes, however it is compressed."""
    text = base64.b64encode(os.urandom(size * 3 // 4)).decode()
    return event(kind=PeersWired(a=MeerkatId(""), b=MeerkatId(text)))


async def beside_too_large(name: str, size: int) -> list[dict[str, Any] | None]:
    """Append five events at once; give the errors of all. Only the third is so large."""
    append = held(name).events.append
    events = [event(), event(), _large(size), event(), event()]
    return await asyncio.gather(*(error_of(append(one)) for one in events))


async def is_read_back(name: str, size: int) -> bool:
    """Append an event of this size, and see whether it can be read."""
    stored = await held(name).events.append(_large(size))
    (found,) = await held(name).events.poll(stored.cursor - 1, 1)
    return found == stored


async def in_the_middle(name: str, size: int) -> list[dict[str, Any] | None]:
    """Append three events at once, of which the second is so large; the errors."""
    append = held(name).events.append
    events = (event(), _large(size), event())
    return await asyncio.gather(*(error_of(append(one)) for one in events))


async def fill(name: str, size: int) -> tuple[list[int], list[dict[str, Any]]]:
    """Append events of this size in several tasks, each until it is refused.

    Returns:
        The cursors that were given out, and the error that ended each task.
    """
    given: list[int] = []

    async def until_refused() -> dict[str, Any]:
        while True:
            try:
                given.append((await held(name).events.append(_large(size))).cursor)
            except MobStoreError as error:
                return described(error)

    errors = await asyncio.gather(*(until_refused() for _ in range(_TASKS)))
    return given, errors
