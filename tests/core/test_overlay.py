"""Operations over pending writes see exactly what they would see if those were made."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import pytest

from mobstore.atomic.overlay import Overlay
from mobstore.engines.memory import MemoryEngine
from mobstore.tables import (
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    SPECS,
    Index,
    SpecRow,
)
from mobstore.tables import LoopStepOutputRow as Output
from mobstore.transaction import (
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
)

INDEXES: tuple[Index[Output], ...] = (LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS_BY_POSITION)


def a_row(chance: random.Random) -> Output:
    step = chance.choice("abc")
    place = chance.randrange(6)
    return Output(
        "run", chance.choice("lm"), chance.randrange(3), step, place, f"{chance.random()}"
    )


def a_scan(chance: random.Random, *, limited: bool) -> Scan[Output]:
    index = chance.choice(INDEXES)
    values = index.table.getter(index.sorted_by)(a_row(chance))
    given = chance.randrange(len(values) + 1)
    bounds: list[Any] = [None, None]
    for n in range(2):
        if given < len(values) and chance.random() < 0.3:
            bounds[n] = values[given]
    limit = chance.choice((None, 0, 1, 2, 5)) if limited else None
    backwards = limited and chance.random() < 0.4
    return Scan(index, values[:given], bounds[0], bounds[1], limit, backwards)


def a_read(chance: random.Random) -> Read[Any]:
    kind = chance.randrange(3)
    if kind == 0:
        return Get(
            LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS.getter(LOOP_STEP_OUTPUTS.key)(a_row(chance))
        )
    return Count(a_scan(chance, limited=False)) if kind == 1 else a_scan(chance, limited=True)


def a_write(chance: random.Random) -> Write:
    kind = chance.randrange(5)
    if kind == 0:
        return DeleteRange(a_scan(chance, limited=False))
    if kind == 1:
        row = a_row(chance)
        return Delete(LOOP_STEP_OUTPUTS, LOOP_STEP_OUTPUTS.getter(LOOP_STEP_OUTPUTS.key)(row))
    return Put(LOOP_STEP_OUTPUTS, tuple(a_row(chance) for _ in range(chance.randrange(1, 4))))


def asking(reads: Sequence[Read[Any]], writes: Sequence[Write] = ()) -> Script[tuple[Any, ...]]:
    answers = yield tuple(reads)
    return Commit(answers, tuple(writes))


def over(scripts: Sequence[Script[Any]]) -> Script[list[Any]]:
    overlay = Overlay()
    results: list[Any] = []
    for script in scripts:
        commit = yield from overlay.run(script)
        results.append(commit.result)
    return Commit(results, tuple(overlay.writes))


def in_order(answer: Any, read: Read[Any]) -> Any:
    """The answer, with rows that tie in one order: the contract names none."""
    if not isinstance(read, Scan):
        return answer
    scan = cast("Scan[Any]", read)
    ordering = scan.index.table.getter(scan.index.sorted_by[len(scan.prefix) :])
    assert list(map(ordering, answer)) == sorted(map(ordering, answer), reverse=scan.backwards)
    return sorted(answer) if scan.limit is None else sorted(map(ordering, answer))


@pytest.mark.parametrize("seed", range(60))
def test_an_overlay_answers_as_the_store_would(seed: int) -> None:
    chance = random.Random(seed)
    first = [a_write(chance) for _ in range(6)]
    steps = [
        ([a_read(chance) for _ in range(4)], [a_write(chance) for _ in range(chance.randrange(3))])
        for _ in range(25)
    ]

    async def check() -> None:
        made, pending = MemoryEngine(), MemoryEngine()
        for engine in (made, pending):
            await engine.write(lambda: asking((), first))
        wanted = [await made.write(partial(asking, *one)) for one in steps]
        got = await pending.write(lambda: over([asking(*one) for one in steps]))
        for (reads, _), want, have in zip(steps, wanted, got, strict=True):
            for read, one, other in zip(reads, want, have, strict=True):
                assert in_order(other, read) == in_order(one, read), read
        everything = Scan(LOOP_STEP_OUTPUTS)
        whole = [await engine.read(lambda: asking((everything,))) for engine in (made, pending)]
        assert whole[0] == whole[1]

    asyncio.run(check())


def test_what_is_not_pending_is_asked_as_it_is() -> None:
    overlay = Overlay()
    scan = Scan(LOOP_STEP_OUTPUTS, ("run",), limit=2)

    def asked(script: Script[Any], answers: tuple[Any, ...]) -> tuple[Any, ...]:
        running = overlay.run(script)
        reads = next(running)
        with pytest.raises(StopIteration):
            running.send(answers)
        return reads

    assert asked(asking((scan,), (Put(SPECS, (SpecRow("m", 1, "{}"),)),)), ([],)) == (scan,)
    assert asked(asking((scan,)), ([],)) == (scan,), "rows of another table do not matter"
    put = Put(LOOP_STEP_OUTPUTS, (Output("run", "l", 0, "s", 0, "1"),))
    assert asked(asking((scan,), (put,)), ([],)) == (scan,)
    (widened,) = asked(asking((scan,)), ([],))
    assert widened == Scan(LOOP_STEP_OUTPUTS, ("run",), limit=3), "one of them may be replaced"
