"""Operations over pending writes read the same as if these were committed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mobstore.engines.memory import MemoryEngine
from mobstore.scripts import hidden_rows
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.overlay import Overlay
from mobstore.scripts.tables import (
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    SPECS,
    Index,
    LoopStepOutputRow as Output,
    SpecRow,
)
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    Delete,
    DeleteRange,
    Get,
    Put,
    Read,
    Scan,
    Script,
    Write,
    drive,
)

INDEXES: tuple[Index[Output], ...] = (LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS_BY_POSITION)


def a_row(chance: random.Random) -> Output:
    step = chance.choice("abc")
    place = chance.randrange(6)
    return Output(
        "run", chance.choice("lm"), chance.randrange(3), step, place, f"{chance.random()}"
    )


def a_scan(chance: random.Random, *, limited: bool, given: int = 0) -> Scan[Output]:
    index = chance.choice(INDEXES)
    values = index.table.getter(index.sorted_by)(a_row(chance))
    given = chance.randrange(given, len(values) + 1)
    bounds: list[Any] = [None, None]
    for n in range(2):
        if given < len(values) and chance.random() < 0.3:
            bounds[n] = values[given]
    limit = chance.choice((None, 0, 1, 2, 5)) if limited else None
    backwards = limited and chance.random() < 0.4
    return Scan(index, values[:given], bounds[0], bounds[1], limit, backwards)


def a_read(chance: random.Random) -> Read:
    kind = chance.randrange(3)
    if kind == 0:
        return Get(
            LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS.getter(LOOP_STEP_OUTPUTS.key)(a_row(chance))
        )
    return Count(a_scan(chance, limited=False)) if kind == 1 else a_scan(chance, limited=True)


def again(chance: random.Random, read: Read) -> Read:
    """Return a read, or one that starts where it starts, with another limit or end."""
    if not isinstance(read, Scan) or chance.random() < 0.5:
        return read
    given, limit = len(read.prefix), chance.choice((None, 0, 1, 2, 5))
    if given == len(read.index.sorted_by):
        return replace(read, limit=limit)
    column = read.index.sorted_by[given]
    end = chance.choice((None, getattr(a_row(chance), column)))
    if read.backwards:
        return replace(read, limit=limit, after=end)
    return replace(read, limit=limit, before=end)


def a_write(chance: random.Random) -> Write:
    kind = chance.randrange(6)
    if kind == 5:  # always new
        new = a_row(chance)._replace(step_id=f"new {chance.random()}")
        return Add(LOOP_STEP_OUTPUTS, (new,))
    if kind == 0:
        narrow = chance.random() < 0.9  # others leave few stored rows visible
        return DeleteRange(a_scan(chance, limited=False, given=3 if narrow else 0))
    if kind == 1:
        row = a_row(chance)
        return Delete(LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS.getter(LOOP_STEP_OUTPUTS.key)(row))
    return Put(LOOP_STEP_OUTPUTS, tuple(a_row(chance) for _ in range(chance.randrange(1, 4))))


def asking(reads: Sequence[Read], writes: Sequence[Write] = ()) -> Script[tuple[Any, ...]]:
    answers = yield tuple(reads)
    return Commit(answers, tuple(writes))


def over(scripts: Sequence[Script[Any]]) -> Script[list[Any]]:
    overlay = Overlay()
    results: list[Any] = []
    for script in scripts:
        commit = yield from overlay.run(script)
        results.append(commit.result)
    return Commit(results, tuple(overlay.writes))


def in_order(answer: Any, read: Read) -> Any:
    """Return the answer with tied rows sorted, since their order is unspecified."""
    if not isinstance(read, Scan):
        return answer
    ordering = read.index.table.getter(read.index.sorted_by[len(read.prefix) :])
    assert list(map(ordering, answer)) == sorted(map(ordering, answer), reverse=read.backwards)
    return sorted(answer) if read.limit is None else sorted(map(ordering, answer))


@pytest.mark.parametrize("more", [1, 16])
@pytest.mark.parametrize("seed", range(60))
def test_an_overlay_answers_as_the_store_would(
    seed: int, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scans repeat over rows that tie, are removed, and come back; further reads may be short."""
    monkeypatch.setattr(hidden_rows, "_MORE", more)
    chance = random.Random(seed)
    first = [a_write(chance) for _ in range(chance.choice((6, 40)))]
    known = [a_read(chance) for _ in range(6)]
    steps: list[tuple[list[Read], list[Write]]] = []
    for _ in range(40):
        reads = [a_read(chance), *(again(chance, chance.choice(known)) for _ in range(3))]
        whole = [replace(read, limit=None) for read in reads if isinstance(read, Scan)]
        steps.append(([*reads, *whole], [a_write(chance) for _ in range(chance.randrange(3))]))

    async def check() -> None:
        made, pending = MemoryEngine(), MemoryEngine()
        for engine in (made, pending):
            await engine.write(lambda: asking((), first))
        wanted = [await made.write(partial(asking, *one)) for one in steps]
        got = await pending.write(lambda: over([asking(*one) for one in steps]))
        for (reads, _), want, have in zip(steps, wanted, got, strict=True):
            for read, one, other in zip(reads, want, have, strict=True):
                assert in_order(other, read) == in_order(one, read), read
            whole = iter(have[4:])
            for read, other in zip(reads[:4], have, strict=False):
                if isinstance(read, Scan):
                    assert len(set(other)) == len(other)
                    assert set(other) <= set(next(whole)), "rows that the store has"
        everything = Scan(LOOP_STEP_OUTPUTS)
        ends = [await engine.read(lambda: asking((everything,))) for engine in (made, pending)]
        assert ends[0] == ends[1]

    asyncio.run(check())


