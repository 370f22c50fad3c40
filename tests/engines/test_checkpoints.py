"""Checkpoints: only the writer copies the log into the file, while no process can commit."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from engines.support import hear, hold_lock, output, plain, query, running, say, tell
from mobstore import MobStores, open_stores
from mobstore.engines.sqlite import SqliteEngine
from mobstore.engines.sqlite.checkpoints import COMMITS, LIMIT, has_reset_bug
from mobstore.engines.sqlite.writer import Writer
from mobstore.testing.samples import tagged_event

pytestmark = pytest.mark.slow

MEGABYTE = "x" * 2**20
SLACK = 2**20  # growth by a commit or two after the log was truncated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


def log_size(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


def writer_of(stores: MobStores) -> Writer:
    assert isinstance(stores.engine, SqliteEngine)
    return stores.engine._writer  # pyright: ignore[reportPrivateUsage]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


# Who checkpoints -------------------------------------------------------------------------------


Heard: TypeAlias = Callable[[sqlite3.Connection, str], None]


@pytest.fixture
def hearing(monkeypatch: pytest.MonkeyPatch) -> list[Heard]:
    """Functions that are called with each statement of a connection."""
    hearers: list[Heard] = []
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)

        def tell(sql: str) -> None:
            for hearer in hearers:
                hearer(connection, sql)

        connection.set_trace_callback(tell)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return hearers


def test_no_connection_checkpoints_automatically(path: Path, hearing: list[Heard]) -> None:
    used: dict[sqlite3.Connection, None] = {}
    hearing.append(lambda connection, _: used.setdefault(connection))

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            await asyncio.gather(*(stores.events.replay_all() for _ in range(3)))
            await stores.engine.faults()
            for _ in range(3):
                await stores.events.append(tagged_event("big", MEGABYTE * 6))
            await stores.compact()
            await stores.events.poll(0, 10)
            hearing.clear()
            opened = [connection for connection in used if is_open(connection)]
            assert len(opened) >= 3  # one writes, one checkpoints, one reads
            for connection in opened:
                assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)

    asyncio.run(main())


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.total_changes  # noqa: B018 - raises if it is closed
    except sqlite3.ProgrammingError:
        return False
    return str(connection.execute("PRAGMA database_list").fetchone()[2]) != ""


def test_the_log_is_copied_while_the_writer_holds_the_lock(
    path: Path, hearing: list[Heard]
) -> None:
    """During the copy no other process can begin a write, and the copy uses its own connection."""
    begun: list[tuple[str, bool, str]] = []

    def hear_of(connection: sqlite3.Connection, sql: str) -> None:
        if "wal_checkpoint" in sql:
            begun.append((sql, connection.in_transaction, output(try_to_write, path).strip()))

    hearing.append(hear_of)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", durability="normal") as stores:
            for n in range(COMMITS):
                await stores.events.append(tagged_event(f"{n}"))
            await until(lambda: bool(begun))
            await stores.events.append(tagged_event("big", MEGABYTE * 20))
            await until(lambda: log_size(path) <= LIMIT)
            await stores.compact()

    asyncio.run(main())
    assert len(begun) >= 3
    # PASSIVE: the other kinds would continue without the lock.
    assert set(begun) == {("PRAGMA wal_checkpoint(PASSIVE)", False, "SQLITE_BUSY")}


def try_to_write(path: str) -> None:
    """Commit, and print the result."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            say(str(getattr(error, "sqlite_errorname", error)))
        else:
            say("begun")


# How large the log becomes ---------------------------------------------------------------------


