"""Random scripts of several rounds, at once on two openings: as if run one after the other.

Each script that writes adds a row to `specs`. A trigger numbers these rows when they are written,
at which time their transaction has all its locks and still holds them. So of two transactions that
touch the same rows, the numbers show which comes first; the order of others does not matter.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import pytest

from differential.choices import Choices, Pool
from differential.model import AllRows, Model, show
from differential.scenario import rows_of
from engines.postgres import broken
from mobstore import WriteFailedError
from mobstore.engines.postgres.locks import STORE, Lock, Locks
from mobstore.scripts.tables import EVENT_KEYS, EVENTS, RUN_CLAIMS, RUNS_BY_NUMBER, SPECS, SpecRow
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    DeleteRange,
    Engine,
    Read,
    Scan,
    Script,
    Write,
)
from mobstore.stores.postgres import PostgresMobStores
from support.postgres.proxy import Moment, Proxy
from support.postgres.server import Server

A = TypeVar("A", bound=Read | Write)


class Kind(NamedTuple):
    """A kind of scenario.

    Attributes:
        openings: how often the store is opened.
        clients: tasks of each opening.
        bursts: how often each task starts some scripts at once.
        at_once: how many scripts.
        broad: whether scripts read and remove rows of several runs, which locks the whole store.
    """

    openings: int
    clients: int
    bursts: int
    at_once: tuple[int, ...]
    broad: int


GROUPS = Kind(openings=2, clients=6, bursts=6, at_once=(1, 2, 5, 9), broad=100)
"""Many scripts in each transaction."""
SINGLE = Kind(openings=4, clients=1, bursts=50, at_once=(1,), broad=8)
"""Many transactions at the same time."""


@dataclass
class Trace:
    """The last run of one script.

    Attributes:
        name: the script's.
        rounds: its reads and their answers.
        writes: those of its commit.
    """

    name: str
    rounds: list[tuple[Read, Any]] = field(default_factory=list[tuple[Read, Any]])
    writes: tuple[Write, ...] = ()


class Scripts:
    """The scripts of one scenario, and the traces of those that were committed."""

    def __init__(self, seed: int, kind: Kind) -> None:
        self.seed, self.kind = seed, kind
        self.committed: dict[str, Trace] = {}
        self.readers: list[Trace] = []
        self._pool = Pool(seed)
        self._chance = Choices(self._pool, f"plan {seed}")

    async def client(self, engine: Engine, client: str) -> None:
        for burst in range(self.kind.bursts):
            number = self._chance.one(self.kind.at_once)
            async with asyncio.TaskGroup() as group:
                for n in range(number):
                    call = self._read if self._chance.odds(20) else self._write
                    group.create_task(call(engine, f"{client}-{burst}-{n}"))

    async def _write(self, engine: Engine, name: str) -> None:
        try:
            trace = await engine.write(lambda: self._script(name))
        except WriteFailedError as error:
            if " already has a row " not in str(error):  # added twice by one script
                raise
        else:
            self.committed[name] = trace

    async def _read(self, engine: Engine, name: str) -> None:
        self.readers.append(await engine.read(lambda: self._script(name, writing=False)))

    def _script(self, name: str, *, writing: bool = True) -> Script[Trace]:
        trace, choices = Trace(name), Choices(self._pool, f"{self.seed} {name}")
        asked: list[Read] = [] if writing else [Scan(SPECS)]
        for _ in range(choices.one((1, 1, 2, 3, 4))):
            asked += self._allowed(choices, choices.reads())
            answers = yield tuple(asked)
            kept = [
                tuple(a) if isinstance(one, Scan) else a
                for one, a in zip(asked, answers, strict=True)
            ]
            trace.rounds += zip(asked, kept, strict=True)
            choices.note(asked, kept)
            asked = []
        if writing:
            writes = self._allowed(choices, choices.writes())
            trace.writes = (*writes, Add(SPECS, (SpecRow(name, 0, ""),)))
        return Commit(trace, trace.writes)

    def _allowed(self, choices: Choices, asked: Sequence[A]) -> list[A]:
        return [
            one
            for one in asked
            if _is_exact(one) and (not _is_broad(one) or choices.odds(self.kind.broad))
        ]


def _is_exact(asked: Read | Write) -> bool:
    """Return whether rows are locked, not only their numbers; `locks` says what is not."""
    if isinstance(asked, Count):
        return asked.scan.index is not RUNS_BY_NUMBER
    if not isinstance(asked, Scan):
        return True
    work = asked.index.table is RUN_CLAIMS and (asked.limit == 1 or bool(asked.prefix))
    return not work and not (asked.index is RUNS_BY_NUMBER and asked.backwards)


def _is_broad(asked: Read | Write) -> bool:
    if not isinstance(asked, (Scan, Count, DeleteRange)):
        return False
    scan = asked if isinstance(asked, Scan) else asked.scan
    table = scan.index.table
    return table not in {EVENTS, EVENT_KEYS} and not (
        scan.prefix and scan.index.sorted_by[0] == table.key[0]
    )


class Scenario:
    """Scripts on several openings of one store, and the order of their commits."""

    def __init__(
        self, postgres: Server, schema: str, seed: int, kind: Kind, proxy: Proxy | None = None
    ) -> None:
        self._postgres, self._schema, self._kind, self._proxy = postgres, schema, kind, proxy
        self._scripts = Scripts(seed, kind)

    async def run(self) -> tuple[Scripts, AllRows, AllRows, list[str]]:
        """Run all; return the scripts, all rows before and after, and the order of commits."""
        place = self._postgres if self._proxy is None else self._proxy
        url = place.url(schema=self._schema)
        async with AsyncExitStack() as stack:
            engines: list[Engine] = []
            for _ in range(self._kind.openings):
                opening = PostgresMobStores.open(url, durability="normal", timeout=30)
                engines.append((await stack.enter_async_context(opening)).engine)
            start = await rows_of(engines[0])
            self._number_commits()
            cutting = asyncio.create_task(self._cut())
            async with asyncio.TaskGroup() as group:
                for n, engine in enumerate(engines):
                    for client in range(self._kind.clients):
                        group.create_task(self._scripts.client(engine, f"{n}-{client}"))
            cutting.cancel()
            end = await rows_of(engines[1])
        order = self._postgres.execute(f'SELECT name FROM "{self._schema}".log ORDER BY id')
        return self._scripts, start, end, [name for (name,) in order]

    async def _cut(self) -> None:
        """Cut connections at all times, before and after commits too."""
        while self._proxy is not None:
            self._proxy.disarm()
            moment = random.choice(MOMENTS)
            if moment is None:
                self._proxy.cut()
            else:
                self._proxy.arm(moment)
            before, deadline = len(self._scripts.committed), monotonic() + 1
            await asyncio.sleep(0.03)
            # On a slow machine, no connection might last until a commit.
            while len(self._scripts.committed) == before and monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _number_commits(self) -> None:
        schema = f'"{self._schema}"'
        for statement in (
            f"CREATE TABLE {schema}.log (id bigserial PRIMARY KEY, name text)",
            f"CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" INSERT INTO {schema}.log (name) VALUES (NEW.mob_id); RETURN NULL; END $$",
            f"CREATE TRIGGER note AFTER INSERT ON {schema}.specs"
            f" FOR EACH ROW EXECUTE FUNCTION {schema}.note()",
        ):
            self._postgres.execute(statement)


def check(scripts: Scripts, start: AllRows, end: AllRows, order: Sequence[str]) -> None:
    """Run the scripts' writes one after the other on plain dicts, and compare all answers.

    Raises:
        AssertionError: something differs.
    """
    assert sorted(order) == sorted(scripts.committed), "other scripts are committed"
    state = Model.holding(start)
    for name in order:
        trace = scripts.committed[name]
        _compare(trace, state)
        assert not state.apply(trace.writes), f"{name} must have failed"
    wrong = state.wrong_final(end)
    assert wrong is None, f"the final state differs: {wrong}"
    for trace in scripts.readers:
        _, specs = trace.rounds[0]
        seen = {row.mob_id for row in specs}
        state = Model.holding(start)
        for name in order:
            if name in seen:
                state.apply(scripts.committed[name].writes)
        _compare(trace, state)


def _compare(trace: Trace, state: Model) -> None:
    for read, answer in trace.rounds:
        wrong = state.wrong(read, answer)
        assert wrong is None, f"{trace.name} got a wrong answer: {wrong}\n{_lines(trace)}"


def _lines(trace: Trace) -> str:
    reads = [f"  {show(read)} -> {answer!r:.300}" for read, answer in trace.rounds]
    return "\n".join([*reads, *(f"  writes {show(write)}" for write in trace.writes)])


MOMENTS: tuple[Moment | None, ...] = ("commit", "committed", None)
KINDS = {"groups": GROUPS, "single": SINGLE}
CHOSEN = [int(seed) for seed in os.environ.get("DIFFERENTIAL_SEEDS", "").split()]


@pytest.mark.parametrize("seed", CHOSEN or range(1, 5))
@pytest.mark.parametrize("kind", KINDS)
def test_random_scripts(kind: str, seed: int, postgres: Server, postgres_schema: str) -> None:
    check(*asyncio.run(Scenario(postgres, postgres_schema, seed, KINDS[kind]).run()))


@pytest.mark.parametrize("kind", KINDS)
def test_locks_with_equal_numbers(
    kind: str, postgres: Server, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks are named by hashes; equal ones cost time only."""
    number = Locks.number

    def colliding(self: Locks, lock: Lock) -> int:
        return number(self, lock) % 3 if lock != STORE else number(self, lock)

    monkeypatch.setattr(Locks, "number", colliding)
    test_random_scripts(kind, 5, postgres, postgres_schema)


