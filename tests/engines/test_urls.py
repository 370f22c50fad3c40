"""URLs and paths: each works, or is rejected with the URL to write instead."""

from __future__ import annotations

import asyncio
import ntpath
import posixpath
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any

import pytest

import mobstore
from mobstore import MobStoreError, SqliteMobStores, SqliteRealmProfileStore, UsageError
from mobstore.stores.urls import Place, parse_path, parse_url


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "C:\\Users\\ann")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("memory:", Place("memory")),
        ("indexeddb:mobs", Place("indexeddb", "mobs")),
        ("indexeddb:C:/x ~?", Place("indexeddb", "C:/x ~?")),
        *(
            (f"sqlite:{path}", Place("sqlite", path))
            for path in (
                "mobs.db", "./mobs.db", "../mobs.db", "/mobs.db", "/a/b c/mobs.db", "two words.db",
                "100%.db", "%20.db", "what?mode=memory.db", "a#b.db", "Grüße-日本語-🦦.db", " .db",
                "./~/x.db", "/a/~/x.db", "~mobs.db", "x~", "./file:x.db", "/a/file:x.db",
                "./sqlite:x.db", "./:memory:", ":memory:.db", "back\\slash.db", "./C:\\x.db",
                "C:x.db", "./\\\\x", "files:x", "a//b.db", "line\nbreak.db", "filet.db", "memory",
            )
        ),
    ],
)  # fmt: skip
def test_literal_paths(url: str, place: Place) -> None:
    assert parse_url(url, posixpath) == place
    if place.engine == "sqlite":
        assert parse_path(place.name, posixpath) == place.name


@pytest.mark.parametrize(
    "path", ["mobs.db", "C:\\x.db", "C:/x.db", "c:x.db", "\\x.db", "/x.db", "a\\b.db", ".\\~\\x.db"]
)
def test_literal_paths_on_windows(path: str) -> None:
    assert parse_url(f"sqlite:{path}", ntpath) == Place("sqlite", path)
    assert parse_path(path, ntpath) == path


def test_path_objects_are_sqlite_files() -> None:
    assert parse_url(PurePosixPath("/a/mobs.db"), posixpath) == Place("sqlite", "/a/mobs.db")
    assert parse_url(PureWindowsPath("C:/mobs.db"), ntpath) == Place("sqlite", "C:\\mobs.db")


POSIX = [
    ("sqlite:///x.db", "looks like a SQLAlchemy URL; use sqlite:x.db (relative) or sqlite:/x.db"),
    ("sqlite://x.db", "looks like a SQLAlchemy URL; use sqlite:x.db (relative) or sqlite:/x.db"),
    ("sqlite:////a/x.db", "looks like a SQLAlchemy URL; use sqlite:/a/x.db"),
    ("sqlite+aiosqlite:///x.db", "looks like a SQLAlchemy URL; use sqlite:x.db (relative) or"),
    ("sqlite+pysqlcipher://:secret@/x.db", "looks like a SQLAlchemy URL; use sqlite:x.db (rel"),
    ("sqlite://", "looks like a SQLAlchemy URL; use memory:"),
    ("sqlite:///:memory:", "looks like a SQLAlchemy URL; use memory:"),
    ("sqlite:///C:/x.db", "looks like a SQLAlchemy URL; use sqlite:/path/to/x.db"),
    ("SQLITE:mobs.db", "is not lower case; use sqlite:mobs.db"),
    ("sqlite:~/x.db", "begins with ~, which is not expanded; use sqlite:/home/ann/x.db"),
    ("~/x.db", "begins with ~, which is not expanded; use sqlite:/home/ann/x.db"),
    ("sqlite:~", "begins with ~, which is not expanded; use sqlite:/home/ann"),
    ("sqlite:~nobody-here/x", "not expanded; use sqlite:PATH with the directory in full"),
    ("sqlite:C:\\x.db", "is a Windows path; use sqlite:/path/to/x.db"),
    ("C:\\x.db", "is a Windows path; use sqlite:/path/to/x.db"),
    ("C:/x.db", "is a Windows path; use sqlite:/path/to/x.db"),
    ("sqlite:\\\\server\\share\\x.db", "is a Windows path; use sqlite:/path/to/x.db"),
    ("\\\\?\\C:\\x.db", "is a Windows path; use sqlite:/path/to/x.db"),
    ("file:x.db", "is a file URI; use sqlite:x.db"),
    ("file:/a/x.db", "is a file URI; use sqlite:/a/x.db"),
    ("file:///a/two%20words.db?mode=ro#x", "is a file URI; use sqlite:/a/two words.db"),
    ("file://localhost/a/x.db", "is a file URI; use sqlite:/a/x.db"),
    ("sqlite:file:x.db", "is a file URI; use sqlite:x.db"),
    ("FILE:x.db", "is a file URI; use sqlite:x.db"),
    (":memory:", "is not a URL; use memory:"),
    ("sqlite::memory:", "for stores in memory use memory:"),
    ("sqlite:memory:", "names an engine twice; use memory:"),
    ("sqlite:sqlite:x.db", "names an engine twice; use sqlite:x.db"),
    ("memory://", 'memory: takes no name; each open_stores("memory:") is'),
    ("memory:x", 'memory: takes no name; each open_stores("memory:") is'),
    ("indexeddb://mobs", "has slashes before its name; use indexeddb:mobs"),
    ("mobs.db", "mobs.db is a path, not a URL; use sqlite:mobs.db"),
    ("/a/b:c/mobs.db", "is a path, not a URL; use sqlite:/a/b:c/mobs.db"),
    ("./mobs.db", "is a path, not a URL; use sqlite:./mobs.db"),
    ("//a/mobs.db", "is a path, not a URL; use sqlite:/a/mobs.db"),
    ("memory", "has no colon; use memory:"),
    ("sqlite", "has no colon; use sqlite:PATH"),
    ("mysql://ann:secret@host/db", "no engine for 'mysql:'; use memory:, sqlite:PATH or postgr"),
    ("", "a store's URL is not empty; use memory:, sqlite:PATH or postgresql://HOST/DBNAME"),
    (":", "no engine for ':'; use memory:, sqlite:PATH or postgresql://HOST/DBNAME"),
    ("sqlite:", "needs a path, such as sqlite:mobs.db"),
    ("sqlite:a\0b", "a path cannot contain NUL"),
    (PurePosixPath("~/x.db"), "not expanded; use /home/ann/x.db"),
    (PurePosixPath("sqlite:x.db"), "is a URL, not a path; use open_stores('sqlite:x.db'), or the"),
    (PurePosixPath("file:x.db"), "is a file URI; use x.db"),
    (5, "named by a URL such as sqlite:mobs.db, or a path, not int"),
    (None, "named by a URL such as sqlite:mobs.db, or a path, not NoneType"),
    (b"sqlite:x.db", "named by a URL such as sqlite:mobs.db, or a path, not bytes"),
]
WINDOWS = [
    ("C:\\x.db", "C:\\x.db is a path, not a URL; use sqlite:C:\\x.db"),
    ("C:/x.db", "is a path, not a URL; use sqlite:C:/x.db"),
    ("sqlite:///C:/x.db", "looks like a SQLAlchemy URL; use sqlite:C:/x.db"),
    ("sqlite:///C:\\x.db", "looks like a SQLAlchemy URL; use sqlite:C:\\x.db"),
    ("sqlite:/C:/x.db", "has a slash before its drive; use sqlite:C:/x.db"),
    ("sqlite:\\\\?\\C:\\x.db", "is an extended-length path; use sqlite:C:\\x.db"),
    ("\\\\?\\C:\\x.db", "is an extended-length path; use sqlite:C:\\x.db"),
    ("sqlite:\\\\server\\share\\x.db", "network share, where SQLite keeps no WAL; use sqlite:C:\\"),
    (
        "\\\\server\\share\\x.db",
        "is on a network share, where SQLite keeps no WAL; use sqlite:C:\\",
    ),
    ("\\\\?\\UNC\\server\\share\\x.db", "is on a network share, where SQLite keeps no WAL"),
    ("//server/share/x.db", "is on a network share, where SQLite keeps no WAL"),
    ("file:///C:/two%20words.db", "is a file URI; use sqlite:C:/two words.db"),
    ("sqlite:~\\x.db", "not expanded; use sqlite:C:\\Users\\ann\\x.db"),
    ("~/x.db", "begins with ~, which is not expanded; use sqlite:C:\\Users\\ann/x.db"),
    ("mobs.db", "mobs.db is a path, not a URL; use sqlite:mobs.db"),
]


