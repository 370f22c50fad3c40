"""Upgrades of an earlier format: all or nothing, when the file is opened for writing."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from engines.earlier import (
    EARLIER,
    as_format_3,
    content,
    die_upgrading,
    make_earlier,
    open_and_upgrade,
    open_once,
)
from engines.support import hear, output, plain, query, running, side_files, tell
from mobstore import MobStoreError, ReadFailedError, WriteFailedError, open_stores
from mobstore.engines.sqlite import upgrade
from mobstore.maintenance.verification import verify
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tag_of

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", params=[1, 2])
def earlier(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[object]]:
    """A file of an earlier format, and its content once it is upgraded."""
    path = tmp_path_factory.mktemp("earlier") / "mobs.db"
    before = make_earlier(path, request.param)
    assert query(path, "PRAGMA user_version") == [(request.param,)]
    assert query(path, "SELECT count(*) FROM events") == [(99,)]
    return path, before


@pytest.fixture
def path(earlier: tuple[Path, list[object]], tmp_path: Path) -> Iterator[Path]:
    with as_format_3():
        yield Path(shutil.copy(earlier[0], tmp_path / "mobs.db"))


@pytest.fixture
def before(earlier: tuple[Path, list[object]]) -> list[object]:
    return earlier[1]


def test_there_is_a_step_from_every_earlier_format() -> None:
    assert upgrade.EARLIER.keys() == set(range(1, FORMAT))


def test_everything_is_as_before(path: Path, before: list[object]) -> None:
    async def read() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            assert not (await verify(stores)).problems
            (running,) = await stores.runs.run_headers(status="running")
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


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (sqlite3.OperationalError("no such function"), WriteFailedError),
        (ReadFailedError("a step rejects the file"), ReadFailedError),
    ],
)
def test_a_failed_step_changes_nothing(
    path: Path, before: list[object], error: Exception, raised: type[MobStoreError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(connection: sqlite3.Connection) -> None:
        EARLIER[2].to_next(connection)
        raise error

    earlier = content_of_earlier(path)
    with monkeypatch.context() as patches:
        patches.setitem(upgrade.EARLIER, 2, EARLIER[2]._replace(to_next=fail))
        with pytest.raises(raised):
            asyncio.run(open_once(path))
    assert content_of_earlier(path) == earlier
    asyncio.run(open_once(path))
    assert content(path) == before


def content_of_earlier(path: Path) -> list[object]:
    layout = query(path, "SELECT name, sql FROM sqlite_master ORDER BY name")
    return [query(path, "PRAGMA user_version"), layout, query(path, "SELECT * FROM events")]


def test_by_two_processes_at_once(path: Path, before: list[object], tmp_path: Path) -> None:
    copies = [Path(shutil.copy(path, tmp_path / f"{n}.db")) for n in range(8)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(running(open_and_upgrade, name)) for name in ("one", "two")
        ]
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
    """Before whichever statement it dies, the file is the earlier one, or wholly the new one."""
    died = int(output(die_upgrading, path, tmp_path))
    copies = [tmp_path / f"{number}.db" for number in range(died)]
    formats = [query(copy, "PRAGMA user_version") for copy in copies]
    assert len(formats) > 3
    assert formats == sorted(formats)
    assert formats[-1] == [(3,)]
    for copy in copies:
        asyncio.run(open_once(copy))
        assert content(copy) == before
