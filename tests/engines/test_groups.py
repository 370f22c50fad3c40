"""Scripts that share a commit: one of them raises, or adds a row that exists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from engines.support import plain, query
from mobstore import MobStores, WriteFailedError, open_stores
from mobstore.scripts.tables import COUNTERS, CounterRow
from mobstore.scripts.transaction import Add, Commit, LoadingScript, Put, Scan, Script, fetch

pytestmark = pytest.mark.usefixtures("both_threads")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


def rows(*names: str) -> tuple[CounterRow, ...]:
    return tuple(CounterRow(name, 1) for name in names)


def adding(*names: str) -> Callable[[], Script[str]]:
    def script() -> Script[str]:
        yield from fetch(Scan(COUNTERS, limit=1))
        return Commit(
            names[0], (Put(COUNTERS, rows(f"put {names[0]}")), Add(COUNTERS, rows(*names)))
        )

    return script


def stored(path: Path) -> list[str]:
    return [name for (name,) in query(path, "SELECT name FROM counters ORDER BY name")]


@asynccontextmanager
async def together(path: Path) -> AsyncGenerator[None]:
    """Commit nothing within the block, so that its writes wait together."""
    with closing(plain(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        await asyncio.sleep(0.05)
        connection.execute("ROLLBACK")


async def outcomes(stores: MobStores, path: Path, *makes: Callable[[], Script[Any]]) -> list[Any]:
    """Return the results of scripts that share a commit; errors are caught in their tasks."""

    async def one(make: Callable[[], Script[Any]]) -> object:
        try:
            return await stores.engine.write(make)
        except BaseException as error:  # noqa: BLE001 - which one is what is asked
            return error

    async with together(path):
        tasks = [asyncio.create_task(one(make)) for make in makes]
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        return await asyncio.gather(*tasks)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, 4])
def test_only_the_operation_with_an_existing_row_fails(path: Path, place: int) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            await stores.engine.write(adding("there"))
            makes = [adding(f"{n}") for n in range(4)]
            makes.insert(place, adding("new", "there", "newer"))
            results = await outcomes(stores, path, *makes)
            error = results.pop(place)
            assert isinstance(error, WriteFailedError)
            assert "table counters already has a row with the key there" in str(error)
            assert error.__cause__ is not None
            assert not error.maybe_written
            assert results == ["0", "1", "2", "3"]
            # Nothing of the failed script is stored, and the connection still writes.
            assert await stores.engine.write(adding("newer")) == "newer"

    asyncio.run(main())
    names = ["0", "1", "2", "3", "newer", "there"]
    assert stored(path) == sorted([*names, *(f"put {name}" for name in names)])


@pytest.mark.parametrize("where", ["yielded", "at the end"])
def test_a_loading_script_with_an_existing_row(path: Path, where: str) -> None:
    def load() -> LoadingScript[None]:
        yield (Put(COUNTERS, rows("loaded")),)
        add = Add(COUNTERS, rows("new", "there", "newer"))
        if where == "yielded":
            yield (add,)
        return Commit(None, (add,))

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.engine.write(adding("there"))
            with pytest.raises(WriteFailedError, match="already has a row with the key there"):
                await stores.engine.load(load)
            assert await stores.engine.write(adding("after")) == "after"

    asyncio.run(main())
    assert stored(path) == ["after", "put after", "put there", "there"]


def raising(error: BaseException, *, first: bool) -> Callable[[], Script[Any]]:
    def script() -> Script[Any]:
        yield from fetch(Scan(COUNTERS, limit=1))
        raise error

    def make() -> Script[Any]:
        if first:
            raise error
        return script()

    return make


@pytest.mark.slow
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_a_script_that_ends_the_process_leaves_the_others(
    path: Path, error: BaseException, first: bool
) -> None:
    """Every task of the group ends, and all others have written."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            results = await outcomes(
                stores, path, adding("a"), raising(error, first=first), adding("b")
            )
            assert results[::2] == ["a", "b"]
            if isinstance(error, StopIteration):  # cannot be raised by an awaitable
                assert isinstance(results[1], (TypeError, RuntimeError))
            else:
                assert results[1] is error
            assert await stores.engine.write(adding("c")) == "c"

    asyncio.run(main())
    assert stored(path) == ["a", "b", "c", "put a", "put b", "put c"]


def test_cancelled_while_waiting_for_the_lock(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            async with together(path):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await stores.engine.write(adding("given up"))
                late = asyncio.create_task(stores.engine.write(adding("waited for")))
                await asyncio.sleep(0)
            assert await late == "waited for"
            assert stored(path)[-2:] == ["put waited for", "waited for"]
            assert not any("given up" in name for name in stored(path))

    asyncio.run(main())
