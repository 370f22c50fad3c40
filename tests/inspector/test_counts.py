"""Counts by mob: bounded scripts, few full counts, and exact numbers in the end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from inspector import Inspector
from mobstore import MobId, MobReset, NewMobEvent
from mobstore.scripts.tables import (
    EVENTS,
    REALM_PROFILES,
    RUNS,
    SPECS,
    EventRow,
    RealmProfileRow,
    RunRow,
    SpecRow,
    Table,
)
from mobstore.scripts.transaction import Add, Commit, Count, Delete, Scan, Script, ScriptPart, Write
from support.pages import Page

T = TypeVar("T")

AT = "2026-01-01T00:00:00.000000000Z"


async def write(page: Page, *writes: Write) -> None:
    """Change the store without any checks."""

    def script() -> Script[None]:
        yield ()
        return Commit(None, writes)

    await page.stores.engine.write(script)


def add(page: Page, table: Table[Any], rows: Sequence[Any]) -> None:
    page.run(write(page, Add(table, rows)))


def remove(page: Page, table: Table[Any], *keys: str | int) -> None:
    page.run(write(page, *(Delete(table, (key,)) for key in keys)))


def event(cursor: int, mob: str, at: str = AT) -> EventRow:
    return EventRow(cursor, mob, at, "mob_reset", "", '{"type":"mob_reset"}')


def a_run(number: int, mob: str) -> RunRow:
    return RunRow(f"run-{number}", number, mob, "f", "pending", "null", AT, "", 0)


def counted(page: Page, of: str = "events") -> dict[str, int]:
    """Return the counts of mobs that have some."""
    found = page.ask("overview")
    counts = {mob["mob_id"]: mob[of] for mob in found["mobs"] if mob[of]}
    assert found[of] == sum(counts.values())
    return counts


class Reads(list[tuple[int, int, int]]):
    """For each script that was run: the rows it read, its counts, and the rows these counted."""

    before: Callable[[], Awaitable[None]] | None = None
    """Called before each script."""

    def record(self, script: Script[T]) -> Script[T]:
        rows = counts = found = 0

        def watched() -> ScriptPart[Commit[T]]:
            nonlocal rows, counts, found
            asked = next(script)
            try:
                while True:
                    answers = yield asked
                    for one, answer in zip(asked, answers, strict=True):
                        if isinstance(one, Count):
                            counts, found = counts + 1, found + answer
                        else:
                            rows += len(answer) if isinstance(one, Scan) else 1
                    asked = script.send(answers)
            except StopIteration as end:
                self.append((rows, counts, found))
                return cast("Commit[T]", end.value)

        return watched()


@pytest.fixture
def reads(page: Page, monkeypatch: pytest.MonkeyPatch) -> Reads:
    reads = Reads()
    read = page.stores.engine.read

    async def recorded(make: Callable[[], Script[Any]]) -> Any:
        if reads.before:
            await reads.before()
        return await read(lambda: reads.record(make()))

    monkeypatch.setattr(page.stores.engine, "read", recorded)
    return reads


class Clock:
    """A clock in which each reading takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("inspector.counts.monotonic", clock)
    return clock


@pytest.mark.slow
@pytest.mark.parametrize("mobs", [1, 50, 1500])
def test_each_script_reads_a_bounded_part(page: Page, reads: Reads, mobs: int) -> None:
    names = [f"mob-{n % mobs:04}" for n in range(60_000)]
    add(page, EVENTS, [event(n, mob) for n, mob in enumerate(names, 1)])
    add(page, RUNS, [a_run(n, mob) for n, mob in enumerate(names[:20_000], 1)])
    add(page, SPECS, [SpecRow(f"mob-{n:04}", 1, "{}") for n in range(1600)])
    add(page, REALM_PROFILES, [RealmProfileRow(f"{n}", 1, "{}", AT, AT) for n in range(1200)])
    assert counted(page) == Counter(names)
    assert counted(page, "runs") == Counter(names[:20_000])
    add(page, EVENTS, [event(n, "new") for n in range(60_001, 62_001)])
    assert counted(page)["new"] == 2000
    rows, counts, found = (max(column) for column in zip(*reads, strict=True))
    assert rows <= 501
    assert counts <= 100
    assert found <= 20_000


