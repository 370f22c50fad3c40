"""Following a store that is taken away, and commits of which no message came."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from unittest.mock import patch

from browser.inside.calls import say
from browser.inside.handles import error_of, held
from mobstore.engines.indexeddb.channel import Channel
from mobstore.scripts.tables import EVENTS, EVENTS_BY_MOB
from mobstore.scripts.transaction import Commit, DeleteRange, LoadingScript, Scan
from mobstore.testing.samples import event, make_run, run_id


def _erasing() -> LoadingScript[object]:
    yield (DeleteRange(Scan(EVENTS)),)
    return Commit(None)


async def follow_until_lost(name: str) -> list[dict[str, Any] | None]:
    """Wait for an event and for a run's status; the errors that end it, then those of calls."""
    stores = held(name)
    await stores.runs.create_run(make_run(1))
    last = (await stores.events.append(event())).cursor
    headers = stores.runs.watch(run_id(1))
    await anext(headers)
    waiting = [
        asyncio.ensure_future(error_of(anext(stores.events.subscribe(last)))),
        asyncio.ensure_future(error_of(anext(headers))),
    ]
    await stores.events.latest_cursor()
    say("following")
    errors = await asyncio.gather(*waiting)
    return [
        *errors,
        await error_of(stores.events.append(event())),
        await error_of(stores.engine.load(_erasing)),
        await error_of(stores.events.replay_all()),
        await error_of(stores.runs.get_run(run_id(1))),
        await error_of(anext(stores.events.subscribe())),
        await error_of(stores.overview()),
    ]


async def follow_while_busy(name: str, seconds: float) -> list[int]:
    """Follow a store, and compute without a break meanwhile; the cursors of five events."""
    events = held(name).events.subscribe()
    waiting = asyncio.ensure_future(anext(events))
    await held(name).events.latest_cursor()
    say("busy")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return [(await waiting).cursor, *[(await anext(events)).cursor for _ in range(4)]]


async def append_five(name: str) -> list[int]:
    """Append five events, one by one."""
    return [(await held(name).events.append(event())).cursor for _ in range(5)]


async def append_silently(name: str) -> int:
    """Append an event, as a tab does that ends before it has told of it."""
    with patch.object(Channel, "tell"):
        return (await held(name).events.append(event())).cursor


async def follow_one(name: str) -> int:
    """The cursor of the next event; says when it has begun to wait."""
    waiting = asyncio.ensure_future(anext(held(name).events.subscribe()))
    await held(name).events.latest_cursor()
    say("following")
    return (await waiting).cursor


def looks(name: str) -> bool:
    """Whether this store looks for commits from time to time."""
    engine: Any = held(name).engine
    return engine._channel._timer is not None


async def looks_while_followed(name: str) -> list[bool]:
    """The same before two follow it, while they do, while one does, and when none does any more."""
    told = [looks(name)]
    stops = [held(name).engine.listen(lambda: None) for _ in range(2)]
    for stop in stops:
        told.append(looks(name))
        stop()
    return [*told, looks(name)]


async def woken(name: str) -> list[int]:
    """How often a follower of one mob is woken by its events, by those of another, by a load."""
    woken: list[None] = []
    engine: Any = held(name).engine
    stop = engine.listen(lambda: woken.append(None), Scan(EVENTS_BY_MOB, ("followed",)))
    engine._channel._stop_timer()
    told: list[int] = []
    for mob in ("followed", "other", "followed", "other"):
        await held(name).events.append(event(mob))
        told.append(len(woken))
    await engine.load(_erasing)
    stop()
    return [*told, len(woken)]
