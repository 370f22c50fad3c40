"""Subscriptions to a store that is lost, and commits without a message."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from browser.inside.calls import send
from browser.inside.handles import error_of, held
from mobstore.scripts.tables import EVENTS, EVENTS_BY_MOB
from mobstore.scripts.transaction import Commit, DeleteRange, LoadingScript, Scan
from mobstore.testing.samples import event, make_run, run_id


def _erasing() -> LoadingScript[object]:
    yield (DeleteRange(Scan(EVENTS)),)
    return Commit(None)


async def follow_until_lost(name: str) -> list[dict[str, Any] | None]:
    """Wait for an event and for a run's status; return their errors, then those of calls."""
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
    send("following")
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
    """Subscribe, and compute without a break meanwhile; return the cursors of five events."""
    events = held(name).events.subscribe()
    waiting = asyncio.ensure_future(anext(events))
    await held(name).events.latest_cursor()
    send("busy")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return [(await waiting).cursor, *[(await anext(events)).cursor for _ in range(4)]]


async def append_five(name: str) -> list[int]:
    """Append five events one by one; return their cursors."""
    return [(await held(name).events.append(event())).cursor for _ in range(5)]


class _Mute:
    """A channel that sends no message."""

    def postMessage(self, message: str) -> None:  # noqa: N802
        pass

    def close(self) -> None:
        pass


def disconnect(name: str) -> None:
    """Close the channel to other tabs, so that no message is sent or answered."""
    engine: Any = held(name).engine
    engine._channel._channel.close()
    engine._channel._channel = _Mute()


async def follow_one(name: str) -> int:
    """Return the cursor of the next event; sends a message once it is waiting."""
    waiting = asyncio.ensure_future(anext(held(name).events.subscribe()))
    await held(name).events.latest_cursor()
    send("following")
    return (await waiting).cursor


async def follow_one_without_the_timer(name: str) -> int:
    """Return the cursor of the next event, of which only a message can notify."""
    waiting = asyncio.ensure_future(anext(held(name).events.subscribe()))
    await held(name).events.latest_cursor()
    engine: Any = held(name).engine
    engine._channel._stop_timer()
    send("following")
    return (await waiting).cursor


def looks(name: str) -> bool:
    """Return whether this store's timer runs."""
    engine: Any = held(name).engine
    return engine._channel._timer is not None


async def looks_while_followed(name: str) -> list[bool]:
    """Return the same with no listener yet, with two, with one, and with none again."""
    results = [looks(name)]
    stops = [held(name).engine.listen(lambda: None) for _ in range(2)]
    for stop in stops:
        results.append(looks(name))
        stop()
    return [*results, looks(name)]


async def woken_by_the_timer(name: str, seconds: float) -> int:
    """Count the calls of a listener without a commit, up to two and for at most this time."""
    woken: list[None] = []
    stop = held(name).engine.listen(lambda: woken.append(None))
    await asyncio.sleep(0.2)  # an earlier message
    woken.clear()
    deadline = time.monotonic() + seconds
    while len(woken) < 2 and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    stop()
    return len(woken)


async def woken(name: str) -> list[int]:
    """Count the calls of one mob's listener, after its events, another mob's, and a load."""
    woken: list[None] = []
    engine: Any = held(name).engine
    stop = engine.listen(lambda: woken.append(None), Scan(EVENTS_BY_MOB, ("followed",)))
    engine._channel._stop_timer()
    results: list[int] = []
    for mob in ("followed", "other", "followed", "other"):
        await held(name).events.append(event(mob))
        results.append(len(woken))
    await engine.load(_erasing)
    stop()
    return [*results, len(woken)]
