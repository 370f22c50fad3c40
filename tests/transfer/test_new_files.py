"""Where exports go: files appear whole, links are followed, and nothing else is replaced."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from mobstore import InternalError, MobId, MobReset, NewMobEvent, WriteFailedError
from mobstore.meerkat import export_meerkat
from mobstore.transfer.files import new_file


def write(path: Path, *, overwrite: bool = True) -> None:
    with new_file(path, overwrite=overwrite) as beside:
        assert beside.parent == Path(os.path.realpath(path)).parent
        beside.write_text("new")


def refusal(path: Path, *, overwrite: bool = True) -> str:
    with pytest.raises(WriteFailedError) as caught:
        write(path, overwrite=overwrite)
    return caught.value.detail


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
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


def test_a_link_that_leads_nowhere_yet(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    assert "is there already" in refusal(tmp_path / "link", overwrite=False)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    assert "cannot be written" in refusal(tmp_path / "circle")
    assert (tmp_path / "circle").is_symlink()


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "directory"])
def test_what_is_no_file_stays(
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
    elif os.getuid() == 0:  # never the real one, which root would replace
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    else:
        path = Path("/dev/null")
    named = path
    if linked:
        named = Path("link")
        named.symlink_to(path)
    before = path.lstat()
    said = refusal(named, overwrite=overwrite)
    assert f"{named} cannot be written: it is a {kind}, not a file" in said.replace("named ", "")
    after = path.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert not [entry for entry in Path().iterdir() if entry.name.startswith(".")]


def test_rights_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("secret")
    path.chmod(0o600)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["sqlite:x.zip", "file:x.zip", "~/x.zip", "memory:"])
def test_a_url_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    with pytest.raises(InternalError):
        write(Path(name))
    assert [path.name for path in tmp_path.iterdir()] == ["~"]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_database_with_a_log_is_not_replaced(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "mobs.db").write_text("old")
    (tmp_path / f"mobs.db{suffix}").write_text("log")
    assert "is a SQLite database in use; name another file" in refusal(tmp_path / "mobs.db")
    assert (tmp_path / "mobs.db").read_text() == "old"


def test_a_store_is_not_replaced_by_its_own_export(tmp_path: Path) -> None:
    """Beneath the open store it would go on writing to a file without a name."""

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
