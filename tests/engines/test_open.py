"""`open_stores`: which options and paths it rejects."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from engines.attempts import refused, usable
from engines.children import (
    open_only,
    without_descriptors,
)
from engines.support import (
    output,
)
from mobstore import (
    ReadFailedError,
    SqliteMobStores,
    SqliteRealmProfileStore,
    UsageError,
    WriteFailedError,
    open_stores,
)
from mobstore.testing.samples import tagged_event

# URLs and options ------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["", "FULL", "off", None, 1, ["full"]])
@pytest.mark.parametrize("engine", ["sqlite", "memory"])
def test_unknown_durability(tmp_path: Path, engine: str, durability: Any) -> None:
    error = refused(url_of(engine, tmp_path), durability=durability)
    assert type(error) is UsageError
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
    assert type(error) is UsageError
    assert words in str(error)
    assert list(tmp_path.iterdir()) == []


def url_of(engine: str, folder: Path) -> str:
    return "memory:" if engine == "memory" else f"sqlite:{folder}/mobs.db"


def test_the_other_ways_to_open_refuse_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        for way in (SqliteMobStores.open, SqliteRealmProfileStore.open):
            with pytest.raises(ReadFailedError, match="does not exist; create it first"):
                await way(tmp_path / "missing" / "mobs.db")
            with pytest.raises(UsageError, match="needs a path"):
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


@pytest.mark.slow
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
    assert isinstance(error, (UsageError, ReadFailedError))
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
