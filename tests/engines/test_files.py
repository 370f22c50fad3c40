"""Files that are not stores, or not yet: `open_stores` rejects them unchanged, or creates one."""

from __future__ import annotations

import asyncio
import gzip
import re
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import mobstore
from engines.attempts import assert_untouched, refused, usable
from engines.children import (
    die_making,
    die_with_a_journal,
    die_with_a_log,
)
from engines.support import (
    TESTS,
    hear,
    output,
    plain,
    query,
    running,
    side_files,
)
from mobstore import (
    ReadFailedError,
    WriteFailedError,
    open_stores,
)
from mobstore.engines.sqlite import file
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tagged_event

WAL_HEADER = 32


@pytest.mark.parametrize(
    "content", [b"just text\n", b"x", b"SQLite format 2\0" + bytes(4096), bytes(4096)]
)
def test_not_a_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    error = refused(f"sqlite:{path}")
    assert type(error) is ReadFailedError
    assert "is not a SQLite database; use another file" in str(error)
    assert_untouched(path, content)


@pytest.mark.parametrize("length", [16, 50, 99, 100, 512, 1024])
def test_a_beginning_of_a_database(tmp_path: Path, length: int) -> None:
    path = tmp_path / "mobs.db"
    usable(path)
    content = path.read_bytes()[:length]
    path.write_bytes(content)
    error = refused(f"sqlite:{path}")
    assert isinstance(error, (ReadFailedError, WriteFailedError))
    assert error.__cause__ is not None
    assert_untouched(path, content)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    path.touch()
    usable(path)


