"""`open_stores`: which files and options it rejects, and that it does not change them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import pickle
import re
import shutil
import socket
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import mobstore
from engines.children import (
    as_nobody,
    die_making,
    die_with_a_journal,
    die_with_a_log,
    open_only,
    without_descriptors,
)
from engines.support import (
    TESTS,
    hear,
    no_store_threads,
    open_files,
    output,
    plain,
    query,
    running,
    side_files,
)
from mobstore import (
    InternalError,
    MobStoreError,
    ReadFailedError,
    SqliteMobStores,
    SqliteRealmProfileStore,
    WriteFailedError,
    open_stores,
)
from mobstore.engines.sqlite import file
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tagged_event

WAL_HEADER = 32
WRITE_VERSION = 18  # its place in a database's header


def refused(url: str, **options: Any) -> MobStoreError:
    """Return the error of an attempt to open a store; no file may stay open."""

    async def main() -> MobStoreError:
        with pytest.raises(MobStoreError) as caught:
            async with open_stores(url, **options):
                pass
        return caught.value

    error = asyncio.run(main())
    assert "\n" not in str(error)
    return error


def usable(path: Path | str) -> None:
    async def main() -> None:
        for _ in range(2):  # new, then existing
            async with open_stores(f"sqlite:{path}") as stores:
                await stores.events.append(tagged_event("e"))
        async with open_stores(f"sqlite:{path}") as stores:
            assert len(await stores.events.poll(0, 10)) == 2

    asyncio.run(main())


def assert_untouched(path: Path, before: bytes) -> None:
    assert path.read_bytes() == before
    assert no_store_threads()
    assert side_files(path) == []
    assert open_files(path.parent) == []


# URLs and options ------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["", "FULL", "off", None, 1, ["full"]])
@pytest.mark.parametrize("engine", ["sqlite", "memory"])
def test_unknown_durability(tmp_path: Path, engine: str, durability: Any) -> None:
    error = refused(url_of(engine, tmp_path), durability=durability)
    assert type(error) is InternalError
    assert "durability is 'full' or 'normal'" in str(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": None}, "timeout is a number of seconds, 0 or more, not None"),
        ({"timeout": "5"}, "timeout is a number of seconds, 0 or more, not str"),
        ({"timeout": True}, "timeout is a number of seconds, 0 or more, not bool"),
        ({"timeout": -1}, "timeout is a number of seconds, 0 or more"),
        ({"timeout": float("nan")}, "timeout is a number of seconds, 0 or more"),
        ({"timeout": float("inf")}, "timeout is a number of seconds, 0 or more"),
        ({"create": None}, "create is True or False, not None"),
        ({"create": "no"}, "create is True or False, not str"),
        ({"clock": None}, "clock is a function that returns a Timestamp, not None"),
        ({"clock": "noon"}, "clock is a function that returns a Timestamp, not str"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite", "memory"])
def test_options_of_a_wrong_type(
    tmp_path: Path, engine: str, options: dict[str, Any], words: str
) -> None:
    error = refused(url_of(engine, tmp_path), **options)
    assert type(error) is InternalError
    assert words in str(error)
    assert list(tmp_path.iterdir()) == []


def url_of(engine: str, folder: Path) -> str:
    return "memory:" if engine == "memory" else f"sqlite:{folder}/mobs.db"


def test_the_other_ways_to_open_refuse_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        for way in (SqliteMobStores.open, SqliteRealmProfileStore.open):
            with pytest.raises(ReadFailedError, match="does not exist; create it first"):
                await way(tmp_path / "missing" / "mobs.db")
            with pytest.raises(InternalError, match="needs a path"):
                await way("")

    asyncio.run(main())


# Paths -----------------------------------------------------------------------------------------


def test_missing_directory(tmp_path: Path) -> None:
    error = refused(f"sqlite:{tmp_path}/missing/mobs.db")
    assert type(error) is ReadFailedError
    assert str(tmp_path / "missing") in str(error)
    assert "create it first" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_shall_not_be_created(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    error = refused(f"sqlite:{path}", create=False)
    assert type(error) is ReadFailedError
    assert f"{path} does not exist; is the name right?" in str(error)
    assert list(tmp_path.iterdir()) == []
    usable(path)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", create=False) as stores:
            assert len(await stores.events.replay_all()) == 2

    asyncio.run(main())


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    error = refused(f"sqlite:{tmp_path}/file/mobs.db")
    assert type(error) is ReadFailedError
    assert (tmp_path / "file").read_text() == "text"


def test_directory(tmp_path: Path) -> None:
    error = refused(f"sqlite:{tmp_path}")
    assert type(error) is ReadFailedError
    assert "is a directory; name a file in it" in str(error)


def test_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    error = refused(f"sqlite:{tmp_path}/circle")
    assert isinstance(error, (ReadFailedError, WriteFailedError))
    (tmp_path / "link").symlink_to("real.db")
    usable(tmp_path / "link")
    assert (tmp_path / "real.db").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "two words.db",
        "100%.db",
        "%20.db",
        "what?mode=memory.db",
        "a#b.db",
        "Grüße-日本語-🦦.db",
        "e\u0301.db",
        "it's.db",
        '"quoted".db',
        "back\\slash.db",
        "semi;colon.db",
        "amp&vfs=none.db",
        "line\nbreak.db",
        "file:mobs.db",
        ":memory:.db",
        " .db",
        "no-suffix",
        os.fsdecode(b"latin-1-\xfc.db"),
    ],
)
def test_names_are_taken_as_they_stand(tmp_path: Path, name: str) -> None:
    usable(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_names_are_printable_in_messages(tmp_path: Path) -> None:
    """A printed traceback must not contain them."""
    for made in (None, b"no database", "directory"):
        path = tmp_path / f"{len(str(made))}\x1b]0;title\x07\u202eb.db"
        if isinstance(made, bytes):
            path.write_bytes(made)
        elif made:
            path.mkdir()
        error = refused(f"sqlite:{path}", create=False)
        assert isinstance(error, ReadFailedError)
        assert str(error).isprintable()
        assert r"\x1b]0;title\x07\u202eb.db" in str(error)


@pytest.mark.parametrize("kind", ["missing-wal", "missing-journal", "empty-wal"])
def test_a_log_without_its_file_is_kept(tmp_path: Path, kind: str) -> None:
    """SQLite would remove the log when it creates the file, and it may hold the last commits."""
    path = tmp_path / "mobs.db"
    there, _, suffix = kind.partition("-")
    log = tmp_path / f"mobs.db-{suffix}"
    log.write_bytes(b"commits" * 1000)
    if there == "empty":
        path.touch()
    error = refused(f"sqlite:{path}")
    assert isinstance(error, ReadFailedError)
    assert "may hold the last commits of a file that was moved or lost" in str(error)
    assert log.read_bytes() == b"commits" * 1000
    assert path.exists() == (there == "empty")


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with open_stores("sqlite:mobs.db") as stores:
            # The file stays open, wherever the process goes; readers are opened later.
            monkeypatch.chdir(elsewhere)
            await stores.events.append(tagged_event("e"))
            assert len(await stores.events.poll(0, 10)) == 1
            assert len(await stores.events.replay_all()) == 1

    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(home)
    asyncio.run(main())
    assert [entry.name for entry in home.iterdir()] == ["mobs.db"]
    assert not list(elsewhere.iterdir())


def test_a_working_directory_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    error = refused("sqlite:mobs.db")
    assert isinstance(error, ReadFailedError)
    assert "mobs.db cannot be opened: the working directory was removed" in str(error)
    usable(tmp_path / "mobs.db")


def test_a_name_with_a_nul_opens_no_other_file(tmp_path: Path) -> None:
    usable(tmp_path / "mobs.db")
    before = (tmp_path / "mobs.db").read_bytes()
    error = refused(f"sqlite:{tmp_path}/mobs.db\0.db")
    assert isinstance(error, (InternalError, ReadFailedError))
    assert (tmp_path / "mobs.db").read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_paths_that_are_not_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(str(path))
    else:
        path.symlink_to("/dev/full")
    printed = output(open_only, path, seconds=10)  # may never return
    assert "FailedError" in printed
    assert "SQLITE_ERROR" not in printed


# Files -----------------------------------------------------------------------------------------


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


# Rights ----------------------------------------------------------------------------------------


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that any user may enter, unlike those of pytest."""
    if os.getuid() != 0:
        pytest.skip("needs root: only root can become another user")
    directory = Path(tempfile.mkdtemp(prefix="mobstore-test-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def modes(directory: Path) -> dict[str, int]:
    return {entry.name: entry.stat().st_mode & 0o777 for entry in directory.iterdir()}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o600), (0, 0o600), (0o277, 0o400)])
