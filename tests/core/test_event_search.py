"""Searches of the event log, with random conditions, against a filter of all events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast
from uuid import UUID

import pytest

from mobstore import (
    EVENT_TYPES,
    MeerkatId,
    MobEvent,
    MobStores,
    NewMobEvent,
    OtherEvent,
    SerializationError,
    Timestamp,
    UsageError,
    members_of,
    open_stores,
)
from mobstore.engines.memory import MemoryEngine
from mobstore.model import event as kinds
from mobstore.model.event_types import may_name_members
from mobstore.operations import event_queries, event_removal
from mobstore.scripts.paging import next_limit
from mobstore.scripts.tables import CONSUMERS, EVENTS, ConsumerRow, EventRow
from mobstore.scripts.transaction import Commit, Put, Scan, Script
from mobstore.testing.kinds import every_kind, other_kinds
from mobstore.testing.samples import event, timestamp
from mobstore.testing.scripts import read_script, write_script

T = TypeVar("T")

EVENTS_STORED = 300
SEARCHES = 60
MOBS = ("a", "b", "rare")
MEMBERS = ("ann", "", "nobody")
RUNS = (UUID(int=1), UUID(int=2))


def some_kind(random: Random) -> kinds.MobEventKind | OtherEvent:
    kind = random.choice((*every_kind(), *other_kinds()))
    if random.random() < 0.3 and "run_id" in kind.__dict__:
        return kind.model_copy(update={"run_id": RUNS[1]})
    return kind


async def fill(stores: MobStores, random: Random) -> None:
    """Append events with times that fall as often as they grow and tie, and remove some."""
    await stores.events.append_batch(
        [
            event(
                random.choices(MOBS, (5, 5, 1))[0],
                at=timestamp(random.randrange(-20, 20) * 10**9),
                kind=some_kind(random),
            )
            for _ in range(EVENTS_STORED)
        ]
    )
    await stores.events.prune(timestamp(-19 * 10**9))


def conditions(random: Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "after_cursor": random.choice((0, 0, random.randrange(EVENTS_STORED))),
        "limit": random.choice((0, 1, 3, 20, 1000)),
    }
    if random.random() < 0.5:
        chosen["newest_first"] = True
    if random.random() < 0.3:
        chosen["before_cursor"] = random.randrange(EVENTS_STORED + 9)
    if random.random() < 0.3:
        chosen["mob_id"] = random.choice(MOBS)
    elif random.random() < 0.3:
        chosen["run_id"] = random.choice(RUNS)
    if random.random() < 0.4:
        chosen["types"] = random.sample(sorted(EVENT_TYPES), random.choice((0, 1, 2, 9)))
    if random.random() < 0.3:
        chosen["member"] = random.choice(MEMBERS)
    for name in ("since", "until"):
        if random.random() < 0.3:
            chosen[name] = timestamp(random.randrange(-22, 22) * 10**9)
    return chosen


def meets(row: EventRow, stored: MobEvent | None, by: dict[str, Any]) -> bool:
    """Return whether an event meets conditions; `stored` is None for an unreadable one."""
    time = Timestamp.from_sortable(row.timestamp)
    member = by.get("member")
    if member is not None:
        if stored is None:  # as far as its columns and its text show
            named = may_name_members(row.type) and (member in row.kind or "\\" in row.kind)
        else:
            named = member in members_of(stored.kind)
        if not named:
            return False
    return (
        row.cursor > by["after_cursor"]
        and row.cursor < by.get("before_cursor", 2**63)
        and row.mob_id == by.get("mob_id", row.mob_id)
        and row.run_id == str(by.get("run_id", row.run_id))
        and ("types" not in by or row.type in by["types"])
        and ("since" not in by or time >= by["since"])
        and ("until" not in by or time < by["until"])
    )


def _some_size(sizes: Sequence[int], random: Random, *_: int) -> int:
    return random.choice(sizes)


@contextmanager
def pages_of(sizes: Sequence[int], random: Random) -> Generator[None]:
    """Read pages of some sizes, so that a short log has many of them."""
    with pytest.MonkeyPatch.context() as patch:
        if sizes:
            for module in (event_queries, event_removal):
                patch.setattr(module, "FIRST_PAGE", sizes[0])
                patch.setattr(module, "next_limit", partial(_some_size, sizes, random))
            patch.setattr(event_queries, "_ROWS_AT_ONCE", 5 * sizes[0])
        yield


async def check(stores: MobStores, by: dict[str, Any], readable: dict[int, MobEvent]) -> None:
    """Compare a search with a filter of all events."""
    rows = await stores.engine.read(read_script(Scan(EVENTS)))
    matching = [row.cursor for row in rows if meets(row, readable.get(row.cursor), by)]
    if by.get("newest_first"):
        matching.reverse()
    limit = by["limit"]
    left_out: list[int] = []
    found = await stores.events.poll(**by, on_unreadable=lambda cursor, _: left_out.append(cursor))
    want = [cursor for cursor in matching if cursor in readable][:limit]
    assert [one.cursor for one in found] == want, by
    assert found == [readable[cursor] for cursor in want], by
    skipped = [cursor for cursor in matching if cursor not in readable]
    assert left_out == skipped[: len(left_out)], by
    if limit and len(want) < limit:
        assert left_out == skipped, by
    page = matching[:limit]
    before = next((n for n, cursor in enumerate(page) if cursor not in readable), len(page))
    if page and not before:
        with pytest.raises(SerializationError, match=f"cursor {page[0]} "):
            await stores.events.poll(**by)
    else:
        assert [one.cursor for one in await stores.events.poll(**by)] == page[:before], by


@pytest.mark.parametrize("sizes", [(), (1, 2), (3, 7, 40)], ids=str)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_random_searches(tmp_path: Path, engine: str, seed: int, sizes: Sequence[int]) -> None:
    random = Random(f"{seed}{sizes}")
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"

    async def search() -> None:
        async with open_stores(url) as stores:
            await fill(stores, random)
            readable = {one.cursor: one for one in await stores.events.replay_all()}
            for _ in range(SEARCHES):
                await check(stores, conditions(random), readable)
            rows = await stores.engine.read(read_script(Scan(EVENTS)))
            broken = ('{"a":"ann"', "{", r'{"a":"\u0061nn"')
            bad = [row._replace(kind=random.choice(broken)) for row in random.sample(rows, 20)]
            await stores.engine.write(write_script(Put(EVENTS, bad)))
            for row in bad:
                del readable[row.cursor]
            for _ in range(SEARCHES):
                await check(stores, conditions(random), readable)

    with pages_of(sizes, random):
        asyncio.run(search())


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_pages_meet_without_a_gap(tmp_path: Path, engine: str) -> None:
    random = Random(1)
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"

    async def walk() -> None:
        async with open_stores(url) as stores:
            await fill(stores, random)
            for _ in range(30):
                by: dict[str, Any] = {**conditions(random), "limit": 10_000}
                whole = await stores.events.poll(**by)
                by["limit"], seen = 7, list[MobEvent]()
                while page := await stores.events.poll(**by):
                    seen += page
                    bound = "before_cursor" if by.get("newest_first") else "after_cursor"
                    by[bound] = page[-1].cursor
                assert seen == whole, by

    asyncio.run(walk())


@pytest.mark.slow
def test_a_search_by_time_reads_little_of_a_long_log(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    matching = event_queries.Conditions.matching

    def counted(of: event_queries.Conditions, rows: Sequence[EventRow]) -> list[EventRow]:
        nonlocal read
        read += len(rows)
        return matching(of, rows)

    async def search() -> None:
        async with open_stores("memory:") as stores:
            await stores.events.append_batch([event(at=timestamp(n)) for n in range(20_000)])
            monkeypatch.setattr(event_queries.Conditions, "matching", counted)
            found = await stores.events.poll(since=timestamp(19_990))
            assert [one.cursor for one in found] == list(range(19_991, 20_001))
            found = await stores.events.poll(until=timestamp(10), newest_first=True, limit=3)
            assert [one.cursor for one in found] == [10, 9, 8]

    asyncio.run(search())
    assert 0 < read < 1000


@pytest.mark.parametrize(
    "by",
    [
        {"member": "nobody"},
        {"member": "nobody", "since": timestamp(0)},
        {"member": "nobody", "mob_id": "a", "newest_first": True},
        {"member": "nobody", "types": "mob_reset", "until": timestamp(9_000)},
    ],
    ids=str,
)
def test_a_long_search_leaves_room_for_writers(by: dict[str, Any]) -> None:
    """Several scripts carry it on; with IndexedDB, all writers wait for each of them."""

    most = 0  # rows that one script has read

    class Counting(MemoryEngine):
        async def read(self, make: Callable[[], Script[T]]) -> T:
            return await super().read(lambda: counted(make()))

    def counted(script: Script[T]) -> Script[T]:
        nonlocal most
        rows = 0
        try:
            asked = next(script)
            while True:
                answers = yield asked
                rows += sum(map(len, answers))
                most = max(most, rows)
                asked = script.send(answers)
        except StopIteration as end:
            return cast("Commit[T]", end.value)

    async def search() -> None:
        async with MobStores(Counting()) as stores:
            await stores.events.append_batch(
                [event("a", at=timestamp(n), kind=kinds.MobReset()) for n in range(10_000)]
            )
            assert await stores.events.poll(**by) == []
        assert 500 <= most <= 1000

    asyncio.run(search())


def test_no_event_that_comes_during_a_search_is_passed_over() -> None:
    """A caller continues after the last one: it must not come after one that was left out."""

    def of_ann(at: int) -> NewMobEvent:
        return event(at=timestamp(at), kind=kinds.PeersWired(a=MeerkatId("ann"), b=MeerkatId("b")))

    class Busy(MemoryEngine):
        async def read(self, make: Callable[[], Script[T]]) -> T:
            found = await super().read(make)
            if pending:
                await stores.events.append_batch([pending.pop()])
            return found

    pending = [of_ann(9_998), of_ann(9_001)]
    stores = MobStores(Busy())

    async def search() -> list[int]:
        later, pending[:] = list(pending), []
        await stores.events.append_batch([event(at=timestamp(n)) for n in range(10_000)])
        await stores.events.append(of_ann(9_999))
        pending[:] = later
        found = await stores.events.poll(member="ann", since=timestamp(9_000))
        more = await stores.events.poll(found[-1].cursor, member="ann", since=timestamp(9_000))
        return [one.cursor for one in [*found, *more]]

    assert asyncio.run(search()) == [10_001, 10_002, 10_003]


def test_a_search_by_mob_and_type_costs_as_the_better_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = 0
    scan = event_queries.Span.scan

    async def search() -> None:
        nonlocal read
        async with open_stores("memory:") as stores:
            reset, completed = kinds.MobReset(), kinds.MobCompleted()
            await stores.events.append_batch(
                [event("big", kind=completed) for _ in range(5000)]
                + [event("big", kind=reset), event("small", kind=completed)]
            )

            def counted(of: event_queries.Span, *how: Any) -> Scan[EventRow]:
                nonlocal read
                found = scan(of, *how)
                read += found.limit or 0
                return found

            monkeypatch.setattr(event_queries.Span, "scan", counted)
            for mob, of_type in (("big", "mob_reset"), ("small", "mob_completed")):
                found = await stores.events.poll(mob_id=mob, types=of_type)
                assert [(one.mob_id, one.kind.type) for one in found] == [(mob, of_type)]

    asyncio.run(search())
    assert 0 < read < 1000


def test_an_unknown_type_is_rejected() -> None:
    async def call(types: Any) -> None:
        async with open_stores("memory:") as stores:
            await stores.events.poll(types=types)

    for wrong in ("step_faild", ["step_failed", "no"], 3, b"step_failed", [None]):
        with pytest.raises(UsageError) as caught:
            asyncio.run(call(wrong))
        assert "step_failed, step_skipped" in caught.value.detail


@pytest.mark.slow
@pytest.mark.parametrize("by_time", [True, False])
def test_prune_reads_kept_events_once(*, by_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(limit: int, rows: int, size: int) -> int:
        seen.append(rows)
        return next_limit(limit, rows, size)

    async def prune() -> int:
        async with open_stores("memory:") as stores:
            await stores.events.append_batch([event(at=timestamp(n)) for n in range(3000)])
            monkeypatch.setattr(event_removal, "next_limit", counted)
            if by_time:
                return await stores.events.prune(timestamp(3000), keep="mob_completed")
            return await stores.events.prune(before_cursor=3001, keep="mob_completed")

    assert asyncio.run(prune()) == 0
    assert sum(seen) == 3000


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(), (1, 2), (3, 40)], ids=str)
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_random_prunes(tmp_path: Path, engine: str, sizes: Sequence[int]) -> None:
    random = Random(f"{sizes}")
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"

    async def prune(stores: MobStores) -> None:
        await stores.events.clear()
        await fill(stores, random)
        before = await stores.events.replay_all()
        keyed = {f"{n}": await stores.events.append(event(), key=f"{n}") for n in range(3)}
        before += keyed.values()
        older_than, before_cursor = timestamp(random.randrange(-20, 22) * 10**9), None
        if random.random() < 0.5:
            before_cursor = before[0].cursor + random.randrange(EVENTS_STORED + 9)
        keep = random.sample(sorted(EVENT_TYPES), random.choice((0, 3, 20)))
        seen = [before[0].cursor + random.randrange(EVENTS_STORED) for _ in range(2)]
        rows = [ConsumerRow(f"{n}", seen[n], timestamp(0).sortable) for n in range(2)]
        await stores.engine.write(write_script(Put(CONSUMERS, rows)))
        keep_unseen = random.random() < 0.3
        by_time = before_cursor is None or random.random() < 0.5
        gone = [
            one.cursor
            for one in before
            if (not by_time or one.timestamp < older_than)
            and (before_cursor is None or one.cursor < before_cursor)
            and one.kind.type not in keep
            and (not keep_unseen or one.cursor <= min(seen))
        ]
        count = await stores.events.prune(
            older_than if by_time else None,
            before_cursor=before_cursor,
            keep=keep,
            keep_unseen=keep_unseen,
        )
        assert count == len(gone)
        left = [one for one in before if one.cursor not in gone]
        assert await stores.events.replay_all() == left
        for key, stored in keyed.items():
            found = await stores.events.get_by_key(key)
            assert found == (None if stored.cursor in gone else stored)

    async def prune_often() -> None:
        async with open_stores(url, clock=lambda: timestamp(0)) as stores:
            for _ in range(20):
                await prune(stores)

    with pages_of(sizes, random):
        asyncio.run(prune_often())
