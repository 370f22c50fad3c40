"""Cases of counters that are behind what they number: nothing acknowledged is overwritten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mobstore.bundles import MobStores, Stores
from mobstore.errors import WriteFailedError
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.runs import NEXT_RUN
from mobstore.tables import COUNTERS, EVENTS, RUNS, CounterRow
from mobstore.testing.kit import case, refused, same
from mobstore.testing.samples import event, make_run, run_id
from mobstore.testing.scripts import writing
from mobstore.testing.subject import Subject
from mobstore.transaction import Delete, Put, key_in_use


async def _put_back(stores: MobStores, counter: str, value: int) -> None:
    await stores.engine.write(writing(Put(COUNTERS, (CounterRow(counter, value),))))


async def _appends(at: Stores) -> None:
    await at.runs.create_run(make_run(7))
    await at.events.append(event("again"))


def _taken(cursor: int) -> str:
    return str(key_in_use(EVENTS, (cursor,)))


@case("events.counter-behind")
async def keeps_events(subject: Subject) -> None:
    """Where the counter of cursors is behind, appending fails and overwrites nothing."""
    stores = await subject.open()
    await stores.events.append_batch([event(f"{n}") for n in range(1, 5)])
    log = await stores.events.replay_all()
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "append": lambda: stores.events.append(event("again")),
        "append_batch": lambda: stores.events.append_batch([event("again")] * 3),
        "an atomic call": lambda: stores.atomic(_appends),
    }
    for behind in (1, 2, 4):
        await _put_back(stores, NEXT_CURSOR, behind)
        for what, call in calls.items():
            await refused(WriteFailedError, call(), f"{what} at {behind}", _taken(behind))
    await _put_back(stores, NEXT_CURSOR, 3)
    await refused(
        WriteFailedError, calls["append_batch"](), "a batch whose first cursor is taken", _taken(3)
    )
    await stores.engine.write(writing(Delete(EVENTS, (3,))))
    await refused(
        WriteFailedError, calls["append_batch"](), "a batch whose second cursor is taken", _taken(4)
    )
    same(await stores.events.replay_all(), [*log[:2], log[3]], "the log")
    same(await stores.runs.run_headers("mob"), [], "the runs of an atomic call that failed")
    await _put_back(stores, NEXT_CURSOR, 5)
    same((await stores.events.append(event())).cursor, 5, "a cursor after the counter was mended")


@case("runs.counter-behind")
async def keeps_runs_apart(subject: Subject) -> None:
    """Where the counter of runs is behind, creating a run fails: no two have one number."""
    stores = await subject.open()
    for n in (1, 2, 3):
        await stores.runs.create_run(make_run(n))
    for behind in (1, 3):
        await _put_back(stores, NEXT_RUN, behind)
        text = str(key_in_use(RUNS, (3,), "number"))
        await refused(WriteFailedError, stores.runs.create_run(make_run(4)), "create_run", text)
        await refused(WriteFailedError, stores.atomic(_appends), "an atomic call")
    same([one.run_id for one in await stores.runs.run_headers("mob")], [*map(run_id, (1, 2, 3))],
         "the runs")  # fmt: skip
    same(await stores.events.latest_cursor(), 0, "the log of an atomic call that failed")
    await _put_back(stores, NEXT_RUN, 4)
    await stores.runs.create_run(make_run(4))
    same(len(await stores.runs.run_headers("mob")), 4, "runs after the counter was mended")
