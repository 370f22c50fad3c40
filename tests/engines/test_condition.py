"""Files that become corrupt, or are upgraded by a newer mobstore, while a store has them open."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from engines.support import plain, query, side_files
from mobstore import (
    MobStores,
    ReadFailedError,
    SerializationError,
    WriteFailedError,
    open_stores,
)
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tagged_event

pytestmark = pytest.mark.usefixtures("both_threads")

PADDING = "x" * 3000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


async def fill(path: Path) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await stores.events.append_batch([tagged_event("in the file", PADDING)] * 300)


async def with_a_log(path: Path) -> MobStores:
    """Return a store with some events in the file, and others in its log."""
    await fill(path)
    stores = await open_stores(f"sqlite:{path}")
    for _ in range(20):
        await stores.events.append(tagged_event("in the log", PADDING))
    return stores


def cut_log(path: Path) -> None:
    os.truncate(f"{path}-wal", 0)


def garble(path: Path) -> None:
    """Overwrite some pages of the events table, as a failing disk would."""
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        file.seek(pages // 4 * 4096)  # not within a row, whose text would be found corrupt first
        file.write(b"\xff" * (pages // 4 * 4096))


def content(path: Path) -> tuple[bytes, ...]:
    """Return the bytes of a file and its log, read by another process: here it would drop locks."""
    return tuple(subprocess.check_output(["cat", name]) for name in (path, f"{path}-wal"))


@pytest.mark.parametrize("damaging", ["log", "file"])
def test_no_write_after_corruption(path: Path, damaging: str) -> None:
    async def main() -> None:
        await fill(path)
        if damaging == "file":
            garble(path)
        stores = await open_stores(f"sqlite:{path}")
        try:
            await stores.events.append(tagged_event("in the log", PADDING))
            if damaging == "log":
                cut_log(path)
            with pytest.raises(ReadFailedError):
                await stores.events.replay_all()
            before = content(path)
            for call in (partial(stores.events.append, tagged_event("lost")), stores.compact):
                with pytest.raises(WriteFailedError, match="found corrupt while it was open"):
                    await call()
        finally:
            await stores.close()
        assert content(path) == before, "the log was copied into the file, or removed"

    asyncio.run(main())


def test_a_corrupt_log_is_not_copied(path: Path) -> None:
    """The older content of the file survives the corruption of its log."""

    async def main() -> None:
        stores = await with_a_log(path)
        cut_log(path)
        with suppress(ReadFailedError):
            await stores.events.replay_all()
        with pytest.raises(WriteFailedError, match="found corrupt"):
            await stores.events.append(tagged_event("lost"))
        await stores.close()
        async with open_stores(f"sqlite:{path}") as again:
            assert len(await again.events.replay_all()) == 300
            await again.events.append(tagged_event("goes on"))
        assert side_files(path) == []
        assert query(path, "PRAGMA integrity_check") == [("ok",)]

    asyncio.run(main())


def test_a_reader_of_a_corrupt_file_leaves_no_side_file(path: Path) -> None:
    async def main() -> None:
        await fill(path)
        garble(path)
        async with open_stores(f"sqlite:{path}", read_only=True) as stores:
            with pytest.raises(ReadFailedError):
                await stores.events.replay_all()
        assert side_files(path) == []

    asyncio.run(main())


def test_an_error_that_is_kept_keeps_no_file_open(path: Path) -> None:
    """The traceback refers to the interrupted read."""

    async def main() -> None:
        await fill(path)
        query(path, "UPDATE events SET mob_id = CAST(x'ff' AS TEXT) WHERE cursor = 2")
        async with open_stores(f"sqlite:{path}", read_only=True) as stores:
            with pytest.raises(ReadFailedError) as kept:
                await stores.events.replay_all()
        assert side_files(path) == []
        assert "UTF-8" in str(kept.value)

    asyncio.run(main())


def test_an_unreadable_row_is_not_corruption_of_the_file(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            query(path, "UPDATE events SET kind = x'00ff'")
            with pytest.raises(SerializationError):
                await stores.events.replay_all()
            await stores.events.append(tagged_event("e"))

    asyncio.run(main())


def upgrade(path: Path) -> None:
    with closing(plain(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")


def test_no_write_after_an_upgrade(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            upgrade(path)
            for call in (stores.events.append(tagged_event("lost")), stores.compact()):
                with pytest.raises(WriteFailedError, match="upgraded by a newer mobstore"):
                    await call
            with pytest.raises(ReadFailedError, match="upgraded by a newer mobstore"):
                await stores.events.poll()
        assert query(path, "SELECT count(*) FROM events") == [(1,)]

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
def test_subscribers_raise_after_an_upgrade(path: Path, read_only: bool) -> None:
    async def main() -> None:
        await fill(path)
        async with (
            open_stores(f"sqlite:{path}", read_only=read_only) as stores,
            stores.events.subscribe(300) as following,
        ):
            coming = asyncio.create_task(anext(following))
            await asyncio.sleep(0.05)
            upgrade(path)
            async with asyncio.timeout(10):
                with pytest.raises(ReadFailedError, match="upgraded by a newer mobstore"):
                    await coming

    asyncio.run(main())


CHANGES = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM runs; END",
    "table": "CREATE TABLE notes (text)",
    "index": "DROP INDEX events_by_time",
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_write_after_changes_of_tables(path: Path, change: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            assert len(await stores.events.replay_all()) == 1
            query(path, CHANGES[change])
            for call in (stores.events.append(tagged_event("lost")), stores.compact()):
                with pytest.raises(WriteFailedError, match=rf"open: its {change} \w+ is"):
                    await call
            with pytest.raises(ReadFailedError, match="while it was open"):
                await stores.events.replay_all()

    asyncio.run(main())
    assert query(path, "SELECT count(*) FROM events") == [(1,)]


def test_subscribers_raise_after_changes_of_tables(path: Path) -> None:
    async def main() -> None:
        await fill(path)
        async with (
            open_stores(f"sqlite:{path}") as stores,
            stores.events.subscribe(300) as following,
        ):
            coming = asyncio.create_task(anext(following))
            await asyncio.sleep(0.05)
            query(path, CHANGES["trigger"])
            async with asyncio.timeout(10):
                with pytest.raises(ReadFailedError, match="trigger t is not part of mobstore"):
                    await coming

    asyncio.run(main())


@pytest.mark.parametrize("change", ["ANALYZE", "VACUUM", "REINDEX"])
def test_what_others_may_do_to_an_open_file(path: Path, change: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            query(path, change)
            await stores.events.append(tagged_event("f"))
            assert len(await stores.events.replay_all()) == 2

    asyncio.run(main())