def test_a_new_store_belongs_to_its_owner_only(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            await stores.events.replay_all()
            assert modes(tmp_path) == dict.fromkeys(("mobs.db", "mobs.db-wal", "mobs.db-shm"), mode)

    before = os.umask(umask)
    try:
        asyncio.run(main())
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["empty", "a store"])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, kind: str) -> None:
    """The owner has shared the file with a group."""
    path = tmp_path / "mobs.db"
    path.touch()
    if kind == "a store":
        usable(path)
    path.chmod(0o664)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            assert set(modes(tmp_path).values()) == {0o664}
            await stores.compact()
        assert modes(tmp_path) == {"mobs.db": 0o664}

    asyncio.run(main())


def _opened_by_nobody(path: Path) -> tuple[str, str, bool]:
    kind, text, has_cause = json.loads(output(as_nobody, f"sqlite:{path}"))
    return kind, text, has_cause


def test_a_directory_that_anybody_may_write(public: Path) -> None:
    assert _opened_by_nobody(public / "mobs.db")[0] == "fine"


@pytest.mark.parametrize("empty", [True, False])
def test_read_only_file(public: Path, empty: bool) -> None:
    path = public / "mobs.db"
    if empty:
        path.touch()
    else:
        usable(path)
    path.chmod(0o444)
    before = path.read_bytes()
    kind, text, has_cause = _opened_by_nobody(path)
    assert kind == "WriteFailedError"
    assert "is read-only; make the file, its directory and its -wal and -shm files" in text
    assert has_cause
    assert path.read_bytes() == before


