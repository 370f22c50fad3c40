"""Files of exports appear complete, links are followed, and nothing else is replaced."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pytest

import mobstore
from engines.support import hear, running, tell
from mobstore import InternalError, MobId, MobReset, NewMobEvent, WriteFailedError
from mobstore.maintenance.output_file import new_file
from mobstore.maintenance.transfer import export_stores
from mobstore.meerkat import export_meerkat

IN_USE = "is a SQLite database in use; name another file"


def write(path: Path, *, overwrite: bool = True) -> None:
    with new_file(path, overwrite=overwrite) as beside:
        assert beside.parent == Path(os.path.realpath(path)).parent
        beside.write_text("new")


def rejection(path: Path, *, overwrite: bool = True) -> str:
    with pytest.raises(WriteFailedError) as caught:
        write(path, overwrite=overwrite)
    return caught.value.detail


def test_a_link_is_kept_and_its_target_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old")
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "chain").symlink_to("link")
    write(tmp_path / "chain")
    assert (tmp_path / "chain").is_symlink()
    assert (tmp_path / "link").is_symlink()
    assert (folder / "file").read_text() == "new"
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    assert "exists already" in rejection(tmp_path / "link", overwrite=False)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    assert "cannot be written" in rejection(tmp_path / "circle")
    assert (tmp_path / "circle").is_symlink()


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "directory"])
def test_special_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, linked: bool, overwrite: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("there")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(str(path))
    elif kind == "directory":
        path.mkdir()
    elif os.getuid() == 0:  # not the real device, which root could replace
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    else:
        path = Path("/dev/null")
    named = path
    if linked:
        named = Path("link")
        named.symlink_to(path)
    before = path.lstat()
    said = rejection(named, overwrite=overwrite)
    assert f"{named} cannot be written: it is a {kind}, not a file" in said.replace("named ", "")
    after = path.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert not [entry for entry in Path().iterdir() if entry.name.startswith(".")]


@contextmanager
def umask(mask: int) -> Generator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444, 0o666])
def test_the_mode_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("secret")
    path.chmod(mode)
    with umask(0o077), new_file(path, overwrite=True) as beside:
        assert mode_of(beside) == 0o600
        beside.write_text("new")
    assert mode_of(path) == mode
    assert path.read_text() == "new"


def test_a_replaced_program_runs_for_no_other_user(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o6755)
    write(path)
    assert mode_of(path) == 0o755


@pytest.mark.parametrize(
    ("mask", "mode"), [(0, 0o600), (0o022, 0o600), (0o177, 0o600), (0o277, 0o400)]
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_new_file_is_private(tmp_path: Path, mask: int, mode: int, overwrite: bool) -> None:
    if mode == 0o400 and os.getuid():
        pytest.skip("of those with such a umask, root alone can write anything")
    with umask(mask):
        write(tmp_path / "file", overwrite=overwrite)
    assert mode_of(tmp_path / "file") == mode


def test_a_long_name(tmp_path: Path) -> None:
    """The hidden name is not longer than the longest name of a file."""
    path = tmp_path / ("\N{GRINNING FACE}" * 63 + "x")
    write(path, overwrite=False)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def without_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")  # the error on FAT


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_at_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    path = tmp_path / "file"

    def appear(_done: int, _total: int) -> None:
        path.write_text("dear")

    async def export() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset()))
            await export_meerkat(stores, path, progress=appear)

    with pytest.raises(WriteFailedError, match="file exists already; it was not changed"):
        asyncio.run(export())
    path.unlink()
    path.with_name("other").write_text("dear")
    for leads_to in ("other", "nowhere"):
        with pytest.raises(WriteFailedError, match="file exists already"), new_file(path):
            path.symlink_to(leads_to)
        path.unlink()
    write(path, overwrite=False)
    assert path.read_text() == "new"
    assert mode_of(path) == 0o600
    assert path.stat().st_nlink == 1
    assert path.with_name("other").read_text() == "dear"
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "other"}


def test_a_reserved_name_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links the name is reserved first, then the file is moved there."""

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "link", without_links)
    monkeypatch.setattr(Path, "replace", refuse)
    assert "input/output error" in rejection(tmp_path / "file", overwrite=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["sqlite:x.zip", "file:x.zip", "~/x.zip", "memory:"])
def test_urls_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    with pytest.raises(InternalError):
        write(Path(name))
    assert [path.name for path in tmp_path.iterdir()] == ["~"]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_database_with_a_log_is_not_replaced(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "mobs.db").write_text("old")
    (tmp_path / f"mobs.db{suffix}").write_text("log")
    assert IN_USE in rejection(tmp_path / "mobs.db")
    assert (tmp_path / "mobs.db").read_text() == "old"


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_no_file_takes_the_name_of_a_log(tmp_path: Path, suffix: str, overwrite: bool) -> None:
    with closing(sqlite3.connect(tmp_path / "mobs.db")) as file:
        file.execute("CREATE TABLE t (a)")
    path = tmp_path / f"mobs.db{suffix}"
    said = rejection(path, overwrite=overwrite)
    assert f"{path} has the name of a SQLite log of the file beside it" in said
    (tmp_path / "link").symlink_to(path.name)
    assert "has the name" in rejection(tmp_path / "link")
    assert "has the name" in rejection(tmp_path / path.name.upper().replace("MOBS.DB", "mobs.db"))
    assert {entry.name for entry in tmp_path.iterdir()} == {"mobs.db", "link"}
    write(tmp_path / f"other{suffix}", overwrite=overwrite)  # of no database


