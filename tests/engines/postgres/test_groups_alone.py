"""Without a server: writes are merged without another effect, groups of scripts are sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import pytest

from differential.choices import Choices, Pool
from differential.model import Clash, Model, show
from differential.scripts import FailError
from engines.postgres import broken
from mobstore.engines.clock import machine_time
from mobstore.engines.postgres.jobs import Job, run_together
from mobstore.engines.postgres.merging import DeleteKeys, Merged, merge
from mobstore.scripts.tables import COUNTERS, EVENTS, TABLES, CounterRow, EventRow, Table
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    Delete,
    Get,
    Now,
    Put,
    Read,
    Scan,
    Script,
    Write,
)


def empty() -> Model:
    return Model({table.name: {} for table in TABLES})


# Merged writes -----------------------------------------------------------------------------------


def random_writes(choices: Choices, number: int) -> list[Write]:
    """Return writes to few rows; some add rows that exist."""
    writes: list[Write] = []
    for _ in range(number):
        writes += choices.writes(3)
        if choices.odds(20):
            writes.append(
                choices.add(table := choices.one(choices.pool.tables), choices.key(table))
            )
        if choices.odds(20):
            table = choices.one(choices.pool.tables)
            writes.append(Delete(table, choices.key(table)))
        for write in writes[-3:]:
            if isinstance(write, (Add, Put)):
                choices.seen += [(write.table, row) for row in write.rows]
    return writes


def make(state: Model, merged: Iterable[Merged]) -> list[Clash]:
    """Make merged writes; a statement that writes one row twice would fail."""
    clashes: list[Clash] = []
    for write in merged:
        if isinstance(write, (Add, Put)):
            table: Table[Any] = write.table
            keys = [table.getter(table.key)(row) for row in write.rows]
            assert keys
            assert len(set(keys)) == len(keys), "a row is written twice"
        if isinstance(write, DeleteKeys):
            assert len(set(write.keys)) == len(write.keys) > 0
            parts: list[Write] = [Delete(write.table, key) for key in write.keys]
        else:
            parts = [write]
        clashes += state.apply(parts)
    return clashes


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4, 12])
def test_merged_writes_have_the_same_effect(size: int) -> None:
    clashes = 0
    for seed in range(400):
        choices = Choices(Pool(seed), f"merge {seed}")
        start = empty()
        start.apply(choices.writes(8))
        writes = random_writes(choices, size)
        states = [start.copy(), start.copy()]
        expected = states[0].apply(writes)
        found = make(states[1], merge(writes))
        assert set(found[:1]) <= set(expected), f"{seed}: {expected}, {found}"
        assert bool(found) == bool(expected), f"{seed}: {expected}, {found}"
        clashes += bool(expected)
        if not expected:
            assert states[1].tables == states[0].tables, [show(write) for write in writes]
    assert 10 < clashes < 390


def test_appends_become_two_writes() -> None:
    def append(cursor: int) -> list[Write]:
        event = EventRow(cursor, "mob", "t", "type", "", "null")
        return [Add(EVENTS, [event]), Put(COUNTERS, [CounterRow("next_cursor", cursor + 1)])]

    first, second = merge([write for cursor in range(64) for write in append(cursor)])
    assert first == Put(COUNTERS, [CounterRow("next_cursor", 64)])
    assert isinstance(second, Add)
    assert [row.cursor for row in second.rows] == list(range(64))


# Groups ------------------------------------------------------------------------------------------


Trace: TypeAlias = list[tuple[Read, Any]]
"""The reads of a script, and their answers."""


class Group:
    """Random scripts that run together."""

    def __init__(self, seed: int) -> None:
        self._seed, self._pool = seed, Pool(seed)
        self._start = empty()
        self._start.apply(Choices(self._pool, f"start {seed}").writes(12))

    def _script(self, number: int) -> Script[tuple[Trace, tuple[Write, ...]]]:
        choices, trace = Choices(self._pool, f"{self._seed} {number}"), Trace()
        for _ in range(choices.one((0, 1, 1, 2, 3))):
            asked = choices.reads()
            answers = yield tuple(asked)
            trace += zip(asked, answers, strict=True)
            choices.note(asked, answers)
        if choices.odds(15):
            raise FailError(trace)
        writes = tuple(choices.writes())
        return Commit((trace, writes), writes)

    def wrong(self) -> str | None:
        """Run the scripts, and describe what is not as if they ran one after the other."""
        jobs = [Job(partial(self._script, number), cast("Any", None)) for number in range(6)]
        running = run_together(jobs)
        try:
            asked = next(running)
            while True:
                asked = running.send(tuple([answer_of(self._start, read) for read in asked]))
        except StopIteration as end:
            written = cast("Sequence[Write]", end.value)
        state = self._start.copy()
        for job in jobs:
            trace, writes = (job.error.args[0], ()) if job.error else cast("Any", job.result)
            for read, answer in trace:
                if wrong := state.wrong(read, answer):
                    return wrong
            state.apply(writes)
        self._start.apply(written)
        return None if self._start.tables == state.tables else "other rows are written"


def answer_of(state: Model, read: Read) -> Any:
    if isinstance(read, Now):
        return machine_time()
    if isinstance(read, Get):
        return state.tables[read.table.name].get(read.key)
    if isinstance(read, Count):
        return len(state.find(read.scan))
    return state.find(read)[: read.limit]


def wrong_groups(seeds: int) -> list[str]:
    return [wrong for seed in range(seeds) if (wrong := Group(seed).wrong())]


@pytest.mark.slow
def test_a_group_is_a_sequence() -> None:
    assert not wrong_groups(300)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", ["no overlay", "limited scans cut short", "counts asked once", "no restart"]
)
def test_broken_groups_are_noticed(variant: str) -> None:
    with broken.VARIANTS[variant]():
        assert wrong_groups(300)


def test_scripts_that_touch_nothing_in_common_need_one_trip() -> None:
    def swap(name: str) -> Callable[[], Script[int]]:
        def script() -> Script[int]:
            (rows,) = yield (Scan(COUNTERS, (name,)),)
            return Commit(len(rows), (Put(COUNTERS, [CounterRow(name, 1)]),))

        return script

    jobs = [Job(swap(f"{n}"), cast("Any", None)) for n in range(50)]
    running = run_together(jobs)
    asked = next(running)
    assert len(asked) == 50
    with pytest.raises(StopIteration) as end:
        running.send(tuple([[] for _ in asked]))
    assert len(end.value.value) == 50