@pytest.mark.parametrize(
    ("flavour", "url", "words"),
    [*((posixpath, *one) for one in POSIX), *((ntpath, *one) for one in WINDOWS)],
)
def test_look_alikes_name_the_url_to_write(flavour: ModuleType, url: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url, flavour)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    _, advised, use = str(caught.value).partition("; use ")
    use = use.partition(" (")[0]
    if (
        advised
        and isinstance(url, str)
        and not {"PATH", "NAME"} & set(use.replace(":", " ").split())
    ):
        assert parse_url(use, flavour), "what is advised works"


@pytest.mark.parametrize("url", ["{}", "sqlite://{}", "{}:x", "~/{}", "file:{}", "sqlite:~/{}"])
def test_messages_are_short_and_printable(url: str) -> None:
    for name in ("x" * 900_000, "\x1b]0;title\x07\u202e" * 100, "x+" * 100_000):
        with pytest.raises(UsageError) as caught:
            parse_url(url.format(name))
        assert len(str(caught.value)) < 1_500
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("sqlite:x.db", "is a URL, not a path; use open_stores('sqlite:x.db'), or the path x.db"),
        ("memory:", "is a URL, not a path; use open_stores('memory:')"),
        ("sqlite:///x.db", "looks like a SQLAlchemy URL; use sqlite:x.db (relative)"),
        ("file:x.db", "is a file URI; use x.db"),
        ("~/x.db", "begins with ~, which is not expanded; use /home/ann/x.db"),
        ("C:\\x.db", "is a Windows path; use /path/to/x.db"),
        (":memory:", "for stores in memory use memory:"),
        ("", "needs a path"),
        (5, "or a path, not int"),
    ],
)
def test_paths_that_are_none(path: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_path(path, posixpath)
    assert words in str(caught.value)


@pytest.mark.parametrize("url", [url for url, _ in POSIX])
def test_nothing_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: Any) -> None:
    monkeypatch.chdir(tmp_path)
    root = sorted(path.name for path in Path("/").iterdir())

    async def main() -> None:
        with pytest.raises(UsageError):
            async with mobstore.open_stores(url):
                pass
        if str(url).startswith(("sqlite:", "file:", "memory:", "~/", "C:", "\\\\")):
            for way in (SqliteMobStores.open, SqliteRealmProfileStore.open):
                with pytest.raises(MobStoreError):
                    await way(url)

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.name for path in Path("/").iterdir()) == root


def test_a_path_object_opens_its_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with mobstore.open_stores(tmp_path / "a b.db") as stores:
            assert await stores.events.latest_cursor() == 0

    asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["a b.db"]
