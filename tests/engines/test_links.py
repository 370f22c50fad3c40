"""Several paths to one file, files replaced while open, logs of other files."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engines.children import append_some, die_with_a_log_of_ours
from engines.support import TESTS, hear, plain, query, running, say, side_files, tell
from mobstore import (
    MobStoreError,
    ReadFailedError,
    WriteFailedError,
    open_stores,
)
from mobstore.engines.sqlite.file import is_database
from mobstore.meerkat import import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.testing.samples import tag_of, tagged_event

SIDES = ["", "-wal", "-shm"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


async def _fill(path: Path, count: int = 3, padding: str = "") -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await stores.events.append_batch([tagged_event(f"{n}", padding) for n in range(count)])


async def _tags(path: Path, *, create: bool = True, read_only: bool = False) -> list[str]:
    async with open_stores(f"sqlite:{path}", create=create, read_only=read_only) as stores:
        return [tag_of(one.kind) for one in await stores.events.replay_all()]


# Links -----------------------------------------------------------------------------------------


def test_a_link_is_the_file_it_leads_to(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to("mobs.db")

    async def main() -> None:
        async with open_stores(f"sqlite:{link}") as one, open_stores(f"sqlite:{path}") as other:
            await one.events.append(tagged_event("by the link"))
            await other.events.append(tagged_event("by the file"))
            assert str(path) in repr(one)
            for read_only in (False, True):
                assert await _tags(link, read_only=read_only) == ["by the link", "by the file"]
            assert side_files(path) == ["link.db", "mobs.db-shm", "mobs.db-wal"]
            link.unlink()  # the file itself is still there
            await one.events.append(tagged_event("without the link"))

    asyncio.run(main())
    assert side_files(path) == []


@pytest.mark.slow
def test_an_import_through_a_link_reads_the_log_too(tmp_path: Path) -> None:
    source, link = tmp_path / "source.db", tmp_path / "link.db"
    golden = TESTS / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
    source.write_bytes(gzip.decompress(golden.read_bytes()))
    link.symlink_to("source.db")
    ((before,),) = query(source, "SELECT count(*) FROM mob_events")
    with running(_delete_in_the_log, source) as process:
        assert hear(process) == "ready"

        async def main() -> int:
            async with open_stores("memory:") as stores:
                return (await import_meerkat(link, stores)).events

        assert asyncio.run(main()) == before - 1
        tell(process)


def _delete_in_the_log(path: str) -> None:
    """Commit through another program, and keep the commit in the log."""
    connection = plain(Path(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("DELETE FROM mob_events WHERE cursor = (SELECT max(cursor) FROM mob_events)")
    say("ready")
    input()
    connection.close()


@pytest.mark.slow
def test_opening_by_a_link_while_another_process_writes(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to("mobs.db")
    asyncio.run(_fill(path))

    async def main() -> None:
        with running(append_some, path, "theirs", 800) as process:
            assert hear(process) == "ready"
            tell(process)
            while process.poll() is None:
                async with open_stores(f"sqlite:{link}", timeout=30) as stores:
                    await stores.events.append(tagged_event("ours"))
                await _tags(link, read_only=True)

    asyncio.run(main())
    cursors = query(path, "SELECT count(*), max(cursor) FROM events")
    assert cursors[0][0] == cursors[0][1] > 803


@pytest.mark.parametrize("name", ["mobs.db", "hard.db"])
def test_hard_links_are_rejected(path: Path, name: str) -> None:
    asyncio.run(_fill(path))
    path.with_name("hard.db").hardlink_to(path)
    before = path.read_bytes()
    other = path.with_name(name)

    async def import_it() -> None:
        async with open_stores("memory:") as stores:
            await import_meerkat(other, stores)

    async def look(how: Callable[[Path], object]) -> None:
        how(other)

    ways: list[Callable[[], Awaitable[object]]] = [
        lambda: _tags(other),
        lambda: _tags(other, create=False),
        lambda: _tags(other, read_only=True),
        import_it,
        lambda: look(check_source),
        lambda: look(is_database),
    ]

    async def main() -> None:
        for way in ways:
            with pytest.raises(ReadFailedError, match=r"has 2 names \(hard links\).*copy it"):
                await way()

    asyncio.run(main())
    assert path.read_bytes() == before
    assert len(side_files(path)) == 1
    path.with_name("hard.db").unlink()
    assert asyncio.run(_tags(path)) == ["0", "1", "2"]


def test_a_hard_link_to_an_open_file(path: Path) -> None:
    """Hard links appear while the store is open, as by a backup; only a new opening is rejected."""

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            path.with_name("backup.db").hardlink_to(path)
            await stores.events.append(tagged_event("e"))
            await asyncio.gather(*(stores.events.replay_all() for _ in range(9)))
            await stores.overview()
            with pytest.raises(ReadFailedError, match="hard links"):
                await open_stores(f"sqlite:{path}")

    asyncio.run(main())


# Exchanged while open --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SIDES)
@pytest.mark.parametrize("how", ["removed", "replaced"])
@pytest.mark.parametrize("read_only", [False, True])
def test_every_call_after_a_replacement_raises(
    path: Path, suffix: str, how: str, read_only: bool
) -> None:
    """This includes reads on an existing connection, at once or on a thread."""

    async def main() -> None:
        await _fill(path)
        async with open_stores(f"sqlite:{path}", read_only=read_only) as stores:
            assert len(await stores.events.poll(0, 10)) == 3
            assert len(await stores.events.replay_all()) == 3
            _exchange(Path(f"{path}{suffix}"), how)
            for _ in range(2):
                for call in (
                    lambda: stores.events.poll(0, 10),
                    stores.events.replay_all,
                    stores.overview,
                    lambda: stores.specs.get_spec("none"),
                ):
                    with pytest.raises(ReadFailedError, match=f"{suffix} was removed or replaced"):
                        await call()
                if not read_only:
                    with pytest.raises(WriteFailedError, match="was removed or replaced"):
                        await stores.events.append(tagged_event("lost"))

    asyncio.run(main())


def _exchange(side: Path, how: str) -> None:
    if how == "replaced":
        shutil.copy(side, f"{side}.new")
        Path(f"{side}.new").replace(side)
    else:
        side.unlink()


# A log of another file -------------------------------------------------------------------------


def test_a_backup_beside_the_log_of_the_file_before(path: Path) -> None:
    """A process is killed, a backup is copied over the file, and the log remains."""
    backup = path.with_name("backup.db")
    asyncio.run(_fill(path, 2))
    shutil.copy(path, backup)
    asyncio.run(_fill(path, 500, "x" * 3000))
    with running(die_with_a_log_of_ours, path, 300) as process:
        assert hear(process) == "ready"
        process.wait()
    shutil.copy(backup, path)

    with pytest.raises(MobStoreError) as caught:
        asyncio.run(_tags(path))
    told = str(caught.value)
    assert "its log belongs to another file" in told
    assert "remove both, and copy the backup again" in told
    for suffix in ("-wal", "-shm"):  # as the message says
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, path)
    assert asyncio.run(_tags(path)) == ["0", "1"]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux has them")
@pytest.mark.parametrize("name", ["mobs.db", "mo bs\\.db"])
def test_a_file_mounted_without_its_directory_is_rejected(tmp_path: Path, name: str) -> None:
    for place in ("host", "container"):
        (tmp_path / place).mkdir()
    mounted = tmp_path / "container" / name
    mounted.touch()
    asyncio.run(_fill(tmp_path / "host" / name))
    mount: list[str | Path] = ["mount", "--bind", tmp_path / "host" / name, mounted]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        for read_only in (False, True):
            with pytest.raises(ReadFailedError, match="Mount the directory that holds it"):
                asyncio.run(_tags(mounted, read_only=read_only))
        assert [one.name for one in mounted.parent.iterdir()] == [name]
        assert asyncio.run(_tags(tmp_path / "host" / name))
    finally:
        subprocess.run(["umount", mounted], check=True)
    # Its directory may be a mount.
    subprocess.run(["mount", "--bind", tmp_path / "host", tmp_path / "container"], check=True)
    try:
        assert asyncio.run(_tags(mounted))
    finally:
        subprocess.run(["umount", tmp_path / "container"], check=True)