@pytest.mark.parametrize("seed", range(8))
def test_counts_beside_a_writer(
    page: Page, reads: Reads, clock: Clock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Check any distribution, cut into any parts, with events that come between the parts."""
    by_chance = random.Random(seed)
    for name, most in {
        "_COUNTS_AT_ONCE": 5, "_COUNTED_AT_ONCE": 8, "_ROWS_AT_ONCE": 5, "_MOST_NEW": 30,
    }.items():  # fmt: skip
        monkeypatch.setattr(f"inspector.counts.{name}", by_chance.randint(1, most))
    expected: Counter[str] = Counter()
    last = 0

    async def append(most: int) -> None:
        nonlocal last
        rows: list[EventRow] = []
        for _ in range(by_chance.randint(0, most)):
            mob = by_chance.choice(["", "a", "b", *(f"rare-{n}" for n in range(9))])
            for _ in range(by_chance.randint(1, 6)):
                last += by_chance.choice([1, 1, 1, 9])
                rows.append(event(last, mob))
        expected.update(row.mob_id for row in rows)
        await write(page, Add(EVENTS, rows))

    page.run(append(25))
    for _ in range(6):
        reads.before = partial(append, 1)
        counted(page)
        reads.before = None
        assert counted(page) == expected
        page.run(append(9))
        clock.now += by_chance.choice([0, 0, 10_000])


@pytest.mark.usefixtures("clock")
def test_a_small_table_is_counted_each_time(page: Page) -> None:
    add(page, EVENTS, [event(n, "m") for n in range(1, 4)])
    add(page, RUNS, [a_run(1, "m"), a_run(2, "m")])
    assert counted(page) == {"m": 3}
    remove(page, EVENTS, 2)
    remove(page, RUNS, "run-1")
    assert (counted(page), counted(page, "runs")) == ({"m": 2}, {"m": 1})


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of one mob each."""
    monkeypatch.setattr("inspector.counts._COUNTS_AT_ONCE", 1)


@pytest.mark.usefixtures("in_parts")
def test_only_new_rows_are_read_until_a_full_count_is_due(
    page: Page, reads: Reads, clock: Clock
) -> None:
    add(page, EVENTS, [event(n, f"m{n % 3}") for n in range(1, 31)])
    assert counted(page) == {"m0": 10, "m1": 10, "m2": 10}
    remove(page, EVENTS, 1, 5, 8)
    add(page, EVENTS, [event(31, "m0")])
    reads.clear()
    assert counted(page) == {"m0": 11, "m1": 10, "m2": 10}  # as far as new events tell
    assert not any(counts for _, counts, _ in reads)
    clock.now += 1000
    assert counted(page) == {"m0": 11, "m1": 9, "m2": 8}


@pytest.mark.usefixtures("in_parts", "clock")
def test_another_log_is_counted_at_once(page: Page) -> None:
    add(page, EVENTS, [event(n, f"m{n % 3}") for n in range(1, 31)])
    counted(page)
    page.ask("erase")
    assert counted(page) == {}
    add(page, EVENTS, [event(n, f"m{n % 3}") for n in range(1, 31)])
    counted(page)
    page.ask("erase")
    add(page, EVENTS, [event(n, "other", AT.replace("6", "7")) for n in range(1, 41)])
    assert counted(page) == {"other": 40}
    page.run(page.stores.events.clear())
    page.run(page.stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset())))
    assert counted(page) == {"m": 1}


@pytest.mark.usefixtures("in_parts")
def test_the_page_is_notified_when_a_full_count_is_due(tmp_path: Path) -> None:
    """Otherwise it would show removed events until the next commit."""

    async def check() -> None:
        changed = asyncio.Event()
        inspector = Inspector(changed.set)
        await inspector.open(f"sqlite:{tmp_path}/mobs.db")
        events = [NewMobEvent(mob_id=MobId(f"m{n % 3}"), kind=MobReset()) for n in range(30)]
        await inspector.stores.events.append_batch(events)
        await inspector.overview()
        await inspector.stores.events.prune(before_cursor=11)
        while (await inspector.overview())["events"] != 20:
            changed.clear()
            await asyncio.wait_for(changed.wait(), 20)
        changed.clear()
        await inspector.close()

    asyncio.run(check())
