"""Four processes do one kind of work on one store at the same time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import pytest

from engines.postgres.stressing import KINDS, Task, serve
from engines.postgres.work import Result
from engines.support import Process, hear, running, tell
from mobstore import Isolation
from mobstore.stores.postgres import PostgresMobStores
from support.postgres.server import Server, new_schema

PROCESSES = 4


@pytest.fixture(scope="module")
def processes() -> Generator[list[Process]]:
    """Processes for all tests: an interpreter takes half a second to start."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(serve)) for _ in range(PROCESSES)]


class Stress:
    """Work of several processes on a new store."""

    def __init__(self, processes: list[Process], postgres: Server) -> None:
        self._processes, self._postgres = processes, postgres
        self._schema = new_schema()

    def run(self, kind: str, isolation: Isolation, variant: str, seconds: float) -> None:
        """Work for a while, and check the results.

        Raises:
            AssertionError: something is wrong, or a process failed.
        """
        url = self._postgres.url(schema=self._schema)
        try:
            asyncio.run(self._prepare(kind, url, isolation))
            for n, process in enumerate(self._processes):
                tell(process, json.dumps(Task(kind, url, variant, f"p{n}", seconds)))
            results = list(self._results())
            asyncio.run(self._check(kind, url, results))
        finally:
            self._postgres.drop_schema(self._schema)

    def _results(self) -> Iterator[Result]:
        for process in self._processes:
            assert hear(process) == "ready"
        for process in self._processes:
            tell(process)
        answers = [json.loads(hear(process)) for process in self._processes]
        failures = [answer for answer in answers if isinstance(answer, str)]
        assert not failures, failures
        for answer in answers:
            yield from answer

    async def _prepare(self, kind: str, url: str, isolation: Isolation) -> None:
        async with PostgresMobStores.open(url, isolation=isolation) as stores:
            await KINDS[kind](stores).prepare()

    async def _check(self, kind: str, url: str, results: list[Result]) -> None:
        async with PostgresMobStores.open(url) as stores:
            work = KINDS[kind](stores)
            work.results = results
            await work.check()
            assert len(results) >= work.least * PROCESSES, f"only {len(results)} results"


@pytest.mark.parametrize(
    ("kind", "isolation"),
    [
        *((kind, "read committed") for kind in KINDS),
        *((kind, "serializable") for kind in ("append", "move", "limit", "prune")),
    ],
)
def test_four_processes(
    kind: str, isolation: Isolation, processes: list[Process], postgres: Server
) -> None:
    Stress(processes, postgres).run(kind, isolation, "none", seconds=1.5)


@pytest.mark.soak
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
@pytest.mark.parametrize("kind", KINDS)
def test_four_processes_for_long(
    kind: str, isolation: Isolation, processes: list[Process], postgres: Server
) -> None:
    Stress(processes, postgres).run(kind, isolation, "none", seconds=20)


NOTICED: dict[str, tuple[str, ...]] = {
    "no locks of aggregates": (
        "append", "swap", "claim", "ledger", "create", "revise", "move", "limit", "prune",
    ),
    "no later locks": ("move",),
    "no lock of the whole store": ("limit",),
    "readers of many moments": ("move",),
    "mere snapshots": ("limit",),
}  # fmt: skip
"""The kinds of work that must notice a broken variant."""


@pytest.mark.parametrize(
    ("variant", "kind"), [(variant, kind) for variant, kinds in NOTICED.items() for kind in kinds]
)
def test_broken_variants_are_noticed(
    variant: str, kind: str, processes: list[Process], postgres: Server
) -> None:
    isolation: Isolation = "serializable" if variant == "mere snapshots" else "read committed"
    for _ in range(120):  # the first time is mostly enough, on a busy machine up to the twentieth
        try:
            Stress(processes, postgres).run(kind, isolation, variant, seconds=0.7)
        except AssertionError:
            return
    pytest.fail("nothing was noticed")