@pytest.mark.parametrize("exists", [True, False])
def test_read_only_directory(public: Path, exists: bool) -> None:
    path = public / "mobs.db"
    if exists:
        usable(path)
        path.chmod(0o666)
    public.chmod(0o555)
    kind, text, has_cause = _opened_by_nobody(path)
    assert kind == "WriteFailedError"
    assert "directory" in text
    assert has_cause
    assert side_files(path) == []


@pytest.mark.parametrize("what", ["file", "directory"])
def test_without_the_right_to_read(public: Path, what: str) -> None:
    path = public / "mobs.db"
    usable(path)
    (path if what == "file" else public).chmod(0)
    kind, text, has_cause = _opened_by_nobody(path)
    public.chmod(0o777)
    assert kind == "ReadFailedError"
    assert ("is not readable" if what == "file" else "cannot be opened") in text
    assert has_cause


def test_read_only_for_us_while_another_writes(public: Path) -> None:
    """Opening fails, because callers expect to write."""
    path = public / "mobs.db"

    def make_read_only() -> None:
        for entry in public.iterdir():
            entry.chmod(0o444)

    async def main() -> str:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            make_read_only()
            return await asyncio.to_thread(output, as_nobody, f"sqlite:{path}", "only open")

    kind, text, has_cause = json.loads(asyncio.run(main()))
    assert kind == "WriteFailedError"
    assert "is read-only" in text
    assert has_cause


def test_a_file_that_only_a_later_sqlite_can_write(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    usable(path)
    content = bytearray(path.read_bytes())
    content[WRITE_VERSION] = 3
    path.write_bytes(content)
    error = refused(f"sqlite:{path}")
    assert type(error) is WriteFailedError
    assert_untouched(path, bytes(content))


# What is no store yet --------------------------------------------------------------------------


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
        if path.exists() and path.stat().st_size and not query_mark(path):
            raise AssertionError(f"{path} has content but no mark")
        assert asyncio.run(appended(path)) == 1


async def appended(path: Path) -> int:
    async with open_stores(f"sqlite:{path}", timeout=1) as stores:
        return (await stores.events.append(tagged_event("e"))).cursor


def query_mark(path: Path) -> bool:
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


# Descriptors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["opening", "reading"])
def test_no_descriptors_left(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "mobs.db"
    usable(path)
    for told in output(without_descriptors, path, moment).splitlines():
        assert "this process has no file descriptors left; close some files" in told
    usable_again = asyncio.run(count_events(path))
    assert usable_again == 2


async def count_events(path: Path) -> int:
    async with open_stores(f"sqlite:{path}", create=False) as stores:
        return len(await stores.events.replay_all())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 249 + ".db", "its name 252"),
        ("/".join(["d" * 100] * 6), "SQLite allows 500"),
        ("\ud800.db", "characters that no file name on this system can have"),
    ],
)
def test_paths_that_no_database_can_have(tmp_path: Path, name: str, words: str) -> None:
    async def main() -> None:
        with pytest.raises(ReadFailedError, match=words):
            await open_stores(f"sqlite:{tmp_path}/{name}")

    asyncio.run(main())
    assert not list(tmp_path.iterdir())


def test_open_stores_are_not_pickled(tmp_path: Path) -> None:
    async def main() -> None:
        for url in ("memory:", f"sqlite:{tmp_path / 'mobs.db'}"):
            async with open_stores(url) as stores:
                for copy in (pickle.dumps, deepcopy):
                    with pytest.raises(TypeError, match="pass its URL and open it there"):
                        copy(stores)

    asyncio.run(main())
