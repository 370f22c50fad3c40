"""Cases of read-only stores, on any engine."""

from __future__ import annotations

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import InternalError
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, make_run
from mobstore.testing.subject import Subject


@case("stores.read-only")
async def reads_only(subject: Subject) -> None:
    """A read-only store rejects every write and changes nothing; reads and subscriptions work."""
    stores = await subject.open()
    await stores.events.append(event())
    reading = MobStores(ReadOnlyEngine(stores.engine))

    async def nothing(_: Stores) -> None:
        pass

    for attempt in (
        reading.events.append(event()),
        reading.events.clear(),
        reading.runs.create_run(make_run()),
        reading.specs.delete_spec("mob", 1),
        reading.atomic(nothing),
        reading.compact(),
    ):
        await expect_error(InternalError, attempt, "read_only")
    same(await reading.events.latest_cursor(), 1, "the latest cursor")
    same(await reading.runs.list_runs(), [], "the runs")
    async with reading.events.subscribe() as subscription:
        same((await anext(subscription)).cursor, 1, "the first event")
        await stores.events.append(event())
        same((await anext(subscription)).cursor, 2, "an event that others append")
