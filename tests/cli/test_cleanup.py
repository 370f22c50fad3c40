"""copy and import remove a new file if they fail."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from cli.command_line import run
from mobstore import MobId, MobReset, NewMobEvent
from mobstore.engines.sqlite.removal import remove_empty
from mobstore.maintenance.transfer import export_stores
from mobstore.meerkat import import_meerkat

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("sources")
    (tmp_path / "mob.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'bad.db'}") as stores:
            await import_meerkat(tmp_path / "mob.db", stores)
            with (tmp_path / "good.zip").open("wb") as file:
                await export_stores(stores, file)

    asyncio.run(fill())
    with (
        zipfile.ZipFile(tmp_path / "good.zip") as good,
        zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad,
    ):
        for name in good.namelist():
            text = good.read(name)
            bad.writestr(name, text.replace(b"2026-", b"year-") if "events" in name else text)
    with closing(sqlite3.connect(tmp_path / "bad.db")) as file:
        file.execute("UPDATE events SET cursor = 1000 WHERE cursor = 50")
        file.commit()
    with closing(sqlite3.connect(tmp_path / "mob.db")) as file:
        file.execute("UPDATE mob_events SET event_json = x'7b7d' WHERE cursor = 70")
        file.commit()
    return tmp_path


@pytest.fixture
def folder(sources: Path, tmp_path: Path) -> Path:
    """Copy three sources that are damaged near their end."""
    return shutil.copytree(sources, tmp_path / "folder")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def message(folder: Path, *arguments: str) -> str:
    ended = run(*arguments, folder=folder)
    assert (ended.code, ended.out) == (1, "")
    return ended.errors


COMMANDS = [("import", "bad.zip"), ("import", "mob.db"), ("copy", "sqlite:bad.db")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_new_file_is_removed(folder: Path, command: tuple[str, str]) -> None:
    before = names(folder)
    assert "table" in message(folder, *command, "sqlite:new.db")
    assert names(folder) == before


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_a_file_on_a_full_disk_is_removed(folder: Path) -> None:
    import resource

    before = names(folder)
    ended = subprocess.run(
        [sys.executable, "-m", "mobstore", "import", "good.zip", "sqlite:new.db"],
        capture_output=True, text=True, check=False, cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Traceback" not in ended.stderr
    assert names(folder) == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_existing_file_stays(folder: Path, command: tuple[str, str]) -> None:
    async def make() -> None:
        async with mobstore.open_stores(f"sqlite:{folder / 'old.db'}"):
            pass

    asyncio.run(make())
    (folder / "nothing.db").touch()
    before, content = names(folder), (folder / "old.db").read_bytes()
    for name in ("old.db", "nothing.db"):
        message(folder, *command, f"sqlite:{name}")
    assert names(folder) == before
    assert (folder / "old.db").read_bytes() == content


def test_a_store_in_use_or_with_data_stays(folder: Path) -> None:
    path = folder / "new.db"

    async def use() -> None:
        async with mobstore.open_stores(path):
            remove_empty(path)
            assert path.exists()
        with closing(sqlite3.connect(path)) as other:
            other.execute("SELECT * FROM events").fetchall()
            remove_empty(path)
            assert path.exists()
        async with mobstore.open_stores(path) as stores:
            await stores.events.append(NewMobEvent(mob_id=MobId("m"), kind=MobReset()))
            await stores.events.clear()
        remove_empty(path)
        assert path.exists(), "its cursors are used"

    asyncio.run(use())
    remove_empty(folder / "good.zip")
    assert (folder / "good.zip").exists()


def test_an_unused_empty_store_is_removed(folder: Path) -> None:
    path = folder / "new.db"

    async def make() -> None:
        async with mobstore.open_stores(path):
            pass

    asyncio.run(make())
    before = names(folder)
    remove_empty(path)
    assert names(folder) == before - {"new.db"}
