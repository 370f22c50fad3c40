"""Costs of operations within an atomic call, however many came before them: rows read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from mobstore import MobStores, Stores, Timestamp, open_stores
from mobstore.scripts.atomic import atomic_script
from mobstore.scripts.hidden_rows import HiddenRows
from mobstore.scripts.tables import EVENTS, EVENTS_BY_MOB, EventRow
from mobstore.scripts.transaction import Commit, DeleteRange, Scan, Script
from mobstore.testing.samples import event, make_run, run_id, step, timestamp

ENGINES = pytest.mark.parametrize("url", ["memory:", "sqlite:{}/mobs.db"])


def counted(script: Script[Any], rows: list[int]) -> Script[Any]:
    """Run the same script; note how many rows it receives."""
    asked = next(script)
    try:
        while True:
            answers = yield asked
            rows += [len(cast("list[Any]", x)) if isinstance(x, list) else 1 for x in answers]
            asked = script.send(answers)
    except StopIteration as end:
        return cast("Commit[Any]", end.value)


async def rows_read(stores: MobStores, work: Callable[[Stores], Any]) -> int:
    """Return how many rows the store answers with in an atomic call."""
    rows: list[int] = []
    context = copy_context()
    outcome = await stores.engine.write(
        lambda: counted(
            atomic_script(work, lambda engine: Stores(engine, Timestamp.now), context), rows
        )
    )
    outcome.get()
    return sum(rows)


Step = Callable[[Stores, int], Awaitable[object]]


async def claim(at: Stores, _: int) -> None:
    assert await at.runs.claim_next("worker", ttl=60) is not None


async def claim_with_most(at: Stores, n: int) -> None:
    assert await at.runs.claim_next(f"worker {n}", ttl=60, most=1) is not None


async def start(at: Stores, n: int) -> None:
    await at.runs.cas_run_status(run_id(n + 1), expected="pending", next="running")
    pending = await at.runs.run_headers(status="pending", limit=2)
    assert [one.run_id for one in pending] == [run_id(m) for m in (n + 2, n + 3)]


async def delete_newest(at: Stores, n: int) -> None:
    count = NUMBER - n
    await at.runs.delete_run(run_id(count))
    (last,) = await at.runs.run_headers(newest_first=True, limit=1)
    assert last.run_id == run_id(count - 1)


async def delete_all_but_the_first(at: Stores, n: int) -> None:
    await at.runs.delete_run(run_id(n + 2))
    found = await at.runs.run_headers("mob", status="pending", limit=2)
    assert [one.run_id for one in found] == [run_id(m) for m in (1, n + 3)]


async def prune(at: Stores, n: int) -> None:
    assert await at.events.prune(before_cursor=n + 2) == 1
    assert await at.events.first_cursor() == n + 2


async def prune_by_time(at: Stores, n: int) -> None:
    assert await at.events.prune(timestamp(n + 1)) == 1
    (first,) = await at.events.poll(since=timestamp(0), limit=1)
    assert first.cursor == n + 2


async def prune_and_search(at: Stores, n: int) -> None:
    assert await at.events.prune(before_cursor=n + 2, keep="task_created") == 1
    (first,) = await at.events.poll(limit=1, types="mob_completed")
    assert first.cursor == n + 2


NUMBER = 350
STEPS: Mapping[str, Step] = {
    one.__name__: one
    for one in (
        claim, claim_with_most, start, delete_newest, delete_all_but_the_first,
        prune, prune_by_time, prune_and_search,
    )
}  # fmt: skip


@ENGINES
@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_rows_that_were_removed_or_moved_are_not_read_again(
    name: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, has, tested = STEPS[name], HiddenRows.has, list[Any]()

    def counted_has(hidden: HiddenRows, row: Any) -> bool:
        tested.append(row)
        return has(hidden, row)

    monkeypatch.setattr(HiddenRows, "has", counted_has)

    async def fill(at: Stores) -> None:
        for n in range(1, NUMBER + 1):
            await at.runs.create_run(make_run(n))
        await at.events.append_batch([event(at=timestamp(n)) for n in range(NUMBER)])

    async def rows_of(times: int) -> int:
        async def work(at: Stores) -> None:
            for n in range(times):
                await do(at, n)

        folder = tmp_path / f"{times}"
        folder.mkdir()
        async with open_stores(url.format(folder)) as stores:
            await stores.atomic(fill)
            return await rows_read(stores, work)

    for times in (50, 300):
        tested.clear()
        rows = asyncio.run(rows_of(times))
        assert rows < 100 + 8 * times, times
        assert len(tested) < 80 * (10 + times), times  # a search keeps a page of events


@ENGINES
def test_what_an_entry_costs_is_the_same_however_many_there_are(url: str, tmp_path: Path) -> None:
    async def rows_asked(times: int) -> int:
        async def work(at: Stores) -> None:
            await at.runs.delete_run(run_id(2))
            for n in range(times):
                await at.runs.append_step_entry(run_id(1), step(f"{n % 7}"))
                if n % 10 == 9:
                    await at.runs.put_step_output(run_id(1), f"{n % 7}", n)

        async with open_stores(url.format(tmp_path / f"{times}")) as stores:
            for n in (1, 2):
                run = make_run(n, step_ledger=tuple(step("old") for _ in range(1000)))
                await stores.runs.create_run(run)
            rows = await rows_read(stores, work)
            entries = await stores.runs.step_entries(run_id(1), limit=10_000)
            assert len(entries) == 1000 + times
        return rows

    for times in (20, 200):
        (tmp_path / f"{times}").mkdir()
    few, many = asyncio.run(rows_asked(20)), asyncio.run(rows_asked(200))
    assert many <= 3 * 200
    assert many / 200 <= 1.05 * few / 20


@pytest.mark.parametrize("seed", range(20))
def test_removed_ranges_that_overlap_are_one(seed: int) -> None:
    """Random open ranges hide the same rows as each of them alone."""
    chance = Random(seed)
    hidden, removed = HiddenRows(EVENTS), list[tuple[int, int]]()
    for _ in range(30):
        bounds = [chance.choice((None, chance.randrange(40))) for _ in range(2)]
        if chance.random() < 0.8:
            start = chance.randrange(40)
            bounds = [start, start + chance.randrange(6)]
        after, before = bounds
        hidden.add(DeleteRange(Scan(EVENTS_BY_MOB, ("m",), after, before)))
        removed.append((-1 if after is None else after, 99 if before is None else before))
        gone = {n for n in range(50) if any(start < n < stop for start, stop in removed)}
        rows = [EventRow(n, "m", "", "", "", "") for n in range(50)]
        assert hidden.visible(rows) == [row for row in rows if row.cursor not in gone]
        assert not hidden.has(EventRow(0, "other", "", "", "", ""))
        for start, stop in filter(lambda one: one[0] < one[1], removed):
            assert hidden.has_all(Scan(EVENTS_BY_MOB, ("m",), start, stop))
        start, stop = sorted(chance.sample(range(50), 2))
        if hidden.has_all(Scan(EVENTS_BY_MOB, ("m",), start, stop)):
            assert set(range(start + 1, stop)) <= gone


class Value(int):
    """A number that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: object) -> bool:
        Value.compared += 1
        return int(self) < cast("int", other)

    def __gt__(self, other: object) -> bool:
        Value.compared += 1
        return int(self) > cast("int", other)


def test_many_removed_ranges_cost_a_row_no_more_than_few() -> None:
    def compared(count: int, step: int) -> int:
        hidden = HiddenRows(EVENTS)
        for n in range(0, step * count, step):
            hidden.add(DeleteRange(Scan(EVENTS, after=n, before=n + 2)))
        Value.compared = 0
        hidden.has(EventRow(Value(step * count // 2), "m", "", "", "", ""))
        return Value.compared

    assert compared(1000, 1) <= 4, "one range"
    assert 0 < compared(1000, 3) <= 30, "each apart"
