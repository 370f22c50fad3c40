"""Trees of pages that repeat rows for ever: every read of them ends soon."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

import mobstore
from engines.forged import forge_endless
from engines.support import RUN, output, plain, rich_run, say
from mobstore import MobStoreError, MobStores, open_stores
from mobstore.testing.samples import tagged_event

pytestmark = pytest.mark.slow

ENDS = ("ReadFailedError", "WriteFailedError", "SerializationError")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mobs.db"

    async def make() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append_batch([tagged_event(f"{n}") for n in range(20)])
            await stores.runs.create_run(rich_run())

    asyncio.run(make())
    with closing(plain(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'")
    forge_endless(path, root)
    return path


CALLS: dict[str, Callable[[MobStores], Awaitable[object]]] = {
    "poll": lambda stores: stores.events.poll(0, 100_000),
    "replay_all": lambda stores: stores.events.replay_all(),
    "export": lambda stores: mobstore.export_stores(stores, BytesIO()),
    "overview": lambda stores: stores.overview(),
}


def read_what_never_ends(path: str, call: str) -> None:
    """Read a forged file with little memory, and print the result."""
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", read_only=True) as stores:
            if call == "verify":
                found = await mobstore.verify(stores)
                say(found.problems[0].what.split("\n")[0])
                return
            assert len(await stores.events.poll(0, 10)) == 10
            assert await stores.runs.get_run(RUN) is not None
            try:
                say(str(await CALLS[call](stores)))
            except MobStoreError as error:
                say(type(error).__name__)

    asyncio.run(main())


@pytest.mark.parametrize("call", CALLS)
def test_a_table_without_an_end(path: Path, call: str) -> None:
    printed = output(read_what_never_ends, path, call, seconds=20)
    assert printed.startswith(ENDS)


def test_verify_tells_of_a_table_without_an_end(path: Path) -> None:
    assert "SQLite: " in output(read_what_never_ends, path, "verify", seconds=20)


def test_values_of_several_types_are_in_their_order(tmp_path: Path) -> None:
    """SQLite sorts numbers before text, and text before bytes; each such row is reported."""
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append_batch([tagged_event(f"{n}") for n in range(300)])
            with closing(plain(path)) as connection:
                connection.execute("UPDATE events SET timestamp = x'ff' WHERE cursor % 3 = 0")
                connection.execute("UPDATE events SET mob_id = x'00' WHERE cursor % 5 = 0")
            found = await mobstore.verify(stores)
            assert found.rows["events"] == 300
            bad = {n for n in range(1, 301) if n % 3 == 0 or n % 5 == 0}
            assert {problem.key[0] for problem in found.problems} == bad

    asyncio.run(main())
