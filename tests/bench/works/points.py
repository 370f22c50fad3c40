"""Reads of one small row by its key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bench import samples
from bench.logs import connect, open_mobstore
from bench.outcome import Outcome, speed
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import MobStores

RAW = "raw sqlite3, text"
LOADED = "raw sqlite3, json.loads"
ROWS = 100
SETTLED = 2.1
"""Seconds after a change of the directory, after which one system call checks it, not four."""
_SPEC = "SELECT revision, definition FROM specs WHERE mob_id = ?"
_PROFILE = (
    "SELECT revision, profile, created_at, updated_at FROM realm_profiles WHERE name = ?"
)  # fmt: skip


def points(settings: Settings) -> Iterator[Outcome]:
    """Measure reads of specs and of realm profiles."""
    for title, get, select in (
        ("specs.get_spec of a small definition", _get_spec, _SPEC),
        ("realm_profiles.get", _get_profile, _PROFILE),
    ):
        found = compete(
            [
                Contestant("mobstore", _mobstore(get)),
                Contestant(RAW, _raw(select, load=False)),
                Contestant(LOADED, _raw(select, load=True)),
            ],
            settings,
            least=100,
            most=100_000,
        )
        ours = found["mobstore"]
        yield Outcome(
            title,
            "reads/s",
            list(found.values()),
            [speed(ours, found[RAW], 0.25), speed(ours, found[LOADED], 0.6)],
        )


async def _fill(path: Path) -> None:
    async with open_mobstore(path) as stores:
        for n in range(ROWS):
            await stores.specs.put_spec(f"mob-{n}", samples.definition(n))
            await stores.realm_profiles.create(f"mob-{n}", samples.profile(n))


async def _get_spec(stores: MobStores, key: str) -> object:
    return await stores.specs.get_spec(key)


async def _get_profile(stores: MobStores, key: str) -> object:
    return await stores.realm_profiles.get(key)


def _mobstore(get: Callable[[MobStores, str], Awaitable[object]]) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        await _fill(path)
        async with open_mobstore(path) as stores:
            await asyncio.sleep(SETTLED)

            async def turn(count: int) -> float:
                keys = [f"mob-{n % ROWS}" for n in range(count)]
                with Stopwatch() as watch:
                    for key in keys:
                        assert await get(stores, key) is not None
                return watch.seconds

            yield turn

    return opened


def _raw(select: str, *, load: bool) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        await _fill(path)
        with closing(connect(path)) as connection:
            await asyncio.sleep(SETTLED)

            async def turn(count: int) -> float:
                keys = [f"mob-{n % ROWS}" for n in range(count)]
                with Stopwatch() as watch:
                    for key in keys:
                        row = connection.execute(select, (key,)).fetchone()
                        assert json.loads(row[1]) if load else row[1]
                return watch.seconds

            yield turn

    return opened