def test_an_empty_database_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    with closing(plain(path)) as connection:
        connection.execute("VACUUM")
    usable(path)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE notes (text)",
        "CREATE TABLE events (cursor INTEGER PRIMARY KEY)",  # also a name of mobstore
        "CREATE VIEW v AS SELECT 1",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 7",
    ],
)
def test_a_database_of_another_program(tmp_path: Path, journal: str, statement: str) -> None:
    path = tmp_path / "other.db"
    with closing(plain(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute(statement)
    before = path.read_bytes()
    error = refused(f"sqlite:{path}")
    assert type(error) is ReadFailedError
    assert "is a SQLite database of another program; use another file" in str(error)
    assert_untouched(path, before)


def test_a_database_that_another_program_left_in_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with running(die_with_a_log, path) as process:
        assert hear(process) == "ready"
        process.wait()
    before = path.read_bytes()
    log = (tmp_path / "other.db-wal").read_bytes()
    assert len(log) > WAL_HEADER
    error = refused(f"sqlite:{path}")
    assert "of another program" in str(error)
    assert path.read_bytes() == before, "a foreign database was changed"
    assert (tmp_path / "other.db-wal").read_bytes() == log
    assert query(path, "SELECT text FROM notes") == [("hello",)]


def test_a_database_that_another_program_left_within_a_write(tmp_path: Path) -> None:
    """Opening it for writing would roll its journal back, which another program has to do."""
    path = tmp_path / "other.db"
    with running(die_with_a_journal, path) as process:
        assert hear(process) == "ready"
        process.wait()
    before = path.read_bytes()
    journal = (tmp_path / "other.db-journal").read_bytes()
    for read_only in (False, True):
        error = refused(f"sqlite:{path}", read_only=read_only)
        assert type(error) is ReadFailedError
        assert "was left in the middle of a write; open it once for writing" in str(error)
    assert path.read_bytes() == before
    assert (tmp_path / "other.db-journal").read_bytes() == journal
    assert query(path, "SELECT count(*) FROM notes") == [(0,)]


def test_a_database_of_the_reference(tmp_path: Path) -> None:
    path = tmp_path / "tide-desk.db"
    before = gzip.decompress((TESTS / "golden" / "tide-desk-meerkat-0.5.2.db.gz").read_bytes())
    path.write_bytes(before)
    error = refused(f"sqlite:{path}")
    assert type(error) is ReadFailedError
    assert "is a database of meerkat-mob" in str(error)
    assert f"mobstore import {path}" in str(error)
    assert_untouched(path, before)


def test_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    usable(path)
    with closing(plain(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()
    error = refused(f"sqlite:{path}")
    assert type(error) is ReadFailedError
    said = f"has mobstore format {FORMAT + 1}, this mobstore knows {FORMAT}; update it"
    assert said in str(error)
    assert_untouched(path, before)


def test_the_application_id_without_tables(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    with closing(plain(path)) as connection:
        connection.execute(f"PRAGMA application_id = {struct.unpack('>i', b'mobs')[0]}")
    before = path.read_bytes()
    error = refused(f"sqlite:{path}")
    assert isinstance(error, (ReadFailedError, WriteFailedError))
    assert_untouched(path, before)


class _Interrupted(sqlite3.Connection):
    """A connection with another process's transaction between two statements."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.before: dict[str, Any] = {}

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        for start, act in list(self.before.items()):
            if sql.startswith(start):
                del self.before[start]
                act()
        return super().execute(sql, *parameters)


@pytest.mark.parametrize("moment", ["PRAGMA user_version", "SELECT name", "PRAGMA journal_mode"])
def test_a_file_that_becomes_a_store_while_it_is_looked_at(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "mobs.db"
    path.touch()

    async def create() -> None:
        # The inspection may lock the other process out for so long.
        with suppress(WriteFailedError):
            async with open_stores(f"sqlite:{path}", timeout=0.1):
                pass

    with closing(sqlite3.connect(path, isolation_level=None, factory=_Interrupted)) as connection:
        connection.before[moment] = lambda: asyncio.run(create())
        file._prepare(connection, path, create=True)  # pyright: ignore[reportPrivateUsage]
    usable(path)


@pytest.mark.parametrize("kind", ["empty", "an empty database", "an empty database with a WAL"])
def test_an_empty_file_becomes_a_store_only_with_create(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mobs.db"
    path.touch()
    if kind != "empty":
        with closing(plain(path)) as connection:
            connection.execute("VACUUM")
            if "WAL" in kind:
                connection.execute("PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    error = refused(f"sqlite:{path}", create=False)
    assert type(error) is ReadFailedError
    assert "is empty, there is no store in it; is the name right?" in str(error)
    assert_untouched(path, before)
    usable(path)


def test_a_copy_of_a_new_store_is_a_store(tmp_path: Path) -> None:
    """The copy is a store without its log: the whole store is in the file itself."""
    path, copy = tmp_path / "mobs.db", tmp_path / "copy.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            # In a child process: a read of the file here would drop this process's locks.
            process = await asyncio.create_subprocess_exec("cp", path, copy)
            assert await process.wait() == 0
            await stores.events.append(tagged_event("e"))
        async with open_stores(f"sqlite:{copy}", create=False) as stores:
            assert await stores.events.latest_cursor() == 0
            assert not (await mobstore.verify(stores)).problems
        async with open_stores(f"sqlite:{copy}", read_only=True) as stores:
            assert await stores.events.replay_all() == []

    asyncio.run(main())


@pytest.mark.slow
def test_killed_while_a_store_is_created(tmp_path: Path) -> None:
    """Before whichever statement the process dies, the file is empty, or a store."""
    died = int(output(die_making, tmp_path))
    assert died > 20
    for number in range(died):
        path = tmp_path / f"{number}.db"
        if path.exists() and path.stat().st_size and not has_application_id(path):
            raise AssertionError(f"{path} has content but no application id")
        assert asyncio.run(appended(path)) == 1


async def appended(path: Path) -> int:
    async with open_stores(f"sqlite:{path}", timeout=1) as stores:
        return (await stores.events.append(tagged_event("e"))).cursor


def has_application_id(path: Path) -> bool:
    ((mark,),) = query(path, "PRAGMA application_id")
    return bool(mark == file.APPLICATION_ID)


def test_tables_without_the_application_id(tmp_path: Path) -> None:
    """`.dump` copies a store in this way; the advice in the message works."""
    path, copy = tmp_path / "mobs.db", tmp_path / "copy.db"
    usable(path)
    with closing(plain(path)) as one, closing(plain(copy)) as other:
        other.executescript("\n".join(one.iterdump()))
    before = copy.read_bytes()
    error = refused(f"sqlite:{copy}")
    assert type(error) is ReadFailedError
    assert (
        "has the tables of a store but not its application id, like a copy made by `.dump`"
        in str(error)
    )
    assert_untouched_beside(copy, before)
    marks = re.findall(r"PRAGMA (\w+ = )(?:its format \(now )?(\d+)", str(error))
    assert len(marks) == 2
    for name, value in marks:
        query(copy, f"PRAGMA {name}{value}")

    async def main() -> None:
        async with open_stores(f"sqlite:{copy}", create=False) as stores:
            assert len(await stores.events.replay_all()) == 2
            assert not (await mobstore.verify(stores)).problems

    asyncio.run(main())


def assert_untouched_beside(path: Path, before: bytes) -> None:
    assert path.read_bytes() == before
    assert not [name for name in side_files(path) if name.startswith(path.name)]
