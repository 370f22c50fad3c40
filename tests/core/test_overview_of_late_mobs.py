"""The overview counts mobs without a spec, wherever their rows are, without reading all rows."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from mobstore import open_stores
from mobstore.engines.memory import MemoryEngine
from mobstore.operations.overview import count_all
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.scripts.transaction import Read, Scan, drive
from mobstore.testing.samples import event


@pytest.mark.parametrize("size", [999, 1000, 1001, 1500])
def test_late_mobs_are_found_in_few_rows(size: int) -> None:
    counts = {"first": size, "between": 1, "a": 30, "z": 2, "middle": 16, "m": 17}

    async def check() -> None:
        async with open_stores("memory:") as stores:
            await stores.events.append_batch(
                [event(mob) for mob, count in counts.items() for _ in range(count)]
            )
            tables = cast("MemoryEngine", stores.engine)._tables  # pyright: ignore[reportPrivateUsage]
            rows = 0

            def answer(read: Read) -> object:
                nonlocal rows
                found = tables.answer(read)
                if isinstance(read, Scan) and read.index.table is EVENTS:
                    rows += len(cast("list[EventRow]", found))
                return found

            overview = drive(count_all(), answer, str).result
            assert overview == await stores.overview()
        assert {mob.mob_id: mob.events for mob in overview.mobs} == counts
        assert rows <= 1000 + 16 * len(counts)

    asyncio.run(check())
