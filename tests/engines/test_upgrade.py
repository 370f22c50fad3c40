"""A file of an older format is brought to the present one when it is opened, whole or not."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from engines.children import open_new
from engines.old import content, die_upgrading, make_old
from engines.support import hear, output, plain, query, running, side_files, tell
from mobstore import MobStores, SerializationError, open_stores
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tag_of


@pytest.fixture(scope="module", params=[1, 2])
def old(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[object]]:
    """A file of an older format, and what is in it once it is upgraded."""
    path = tmp_path_factory.mktemp("old") / "mobs.db"
    before = make_old(path, request.param)
    assert query(path, "PRAGMA user_version") == [(request.param,)]
    assert query(path, "SELECT count(*) FROM events") == [(99,)]
    ended = "run_states" if request.param == 1 else "runs"
    running = query(path, f"SELECT count(*) FROM {ended} WHERE ifnull(completed_at, '') = ''")
    assert running == [(1,)]
    return path, before


@pytest.fixture
def path(old: tuple[Path, list[object]], tmp_path: Path) -> Path:
    return Path(shutil.copy(old[0], tmp_path / "mobs.db"))


@pytest.fixture
def before(old: tuple[Path, list[object]]) -> list[object]:
    return old[1]


def test_everything_is_as_before(path: Path, before: list[object]) -> None:
    async def read() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await check(stores)

    async def check(stores: MobStores) -> None:
        assert (await stores.identity()).version == 4
        (running,) = await stores.runs.run_headers(status="running")
        assert running.completed_at is None
        assert running.run_id in {run.run_id for run in await stores.runs.list_runs("tide-desk")}
        of_run = await stores.events.poll(0, 1000, run_id=running.run_id)
        assert of_run == [
            event
            for event in await stores.events.replay_all()
            if getattr(event.kind, "run_id", None) == running.run_id
        ]
        assert of_run

    asyncio.run(read())
    assert content(path) == before
    identity = query(path, "SELECT * FROM meta")
    assert len(identity) == 1
    asyncio.run(read())
    assert query(path, "SELECT * FROM meta") == identity
    assert not side_files(path)
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_an_event_that_nobody_can_read(path: Path) -> None:
    """It must not keep the others from being upgraded; whoever reads it is told."""
    with closing(plain(path)) as connection:
        connection.execute("UPDATE events SET kind = '{' WHERE cursor = 50")

    async def read() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            assert len(await stores.events.poll(0, 49)) == 49
            with pytest.raises(SerializationError, match="cursor 50"):
                await stores.events.replay_all()

    asyncio.run(read())


def test_by_two_processes_at_once(path: Path, before: list[object], tmp_path: Path) -> None:
    copies = [Path(shutil.copy(path, tmp_path / f"{n}.db")) for n in range(8)]
    with ExitStack() as stack:
        processes = [stack.enter_context(running(open_new, name)) for name in ("one", "two")]
        for process in processes:
            assert hear(process) == "ready"
        for copy in copies:
            begin = time.time() + 0.05
            for process in processes:
                tell(process, json.dumps([str(copy), begin]))
            assert [hear(process) for process in processes] == ["fine", "fine"]

    async def appended(copy: Path) -> list[str]:
        async with open_stores(f"sqlite:{copy}", create=False) as stores:
            return [tag_of(event.kind) for event in await stores.events.poll(99, 10)]

    for copy in copies:
        assert sorted(asyncio.run(appended(copy))) == ["one", "two"]
        with closing(plain(copy)) as connection:
            connection.execute("DELETE FROM events WHERE cursor > 99")
            connection.execute("UPDATE counters SET value = 100 WHERE name = 'next_cursor'")
        assert content(copy) == before


@pytest.mark.slow
def test_killed_in_the_middle(path: Path, before: list[object], tmp_path: Path) -> None:
    """Before whichever statement it dies, the file is the old one, or wholly the new one."""
    died = int(output(die_upgrading, path, tmp_path))
    copies = [tmp_path / f"{number}.db" for number in range(died)]
    formats = [query(copy, "PRAGMA user_version") for copy in copies]
    assert len(formats) > 3
    assert formats == sorted(formats)
    assert formats[-1] == [(FORMAT,)]

    async def open_it(copy: Path) -> None:
        async with open_stores(f"sqlite:{copy}"):
            pass

    for copy in copies:
        asyncio.run(open_it(copy))
        assert content(copy) == before