@pytest.mark.parametrize("kind", KINDS)
def test_connections_are_cut(
    kind: str, postgres: Server, postgres_proxy: Proxy, postgres_schema: str
) -> None:
    """Each script is committed once; none is lost, and none runs again after its commit."""
    scenario = Scenario(postgres, postgres_schema, 7, KINDS[kind], postgres_proxy)
    check(*asyncio.run(scenario.run()))


def test_cuts_without_a_fence_are_noticed(
    postgres: Server, postgres_proxy: Proxy, postgres_schema: str
) -> None:
    with broken.VARIANTS["no fence"]():
        scenario = Scenario(postgres, postgres_schema, 7, SINGLE, postgres_proxy)
        found = asyncio.run(scenario.run())
    with pytest.raises(AssertionError, match="other scripts are committed"):
        check(*found)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_random_scripts_for_long(kind: str, postgres: Server, postgres_schema: str) -> None:
    for seed in range(1000, 1100):
        postgres.drop_schema(postgres_schema)
        check(*asyncio.run(Scenario(postgres, postgres_schema, seed, KINDS[kind]).run()))


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        ("no locks of aggregates", "single"),
        ("no later locks", "single"),
        ("no locks for writes", "single"),
        ("no lock of the whole store", "single"),
        ("readers of many moments", "groups"),
        ("no overlay", "groups"),
        ("limited scans cut short", "groups"),
        ("counts asked once", "groups"),
        ("no restart", "groups"),
    ],
)
def test_broken_variants_are_noticed(
    variant: str, kind: str, postgres: Server, postgres_schema: str
) -> None:
    with broken.VARIANTS[variant]():
        for seed in range(1, 40):  # the first is mostly enough
            postgres.drop_schema(postgres_schema)
            scenario = Scenario(postgres, postgres_schema, seed, KINDS[kind])
            found = asyncio.run(scenario.run())
            try:
                check(*found)
            except AssertionError:
                return
    pytest.fail("no wrong answer was noticed")
