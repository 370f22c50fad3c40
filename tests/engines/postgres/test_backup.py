"""Backup with PostgreSQL's own tools: a restored schema is a working store."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Generator
from contextlib import aclosing
from pathlib import Path

import pytest

from engines.postgres.live_programs import write_until_told
from engines.support import RUN, hear, new_run, rich_run, running, tell
from mobstore import MobStores, WriteFailedError, diff, open_stores, verify
from mobstore.testing.samples import number_of, run_id, tag_of, tagged_event
from support.postgres import programs
from support.postgres.server import Server, new_schema

pytestmark = pytest.mark.slow

SCHEMA = 'Mobs of "Ann", 漢字'


@pytest.fixture
def other(postgres: Server) -> Generator[str]:
    """The name of another, empty database."""
    name = new_schema()
    postgres.create_database(name, encoding="UTF8")
    yield name
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url(postgres: Server) -> Generator[str]:
    """The URL of a store with a name that has to be quoted."""
    yield postgres.url(schema=SCHEMA)
    postgres.terminate_backends()
    postgres.drop_schema(SCHEMA)


def tool(name: str, *arguments: str | Path) -> None:
    ended = subprocess.run(
        [programs.path(name), *arguments], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def dump(server: Server, file: Path, form: str) -> None:
    pattern = '"{}"'.format(SCHEMA.replace('"', '""'))
    tool("pg_dump", "-d", server.url(), "-n", pattern, "-F", form, "-f", file)


def restore(server: Server, file: Path, form: str, database: str = "postgres") -> None:
    if form == "plain":
        options = ("-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1")
        tool("psql", "-d", server.url(database), *options, "-f", file)
    else:
        tool("pg_restore", "-d", server.url(database), "--exit-on-error", file)


async def fill(stores: MobStores) -> None:
    await stores.events.append_batch([tagged_event(f"{n}", "\0\1ß漢") for n in range(50)])
    await stores.runs.create_run(rich_run())
    await stores.runs.create_run(new_run(run_id(2)))


async def check_works(stores: MobStores, cursor: int) -> None:
    """Check that a restored store is sound, continues its numbers, and notifies."""
    assert (await verify(stores)).problems == ()
    async with aclosing(stores.events.subscribe(cursor - 1)) as events:
        assert (await anext(events)).cursor == cursor
        assert (await stores.events.append(tagged_event("after"))).cursor == cursor + 1
        assert tag_of((await anext(events)).kind) == "after"
    await stores.runs.create_run(new_run(run_id(99)))
    assert (await stores.runs.list_runs("mob"))[-1].run_id == run_id(99)


@pytest.mark.parametrize("form", ["plain", "custom"])
def test_a_restored_schema_is_a_store(
    postgres: Server, url: str, other: str, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "dump"

    async def main() -> None:
        async with open_stores(url) as stores:
            await fill(stores)
            await asyncio.to_thread(dump, postgres, file, form)
            await asyncio.to_thread(restore, postgres, file, form, other)
            # The first one stays open, and shares nothing with the other.
            async with open_stores(postgres.url(other, SCHEMA), create=False) as restored:
                assert await restored.identity() == await stores.identity()
                assert [one async for one in diff(stores, restored)] == []
                await check_works(restored, 50)
            assert await stores.events.latest_cursor() == 50

    asyncio.run(main())


def test_a_dump_during_writes_is_a_moment_of_the_store(
    postgres: Server, url: str, other: str, tmp_path: Path
) -> None:
    """Each dump has a prefix of the events, and the runs as they were then."""
    file = tmp_path / "dump"

    async def check(database: str) -> int:
        async with open_stores(postgres.url(database, SCHEMA), create=False) as restored:
            assert (await verify(restored)).problems == ()
            events = await restored.events.replay_all()
            assert [one.cursor for one in events] == list(range(1, len(events) + 1))
            run = await restored.runs.get_run(RUN)
            assert run is not None
            # Each atomic call appended an event and counted it in the run.
            assert number_of(run.flow_state) == len(run.step_ledger) == len(events)
            return len(events)

    async def main() -> None:
        async with open_stores(url) as stores:
            await stores.runs.create_run(new_run())
        with running(write_until_told, url) as process:
            assert hear(process) == "ready"
            found = 0
            for _ in range(2):
                before = int(hear(process))
                assert before > found
                await asyncio.to_thread(dump, postgres, file, "custom")
                await asyncio.to_thread(restore, postgres, file, "custom", other)
                found = await check(other)
                assert found >= before
                pattern = SCHEMA.replace('"', '""')
                postgres.execute(f'DROP SCHEMA "{pattern}" CASCADE', database=other)
                tell(process)
            last = int(hear(process))
            tell(process, "end")
            process.wait(30)
        assert await check("postgres") >= last

    asyncio.run(main())


def test_a_schema_is_restored_in_place_of_a_lost_one(
    postgres: Server, url: str, tmp_path: Path
) -> None:
    """An opening from before may not write with the numbers of the lost store."""
    file = tmp_path / "dump"

    async def main() -> None:
        async with open_stores(url) as stores:
            await fill(stores)
            identity = await stores.identity()
            await asyncio.to_thread(dump, postgres, file, "plain")
            await stores.events.append(tagged_event("lost"))
            await asyncio.to_thread(postgres.drop_schema, SCHEMA)
            await asyncio.to_thread(restore, postgres, file, "plain")
            with pytest.raises(WriteFailedError, match="was removed while it was open"):
                await stores.events.append(tagged_event("no"))
        async with open_stores(url, create=False) as stores:
            assert await stores.identity() == identity
            await check_works(stores, 50)

    asyncio.run(main())