class Reader:
    """A runner of scripts over pending writes; it counts the rows of the store's answers."""

    def __init__(self, *stored: Output) -> None:
        self.overlay = Overlay()
        self.asked: list[Read] = []
        self.rows = 0
        self._store = MemoryTables()
        self._store.write((Put(LOOP_STEP_OUTPUTS, stored),))

    def __call__(self, *reads: Read, then: Sequence[Write] = ()) -> tuple[Any, ...]:
        """Return the answers; `asked` holds the reads of the store, `rows` counts its rows."""
        self.asked, self.rows = [], 0
        return drive(self.overlay.run(asking(reads, then)), self._answer, lambda: "").result

    def _answer(self, read: Read) -> object:
        self.asked.append(read)
        answer: Any = self._store.answer(read)
        self.rows += len(answer) if isinstance(read, Scan) else 1
        return answer


def outputs(run: str, count: int, loop: str = "l") -> list[Output]:
    return [Output(run, loop, n, "s", 0, "1") for n in range(count)]


LAST = Scan(LOOP_STEP_OUTPUTS, ("run", "l"), limit=1, backwards=True)


def test_what_is_not_pending_is_asked_as_it_is() -> None:
    ask, scan = Reader(*outputs("run", 5)), Scan(LOOP_STEP_OUTPUTS, ("run",), limit=2)
    ask(scan, then=(Put(SPECS, (SpecRow("m", 1, "{}"),)),))
    assert ask.asked == [scan]
    ask(scan)
    assert ask.asked == [scan], "rows of another table do not matter"
    row = SpecRow("m", 1, "{}")
    assert ask(Get(SPECS, ("m",)), scan) == (row, outputs("run", 2))
    assert ask.asked == [scan], "nor do they where both tables are read"


def test_no_more_is_asked_for_pending_rows() -> None:
    ask = Reader(*outputs("run", 5))
    ask(then=(Add(LOOP_STEP_OUTPUTS, [Output("run", "l", n, "s", 0, "2") for n in range(5, 99)]),))
    ((last,),) = ask(LAST)
    assert last.iteration == 98
    assert ask.asked == [LAST]
    assert ask(Count(Scan(LOOP_STEP_OUTPUTS, ("run",)))) == (99,)
    assert ask.rows == 1, "the store counts its own"
    assert ask(Get(LOOP_STEP_OUTPUTS, ("run", "l", 7, "s"))) == (
        Output("run", "l", 7, "s", 0, "2"),
    )
    assert not ask.asked, "the row is known"