def test_a_log_without_its_database(tmp_path: Path) -> None:
    (tmp_path / "mob.db-wal").write_bytes(b"log")
    with (
        pytest.raises(WriteFailedError, match="does not exist, but a log of it does"),
        new_file(tmp_path / "mob.db"),
    ):
        pass


def test_a_store_is_not_replaced_by_its_own_export(tmp_path: Path) -> None:
    """Otherwise the open store would continue to write to a file without a name."""

    async def main() -> None:
        path = tmp_path / "mobs.db"
        (tmp_path / "link").symlink_to(path)
        async with mobstore.open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset()))
            for name in (path, tmp_path / "link"):
                with pytest.raises(WriteFailedError, match="is a SQLite database in use"):
                    await export_meerkat(stores, name, overwrite=True)
            await stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset()))
        async with mobstore.open_stores(f"sqlite:{path}") as stores:
            assert len(await stores.events.replay_all()) == 2

    asyncio.run(main())


def hard_link(path: Path) -> Path:
    os.link(path, path.with_name("link"))
    return path.with_name("link")


def symbolic_link(path: Path) -> Path:
    path.with_name("link").symlink_to(path.name)
    return path.with_name("link")


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("name", [Path, hard_link, symbolic_link])
@pytest.mark.parametrize("url", ["sqlite:{}", "memory:"])
def test_no_open_store_is_replaced(
    tmp_path: Path, name: Callable[[Path], Path], url: str, read_only: bool
) -> None:
    """Neither the exported store nor another one is replaced, under any name."""
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with mobstore.open_stores(path) as stores:
            await stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset()))
        async with (
            mobstore.open_stores(path, create=False, read_only=read_only) as opened,
            mobstore.open_stores(url.format(tmp_path / "other.db")) as other,
        ):
            stores = opened if url == "memory:" else other
            before = path.stat()
            named = name(path)
            with pytest.raises(WriteFailedError, match=IN_USE):
                await export_meerkat(stores, named, overwrite=True)
            with pytest.raises(WriteFailedError, match=IN_USE):
                await export_meerkat(opened, named, overwrite=True)
            assert path.stat().st_ino == before.st_ino
            assert len(await opened.events.replay_all()) == 1

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["r+b", "ab", "r+b unbuffered"])
def test_no_archive_is_written_into_an_open_database(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with (
            mobstore.open_stores(path) as stores,
            mobstore.open_stores("memory:") as memory,
        ):
            await stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset()))
            before = path.read_bytes()
            with path.open(mode[:3], buffering=0 if "un" in mode else -1) as file:
                for source in (stores, memory):
                    with pytest.raises(WriteFailedError, match="a SQLite database in use"):
                        await export_stores(source, cast("BinaryIO", file))
            assert path.read_bytes() == before

    asyncio.run(main())


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_no_archive_is_written_beside_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mobs.db").write_text("old")
    Path(f"mobs.db{suffix}").write_text("log")
    Path("link").symlink_to("mobs.db")

    async def export(name: Path, mode: str) -> None:
        with name.open(mode) as file:
            async with mobstore.open_stores("memory:") as stores:
                await export_stores(stores, cast("BinaryIO", file))

    for name in (Path("mobs.db"), Path("link")):
        with pytest.raises(WriteFailedError, match="a SQLite database in use"):
            asyncio.run(export(name, "r+b"))
    assert Path("mobs.db").read_text() == "old"
    asyncio.run(export(Path("mobs.zip"), "wb"))


def hold(path: str, journal: str, begin: str) -> None:
    """Child: hold a transaction open on a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(f"PRAGMA journal_mode = {journal}")
        file.execute(begin)
        file.execute("SELECT * FROM t").fetchall()
        print("ready", flush=True)
        sys.stdin.readline()


@pytest.mark.slow
@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN EXCLUSIVE"])
def test_a_database_in_use_by_another_process(tmp_path: Path, begin: str) -> None:
    """A transaction in progress is detected by its lock, even without a log."""
    path = tmp_path / "mobs.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE t (a)")
    before = path.read_bytes()
    with running(hold, path, "MEMORY", begin) as child:
        hear(child)
        assert {entry.name for entry in tmp_path.iterdir()} == {"mobs.db"}
        assert IN_USE in rejection(path)
        tell(child)
        assert child.wait() == 0
    assert path.read_bytes() == before
    write(path)  # not in use any more, and to be overwritten
    assert path.read_text() == "new"


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_an_unused_database_is_replaced(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "mobs.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA journal_mode = {journal}")
        file.execute("CREATE TABLE t (a)")
    write(path)
    assert path.read_text() == "new"
    assert {entry.name for entry in tmp_path.iterdir()} == {"mobs.db"}
