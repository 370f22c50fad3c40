"""The time that engines answer without a clock for tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mobstore import Timestamp, open_stores
from mobstore.scripts.tables import SPECS, SpecRow
from mobstore.scripts.transaction import Commit, Get, Now, Put, Script, fetch


def times() -> Script[list[str]]:
    first = yield from fetch(Now())
    second, _ = yield from fetch(Now(), Get(SPECS, ("",)))
    return Commit([first, second])


def write_then_time() -> Script[list[str]]:
    first, second = yield from fetch(Now(), Now())
    return Commit([first, second], (Put(SPECS, (SpecRow("", 1, first),)),))


@pytest.mark.parametrize("url", ["memory:", "sqlite:{}/mobs.db"])
def test_it_is_the_machine_s_and_does_not_go_back(tmp_path: Path, url: str) -> None:
    async def main() -> None:
        async with open_stores(url.format(tmp_path)) as stores:
            before = Timestamp.now().sortable
            found = [
                *await stores.engine.read(times),
                *await stores.engine.write(write_then_time),
                *await stores.engine.write(times),
                *await stores.engine.read(times),
            ]
            ends = [before, *found, Timestamp.now().sortable]
            assert ends == sorted(ends)
            assert all(Timestamp.from_sortable(time) for time in found)

    asyncio.run(main())
