"""Every engine answers random scripts as plain dicts would."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from differential.checking import check
from differential.scenario import Kind, Scenario, rows_of
from mobstore import Isolation, open_stores
from mobstore.engines.memory import MemoryEngine
from mobstore.scripts.transaction import Engine
from support.pending import PendingEngine

Engines: TypeAlias = Callable[[Path], AbstractAsyncContextManager[list[Engine]]]


@asynccontextmanager
async def memory(_: Path) -> AsyncGenerator[list[Engine]]:
    engine = MemoryEngine()
    yield [engine]
    await engine.close()


@asynccontextmanager
async def memory_in_slices(directory: Path) -> AsyncGenerator[list[Engine]]:
    """Open a memory engine whose scripts take long: other tasks run between their questions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mobstore.engines.memory._SLICE", -1.0)
        async with memory(directory) as engines:
            yield engines


@asynccontextmanager
async def pending(_: Path) -> AsyncGenerator[list[Engine]]:
    engine = PendingEngine()
    yield [engine]
    await engine.close()


def sqlite(handles: int) -> Engines:
    @asynccontextmanager
    async def opened(directory: Path) -> AsyncGenerator[list[Engine]]:
        async with AsyncExitStack() as stack:
            yield [
                (await stack.enter_async_context(open_stores(
                    f"sqlite:{directory / 'mobs.db'}", durability="normal", timeout=60
                ))).engine
                for _ in range(handles)
            ]  # fmt: skip

    return opened


def postgres(url: str, handles: int, isolation: Isolation) -> Engines:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[list[Engine]]:
        from mobstore.stores.postgres import PostgresMobStores

        async with AsyncExitStack() as stack:
            yield [
                (await stack.enter_async_context(PostgresMobStores.open(
                    url, durability="normal", timeout=60, isolation=isolation
                ))).engine
                for _ in range(handles)
            ]  # fmt: skip

    return opened


class Place(NamedTuple):
    """A place for scenarios.

    Attributes:
        open: opens the engines of one store; opening again finds durable data.
        kind: the content of the scenarios.
        seeds: the number of scenarios in the suite.
        durable: whether the final state is read after another opening.
    """

    open: Engines
    kind: Kind
    seeds: int
    durable: bool = False


PLACES = {
    "memory": Place(memory, Kind(), 20),
    "memory-in-slices": Place(memory_in_slices, Kind(), 6),
    "pending": Place(pending, Kind(loads=False), 12),
    "sqlite": Place(sqlite(1), Kind(), 10, durable=True),
    "sqlite-two-handles": Place(sqlite(2), Kind(), 6, durable=True),
}
CHOSEN = [int(seed) for seed in os.environ.get("DIFFERENTIAL_SEEDS", "").split()]
LARGE = 1000  # the seed whose scenario has a very large batch


async def compare(place: Place, seed: int, directory: Path) -> None:
    """Run a scenario and check it."""
    scenario = Scenario(seed, replace(place.kind, large=seed == LARGE))
    async with place.open(directory) as engines:
        start = await rows_of(engines[0])
        await scenario.run(engines)
        final = await rows_of(engines[-1])
    if place.durable:
        async with place.open(directory) as engines:
            final = await rows_of(engines[0])
    check(scenario.records, start, final, scenario.first)


def run(name: str, seed: int, directory: Path) -> None:
    run_at(PLACES[name], name, seed, directory)


def run_at(place: Place, name: str, seed: int, directory: Path) -> None:
    try:
        asyncio.run(compare(place, seed, directory))
    except BaseException as error:
        error.add_note(
            f"to see it again: DIFFERENTIAL_SEEDS={seed} pytest tests/differential -k {name}"
        )
        raise


CASES = [
    (name, seed)
    for name, place in PLACES.items()
    for seed in CHOSEN or [*range(1, place.seeds + 1), LARGE]
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), CASES, ids=[f"{name}-{seed}" for name, seed in CASES])
def test_as_plain_dicts(name: str, seed: int, tmp_path: Path) -> None:
    run(name, seed, tmp_path)


ISOLATIONS: tuple[Isolation, ...] = ("read committed", "serializable")


@pytest.mark.parametrize("seed", CHOSEN or [*range(1, 7), LARGE])
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_as_plain_dicts_on_postgres(
    isolation: Isolation, seed: int, postgres_url: str, tmp_path: Path
) -> None:
    place = Place(postgres(postgres_url, 2, isolation), Kind(), 0, durable=True)
    run_at(place, "postgres", seed, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", PLACES)
def test_as_plain_dicts_for_long(name: str, tmp_path: Path) -> None:
    for seed in range(2000, 2300):
        directory = tmp_path / f"{seed}"
        directory.mkdir()
        run(name, seed, directory)