def test_more_is_asked_only_where_what_came_is_hidden() -> None:
    ask, stored = Reader(*outputs("run", 100)), outputs("run", 100)
    gone = [Delete(LOOP_STEP_OUTPUTS, ("run", "l", n, "s")) for n in range(90, 100)]
    first = Scan(LOOP_STEP_OUTPUTS, ("run",), limit=3)
    ask(then=gone)
    assert ask(first) == (stored[:3],)
    assert ask.asked == [first]
    assert ask(LAST) == ([stored[89]],)
    assert ask.rows < 25
    assert ask(Get(LOOP_STEP_OUTPUTS, ("run", "l", 95, "s"))) == (None,)
    assert not ask.asked


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_a_limit_that_ends_at_a_pending_row(limit: int) -> None:
    ask, stored = Reader(*outputs("run", 4)), outputs("run", 4)
    put = stored[1]._replace(output="2")
    ask(then=(Put(LOOP_STEP_OUTPUTS, (put,)),))
    want = [stored[0], put, stored[2], stored[3]]
    scan = Scan(LOOP_STEP_OUTPUTS, ("run",), limit=limit)
    assert ask(scan) == (want[:limit],)
    assert ask(replace(scan, backwards=True)) == (want[::-1][:limit],)


def test_a_removed_range_costs_the_others_nothing() -> None:
    ask = Reader(*outputs("other", 1000), *outputs("run", 1000))
    ask(then=[DeleteRange(Scan(LOOP_STEP_OUTPUTS, (f"{n}",))) for n in range(500)])
    ask(then=(DeleteRange(Scan(LOOP_STEP_OUTPUTS, ("other",))),))
    ask(LAST)
    assert (ask.asked, ask.rows) == ([LAST], 1)


def test_of_a_range_that_is_removed_nothing_is_asked() -> None:
    ask = Reader(*outputs("run", 1000), *outputs("run", 9, "m"))
    ask(then=(DeleteRange(Scan(LOOP_STEP_OUTPUTS, ("run", "l"))),))
    back = outputs("run", 1)[0]
    ask(then=(Add(LOOP_STEP_OUTPUTS, (back,)),))
    about = ("run", "l", 0)
    answers = ask(
        LAST,
        Count(Scan(LOOP_STEP_OUTPUTS, ("run", "l"))),
        Scan(LOOP_STEP_OUTPUTS, ("run", "l"), after=0),
        Scan(LOOP_STEP_OUTPUTS_BY_POSITION, about),
        Get(LOOP_STEP_OUTPUTS, (*about, "s")),
        Get(LOOP_STEP_OUTPUTS, ("run", "l", 1, "s")),
    )
    assert answers == ([back], 1, [], [back], back, None)
    assert not ask.asked
    bounded = Scan(LOOP_STEP_OUTPUTS, ("run", "m"), before=5)
    ask(then=(DeleteRange(bounded),))
    assert ask(Count(bounded), Scan(LOOP_STEP_OUTPUTS, ("run", "m"), before=3, limit=1)) == (0, [])
    assert not ask.asked
    (left,) = ask(Scan(LOOP_STEP_OUTPUTS, ("run", "m")))
    assert [row.iteration for row in left] == [5, 6, 7, 8]


def test_what_is_hidden_stays_hidden() -> None:
    """A stored row stays hidden when its replacement is removed by other values."""
    ask, (stored,) = Reader(*outputs("run", 1)), outputs("run", 1)
    by_place = Scan(LOOP_STEP_OUTPUTS_BY_POSITION, ("run", "l", 0), after=5)
    ask(then=(Put(LOOP_STEP_OUTPUTS, (stored._replace(position=7),)),))
    ask(then=(DeleteRange(by_place),))
    assert ask(Scan(LOOP_STEP_OUTPUTS, ("run",)), Get(LOOP_STEP_OUTPUTS, stored[:4])) == ([], None)