def test_many_commits_do_not_make_a_large_log(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", durability="normal") as stores:
            sizes: list[int] = []
            for _ in range(5 * COMMITS):
                await stores.events.append(tagged_event("e"))
                sizes.append(log_size(path))
            # The log was restarted several times: in the last rounds it is hardly larger.
            assert max(sizes) < 1.5 * max(sizes[: 2 * COMMITS])
            assert max(sizes) < LIMIT / 2

    asyncio.run(main())


def test_one_large_commit_does_not_leave_a_large_log(path: Path) -> None:
    """The log is truncated even if nothing is written afterwards."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("small"))
            await stores.events.append(tagged_event("large", MEGABYTE * 60))
            await until(lambda: log_size(path) <= LIMIT)
            assert os.stat(path).st_size > 60 * 2**20  # noqa: PTH116
            assert len(await stores.events.poll(0, 10)) == 2
            await stores.compact()
            assert log_size(path) < 100_000

    asyncio.run(main())


def test_an_old_log_is_truncated_on_opening(path: Path) -> None:
    """The log was left by a killed process."""
    with running(write_and_wait, path) as process:
        assert hear(process) == "written"
    assert log_size(path) > LIMIT

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await until(lambda: log_size(path) <= LIMIT)
            assert len(await stores.events.poll(0, 10)) == 1

    asyncio.run(main())


def test_an_idle_process_truncates_the_log_of_a_killed_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobstore.engines.sqlite.checkpoints._LOOK", 0.1)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            with running(write_and_wait, path) as process:
                assert hear(process) == "written"
                assert log_size(path) > LIMIT
            await until(lambda: log_size(path) <= LIMIT)
            assert len(await stores.events.poll(0, 10)) == 2

    asyncio.run(main())


def write_and_wait(path: str) -> None:
    """Leave a large log, which a reader still needs, and do not close."""

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        with closing(plain(Path(path))) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchone()
            await stores.events.append(tagged_event("large", MEGABYTE * 20))
            say("written")
            sys.stdin.readline()

    asyncio.run(main())


def test_writes_continue_during_a_long_read(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", durability="normal") as stores:
            with closing(plain(path)) as reader:
                reader.execute("BEGIN")
                assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
                for _ in range(30):
                    await stores.events.append(tagged_event("e", MEGABYTE))
                assert log_size(path) > LIMIT
                assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
                reader.execute("ROLLBACK")
            await until(lambda: log_size(path) <= LIMIT + SLACK)
            assert len(await stores.events.poll(0, 100)) == 30

    asyncio.run(main())


def test_overlapping_readers_do_not_keep_the_log(path: Path) -> None:
    """There is always a reader, so no commit finds the log without one."""
    ending = threading.Event()

    def read(pause: float) -> None:
        with closing(plain(path)) as reader:
            while not ending.is_set():
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM events").fetchone()
                ending.wait(pause)
                reader.execute("ROLLBACK")

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", durability="normal") as stores:
            readers = [threading.Thread(target=read, args=(n / 1000,)) for n in (11, 13, 17)]
            for reader in readers:
                reader.start()
            try:
                for _ in range(40):
                    await stores.events.append(tagged_event("e", MEGABYTE))
                await until(lambda: log_size(path) <= LIMIT + SLACK)
            finally:
                ending.set()
                for reader in readers:
                    reader.join()

    asyncio.run(main())


# When it cannot be done ------------------------------------------------------------------------


def test_a_failed_checkpoint_fails_no_call(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The disk has space for the log, but not for its copy in the larger file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("large", MEGABYTE * 30))
            await until(lambda: log_size(path) <= LIMIT)
            resource.setrlimit(resource.RLIMIT_FSIZE, (40 * 2**20, hard))
            try:
                await stores.events.append(tagged_event("large", MEGABYTE * 20))
                await until(lambda: bool(caplog.records))
                for n in range(10):
                    await stores.events.append(tagged_event(f"{n}"))
                    assert len(await stores.events.poll(2, 100)) == n + 1
                assert log_size(path) > LIMIT
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            await until(lambda: log_size(path) <= LIMIT)
            assert query(path, "PRAGMA integrity_check") == [("ok",)]

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert len(caplog.records) < 5  # not once per commit
    for record in caplog.records:
        assert f"{path}-wal could not be copied" in record.getMessage()
        assert "nothing is lost" in record.getMessage()


def test_another_process_with_the_lock_only_delays_it(path: Path, hearing: list[Heard]) -> None:
    begun: list[str] = []
    tried = threading.Event()
    armed = [False]

    def hear_of(_: sqlite3.Connection, sql: str) -> None:
        if "wal_checkpoint" in sql:
            begun.append(sql)
        elif armed[0] and sql.startswith("BEGIN IMMEDIATE"):
            tried.set()

    hearing.append(hear_of)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            for n in range(COMMITS - 1):
                await stores.events.append(tagged_event(f"{n}"))
            assert not begun
            with running(hold_lock, path, "BEGIN IMMEDIATE") as holder:
                assert await asyncio.to_thread(hear, holder) == "held"
                # The copy is attempted, and fails, before the next write.
                writer_of(stores)._checkpoints.committed()  # pyright: ignore[reportPrivateUsage]
                armed[0] = True
                end = stores.engine.listen(lambda: None)  # the writer wakes
                assert await asyncio.to_thread(tried.wait, 30)
                end()
                assert len(await stores.events.poll(0, 1000)) == COMMITS - 1
                assert not begun
                tell(holder)
            await until(lambda: len(begun) == 1)

    asyncio.run(main())


# Versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.0", True),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.52.0", False),
        ("4.0.0", False),
    ],
)
def test_versions_with_the_reset_bug(version: str, affected: bool) -> None:
    major, minor, patch = map(int, version.split("."))
    assert has_reset_bug((major, minor, patch)) is affected
