"""A counter that is behind: nothing is overwritten, verify finds it and repairs it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mobstore import WriteFailedError, open_stores
from mobstore.maintenance.verification import verify
from mobstore.scripts.tables import COUNTERS, NEXT_CURSOR, NEXT_RUN, CounterRow
from mobstore.scripts.transaction import DeleteRange, Put, Scan, Write
from mobstore.testing.samples import event, make_run
from mobstore.testing.scripts import write_script

URLS = pytest.mark.parametrize("url", ["memory:", "sqlite:{}/mobs.db"])


@URLS
@pytest.mark.parametrize(
    "behind",
    [
        Put(COUNTERS, (CounterRow(NEXT_CURSOR, 2), CounterRow(NEXT_RUN, 1))),
        Put(COUNTERS, (CounterRow(NEXT_CURSOR, 4), CounterRow(NEXT_RUN, 3))),
        DeleteRange(Scan(COUNTERS)),
    ],
    ids=["far", "by one", "missing"],
)
def test_counters_are_mended(url: str, behind: Write, tmp_path: Path) -> None:
    async def check() -> None:
        async with open_stores(url.format(tmp_path)) as stores:
            await stores.events.append_batch([event(f"{n}") for n in range(1, 5)])
            for n in (1, 2, 3):
                await stores.runs.create_run(make_run(n))
            log = await stores.events.replay_all()
            await stores.engine.write(write_script(behind))
            for call in (stores.events.append(event()), stores.runs.create_run(make_run(4))):
                with pytest.raises(WriteFailedError, match="verify URL --repair"):
                    await call
            found = await verify(stores)
            rows = [("counters", (NEXT_CURSOR,)), ("counters", (NEXT_RUN,))]
            assert [(one.table, one.key) for one in found.problems] == rows
            assert all(one.repairable for one in found.problems)
            assert not (await verify(stores, repair=True)).left
            assert not (await verify(stores)).problems
            assert (await stores.events.append(event("5"))).cursor == 5
            await stores.runs.create_run(make_run(4))
            assert (await stores.events.replay_all())[:4] == log
            assert [one.run_id.int for one in await stores.runs.run_headers()] == [1, 2, 3, 4]

    asyncio.run(check())
