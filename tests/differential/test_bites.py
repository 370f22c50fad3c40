"""Engines that are each wrong in one way are detected within a few scenarios."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeGuard, TypeVar, cast

import pytest

from contract import broken
from differential.checking import DifferenceError, check
from differential.scenario import Kind, Scenario, rows_of
from mobstore.engines.memory import MemoryEngine
from mobstore.scripts.tables import COUNTERS, Row, Value
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
)

T = TypeVar("T")

SCENARIOS = 12


class Bent(MemoryEngine):
    """An engine that can change questions, answers and writes; this one changes nothing."""

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await super().read(lambda: self._bent(make()))

    async def write(self, make: Callable[[], Script[T]]) -> T:
        return await super().write(lambda: self._bent(make()))

    def _bent(self, script: Script[T]) -> Script[T]:
        try:
            asked = next(script)
            while True:
                answers = yield tuple(map(self.ask, asked))
                asked = script.send(tuple(map(self.answer, asked, answers)))
        except StopIteration as end:
            commit = cast("Commit[T]", end.value)
            return commit._replace(writes=tuple(self.write_instead(commit.writes)))
        finally:
            script.close()

    def ask(self, read: Read) -> Read:
        return read

    def answer(self, read: Read, answer: Any) -> Any:  # noqa: ARG002
        return answer

    def write_instead(self, writes: Sequence[Write]) -> Sequence[Write]:
        return writes


def _is_scan(read: Read) -> TypeGuard[Scan[Any]]:
    return isinstance(read, Scan) and read.index.table is not COUNTERS


def _with_values(row: Row, of: Callable[[Value], Value]) -> Row:
    return cast("Row", cast("Any", type(row))(*map(of, row)))


class InexactNumbers(Bent):
    """An engine that keeps numbers as JavaScript does."""

    def answer(self, read: Read, answer: Any) -> Any:
        if not _is_scan(read):
            return answer
        return [
            _with_values(row, lambda v: v if isinstance(v, str) else int(float(v)))
            for row in answer
        ]


class OrderByUtf16(Bent):
    """An engine that orders text by its UTF-16 code units."""

    def answer(self, read: Read, answer: Any) -> Any:
        if not _is_scan(read):
            return answer
        values = read.index.table.getter(read.index.sorted_by)

        def order(row: Row) -> tuple[object, ...]:
            return tuple(v.encode("utf-16-be") if isinstance(v, str) else v for v in values(row))

        return sorted(answer, key=order, reverse=read.backwards)


class InclusiveBounds(Bent):
    """An engine whose `after` includes the value itself."""

    def ask(self, read: Read) -> Read:
        if isinstance(read, Scan) and isinstance(read.after, int) and read.after > 0:
            return replace(read, after=read.after - 1)
        return read


class LimitFirst(Bent):
    """An engine that counts the limit from the first row, also backwards."""

    def ask(self, read: Read) -> Read:
        if isinstance(read, Scan) and read.backwards:
            return replace(read, backwards=False)
        return read

    def answer(self, read: Read, answer: Any) -> Any:
        return answer[::-1] if isinstance(read, Scan) and read.backwards else answer


class NoLimit(Bent):
    """An engine that ignores a limit of 0."""

    def ask(self, read: Read) -> Read:
        if isinstance(read, Scan) and read.limit == 0:
            return replace(read, limit=None)
        return read


class ShortPrefix(Bent):
    """An engine that ignores values of a prefix beyond the index's own."""

    def ask(self, read: Read) -> Read:
        if isinstance(read, Scan) and read.after is None and read.before is None:
            return replace(read, prefix=read.prefix[: len(read.index.prefix)])
        return read


class CountsBounds(Bent):
    """An engine that counts rows without their bounds."""

    def ask(self, read: Read) -> Read:
        return Count(replace(read.scan, before=None)) if isinstance(read, Count) else read


class CutText(Bent):
    """An engine that cuts text at NUL."""

    def answer(self, read: Read, answer: Any) -> Any:
        if not _is_scan(read):
            return answer
        return [
            _with_values(row, lambda v: v if isinstance(v, int) else v.split("\0")[0])
            for row in answer
        ]


class AddsOver(Bent):
    """An engine that replaces rows where new ones are added."""

    def write_instead(self, writes: Sequence[Write]) -> Sequence[Write]:
        return [Put(one.table, one.rows) if isinstance(one, Add) else one for one in writes]


class PutsFirst(Bent):
    """An engine that deletes last, so that rows put after a deletion are lost."""

    def write_instead(self, writes: Sequence[Write]) -> Sequence[Write]:
        return sorted(writes, key=lambda one: isinstance(one, (Delete, DeleteRange)))


class FirstRow(Bent):
    """An engine that writes only the first 256 rows."""

    def write_instead(self, writes: Sequence[Write]) -> Sequence[Write]:
        return [Put(w.table, w.rows[:256]) if isinstance(w, Put) else w for w in writes]


class EachRoundAnew(Bent):
    """An engine that answers each round of a reading script from the latest state."""

    async def read(self, make: Callable[[], Script[T]]) -> T:
        script = make()
        try:
            asked = next(script)
            while True:
                answers = await MemoryEngine.read(self, partial(_asking, asked))
                await asyncio.sleep(0)
                asked = script.send(answers)
        except StopIteration as end:
            return cast("Commit[T]", end.value).result
        finally:
            script.close()


def _asking(reads: tuple[Read, ...]) -> Script[tuple[Any, ...]]:
    answers = yield reads
    return Commit(answers)


class Late(Bent):
    """An engine whose reading scripts see all but the last commit."""

    def __init__(self) -> None:
        super().__init__()
        self._visible = MemoryEngine()
        self._waiting: Sequence[Write] = ()

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await self._visible.read(make)

    def write_instead(self, writes: Sequence[Write]) -> Sequence[Write]:
        if writes:
            waiting, self._waiting = self._waiting, writes
            self._visible._apply(Commit(None, tuple(waiting)))
        return writes


class KnownRows(Bent):
    """An engine that answers by key from earlier reads."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Any, Any] = {}

    def answer(self, read: Read, answer: Any) -> Any:
        if not isinstance(read, Get):
            return answer
        return (
            answer
            if read.table is COUNTERS
            else self._known.setdefault((read.table, read.key), answer)
        )


BROKEN: list[type[MemoryEngine]] = [
    broken.LostUpdate,
    broken.HalfVisible,
    broken.LoadsInPart,
    *Bent.__subclasses__(),
]


async def run(engine: type[MemoryEngine]) -> None:
    for seed in range(1, SCENARIOS + 1):
        scenario, opened = Scenario(seed, Kind()), engine()
        start = await rows_of(opened)
        await scenario.run([opened])
        check(scenario.records, start, await rows_of(opened), scenario.first)


@pytest.mark.slow
def test_finds_nothing() -> None:
    asyncio.run(run(Bent))


@pytest.mark.slow
@pytest.mark.parametrize("engine", BROKEN, ids=lambda engine: engine.__name__)
def test_finds(engine: type[MemoryEngine]) -> None:
    with pytest.raises(DifferenceError):
        asyncio.run(run(engine))
