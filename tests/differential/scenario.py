"""Random scripts, run concurrently on the engines of one store, and records of the calls."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from differential.choices import Pool
from differential.model import AllRows
from differential.scripts import FailError, Run, StopError, Style, Writer
from mobstore.errors import WriteFailedError
from mobstore.scripts.atomic import Outcome, atomic_script
from mobstore.scripts.tables import TABLES
from mobstore.scripts.transaction import Commit, Engine, LoadingScript, Scan, Script

T = TypeVar("T")
Way: TypeAlias = Literal["read", "write", "load", "atomic"]
Status: TypeAlias = Literal["returned", "raised", "clashed", "cancelled"]

_WAYS: dict[Way, int] = {"read": 30, "write": 50, "atomic": 15}
_WRITING: dict[Style, int] = {
    "write": 80, "read": 12, "glance": 3, "stop": 7, "stop first": 3, "blind": 12, "batch": 3,
}  # fmt: skip
_STYLES: dict[Way, dict[Style, int]] = {
    "read": {"read": 70, "glance": 20, "stop": 4, "stop first": 3, "fail": 2},
    "write": {**_WRITING, "fail": 3, "clash": 7},
    "atomic": {**_WRITING, "clash": 1},
    "load": {"write": 70, "stop": 20, "fail": 10},
}
# The sequence's number before the first script; engines store some numbers in another form.
_FIRSTS = (0, 2**53 - 30, 2**63 - 5000)


@dataclass
class Record:
    """One call of an engine.

    Attributes:
        name: of the script, or the start of the names of several in one atomic call.
        way: how the engine was called.
        styles: of the script or scripts.
        place: where it was called; times of one place can be compared.
        started: the time of the call.
        ended: the time when it returned or raised; None if it was cancelled.
        runs: the traces of each run of the script.
        run: the run that the engine reports as committed.
        status: how it ended.
        message: of the error.
    """

    name: str
    way: Way
    styles: list[Style]
    place: int = 0
    started: int = 0
    ended: int | None = None
    runs: list[Run] = field(default_factory=list[Run])
    run: Run | None = None
    status: Status = "cancelled"
    message: str = ""


@dataclass(frozen=True)
class Kind:
    """The content of scenarios of one kind.

    Attributes:
        loads: whether there are loading scripts.
        large: whether one batch is very large.
        clients: tasks that call one after the other.
        calls: of each.
    """

    loads: bool = True
    large: bool = False
    clients: int = 6
    calls: int = 16


class Scenario:
    """Calls that a seed determines.

    Args:
        seed: determines all choices.
        kind: the content.
        place: its number, where several processes share one store.
    """

    def __init__(self, seed: int, kind: Kind, place: int = 0) -> None:
        self._chance = Random(f"scenario {seed} {place}")
        self._kind, self._place = kind, place
        self.first: int = Random(seed).choice(_FIRSTS)
        self._writer = Writer(seed, Pool(seed), self.first)
        self._moments = itertools.count(1)
        self._numbers = itertools.count()
        self.records: list[Record] = []

    async def run(self, engines: Sequence[Engine]) -> None:
        """Make all calls and fill `records`."""
        plans = [
            [[self._plan() for _ in range(self._chance.choice((1, 1, 1, 2, 5)))]
             for _ in range(self._kind.calls // 2)]
            for _ in range(self._kind.clients)
        ]  # fmt: skip
        if self._kind.large and self._place == 0:
            large = Record("large", "write", ["large"], self._place)
            plans[0][len(plans[0]) * 2 // 3].append(_Plan(large, 0, None, 0))
        async with asyncio.TaskGroup() as group:
            for plan in plans:
                group.create_task(self._client(plan, engines))

    def _plan(self) -> _Plan:
        chance, kind = self._chance, self._kind
        name = f"{self._place}-{next(self._numbers):03}"
        weights: dict[Way, int] = {**_WAYS, "load": 6 if kind.loads else 0}
        way = _chosen(chance, weights)
        record = Record(name, way, [_chosen(chance, _STYLES[way])], self._place)
        if way == "atomic":
            first: list[Style] = ["read"] if chance.random() < 0.5 else ["write"]
            count = chance.randint(0, 4)
            middle: list[Style] = [_chosen(chance, _STYLES["atomic"]) for _ in range(count)]
            last: list[Style] = ["write", "stop"] if chance.random() < 0.15 else ["write"]
            record.styles = first + middle + last
        cancelled: float | None = None
        if chance.random() < (0.6 if way == "load" else 0.2):
            cancelled = chance.choice((0.0, 1.0, 2.0, 4.0, 7.0, chance.uniform(0, 0.003)))
        return _Plan(record, chance.randrange(16), cancelled, chance.choice((0, 0, 0, 1, 2, 5)))

    async def _client(self, plans: list[list[_Plan]], engines: Sequence[Engine]) -> None:
        for burst in plans:
            async with asyncio.TaskGroup() as group:
                for record, engine, cancelled, pause in burst:
                    for _ in range(pause):
                        await asyncio.sleep(0)
                    self.records.append(record)
                    call = group.create_task(
                        self._call(record, engines[engine % len(engines)], cancelled is not None)
                    )
                    if cancelled is not None:
                        group.create_task(_cancel(call, cancelled))

    async def _call(self, record: Record, engine: Engine, cancellable: bool) -> None:
        record.started = next(self._moments)
        try:
            record.run = await self._engine_call(record, engine)
            record.status = "returned"
        except asyncio.CancelledError:
            if not cancellable:
                raise
            return
        except (StopError, FailError) as error:
            record.status, record.message = "raised", str(error)
        except WriteFailedError as error:
            if " already has a row " not in str(error):
                raise
            record.status, record.message = "clashed", str(error)
        record.ended = next(self._moments)

    async def _engine_call(self, record: Record, engine: Engine) -> Run:
        style, writer = record.styles[0], self._writer

        def make() -> Script[Run]:
            return writer.script(record.name, style, _new_run(record))

        def make_loading() -> LoadingScript[Run]:
            return writer.loading(record.name, style, _new_run(record))

        def make_atomic() -> Script[Outcome[Run]]:
            run = _new_run(record)
            work = self._atomic(record, run)
            return atomic_script(work, _itself, copy_context())

        if record.way == "read":
            return await engine.read(make)
        if record.way == "load":
            return await engine.load(make_loading)
        if record.way == "atomic":
            return (await engine.write(make_atomic)).get()
        return await engine.write(make)

    def _atomic(self, record: Record, run: Run) -> Callable[[Engine], Any]:
        """Return a function of operations; it continues after scripts that stop, but the last."""

        async def work(engine: Engine) -> Run:
            for number, style in enumerate(record.styles):
                name, last = f"{record.name}.{number}", number == len(record.styles) - 1

                def make(name: str = name, style: Style = style) -> Script[Run]:
                    return self._writer.script(name, style, run)

                try:
                    await engine.write(make)
                except StopError:
                    if last:
                        raise
            return run

        return work


class _Plan(NamedTuple):
    """One planned call.

    Attributes:
        record: of the call.
        engine: chooses one.
        cancelled: after how many turns of the event loop, or after which part of a second.
        pause: turns of the event loop before it.
    """

    record: Record
    engine: int
    cancelled: float | None
    pause: int


def _chosen(chance: Random, weights: Mapping[T, int]) -> T:
    return chance.choices(list(weights), list(weights.values()))[0]


def _new_run(record: Record) -> Run:
    record.runs.append([])
    return record.runs[-1]


def _itself(engine: Engine) -> Engine:
    return engine


async def _cancel(task: asyncio.Task[None], after: float) -> None:
    """Cancel a task after some turns of the event loop, or after part of a second."""
    if after.is_integer():
        for _ in range(int(after)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(after)
    task.cancel()


async def rows_of(engine: Engine) -> AllRows:
    """Return all rows of a store, by table and index."""
    indexes = [index for table in TABLES for index in (table, *table.indexes)]

    def script() -> Script[AllRows]:
        answers = yield tuple(Scan(index) for index in indexes)
        return Commit({
            (index.table.name, index.name): list(rows)
            for index, rows in zip(indexes, answers, strict=True)
        })  # fmt: skip

    return await engine.read(script)
