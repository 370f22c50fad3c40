"""An import of several files can be ended, and its files can change, at any time."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from engines.support import open_files, output
from maintenance.support import rows_of, stores_of
from meerkat.installations import change, event_json, installation, numbers, state, write_mob
from mobstore.meerkat import import_meerkat
from mobstore.testing import samples

engines = pytest.mark.parametrize("engine", ["memory", "sqlite"])
MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return installation(tmp_path / "source")


# Files that change -------------------------------------------------------------------------------


def _append(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("INSERT INTO mob_events VALUES (100, ?)", (event_json("desk", 100),))
        file.commit()


def _rewrite(path: Path) -> None:
    write_mob(path.with_suffix(".new"), "desk", range(1, 50)).replace(path)


@pytest.mark.parametrize("changed", [_append, _rewrite, os.unlink])
@engines
def test_a_file_that_changes_while_it_is_read(
    engine: str, changed: Callable[[Path], None], folder: Path, tmp_path: Path
) -> None:
    """It is not unreadable, so it is not left out either; a second attempt is right."""

    async def work() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.events.append(samples.event("old"))
            before, done_before = rows_of(stores), 0

            def change_once(done: int, _total: int) -> None:
                nonlocal done_before
                if done >= 6 > done_before:  # within desk.db, after the rows of Attic.db
                    changed(folder / "desk.db")
                done_before = done

            with pytest.raises(mobstore.ReadFailedError) as caught:
                await import_meerkat(
                    folder, stores, skip_unreadable=True, into=True, progress=change_once
                )
            assert caught.value.retry_safe
            assert "desk.db was written by another process while it was read" in str(caught.value)
            assert rows_of(stores) == before

    asyncio.run(work())


def test_a_file_that_changes_after_the_check(folder: Path) -> None:
    """The import reads one state of the file, checked or not."""

    async def work() -> None:
        async with mobstore.open_stores("memory:") as stores:
            is_changed = False

            def change_once(done: int, _total: int) -> None:
                nonlocal is_changed
                if done and not is_changed:
                    is_changed = True
                    _append(folder / "desk.db")

            report = await import_meerkat(folder, stores, progress=change_once)
            assert numbers(report) == (7, 3, 3, 2)

    asyncio.run(work())


def test_files_in_use_are_read_with_their_logs(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "desk.db")) as writer:
        writer.execute("UPDATE mob_event_meta SET value = 500")
        writer.commit()
        before = {name: kept for name, kept in state(folder).items() if "-shm" not in name}
        assert "desk.db-wal" in before

        async def work() -> list[int]:
            async with mobstore.open_stores("memory:") as stores:
                report = await import_meerkat(folder, stores)
                return [file.offset for file in report.files]

        assert asyncio.run(work()) == [0, 2, 501, 506]
        after = {name: kept for name, kept in state(folder).items() if "-shm" not in name}
        assert after == before


def test_no_file_stays_open(folder: Path, tmp_path: Path) -> None:
    async def work() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            (folder / "desk.extra.db").write_bytes(b"no database")
            with pytest.raises(mobstore.ReadFailedError):
                await import_meerkat(folder, stores)
            assert not open_files(folder)
            await import_meerkat(folder, stores, skip_unreadable=True)
            assert not open_files(folder)

    asyncio.run(work())


# Ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 7, 18])
@engines
def test_an_error_of_the_caller_leaves_the_store_as_it_was(
    engine: str, at: int, folder: Path, tmp_path: Path
) -> None:
    def end(done: int, _total: int) -> None:
        if done >= at:
            raise KeyError(at)

    async def work() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.events.append(samples.event("old"))
            before = rows_of(stores)
            with pytest.raises(KeyError):
                await import_meerkat(folder, stores, into=True, progress=end)
            assert rows_of(stores) == before
            assert not open_files(folder)
            assert numbers(await import_meerkat(folder, stores, into=True)) == (6, 3, 3, 2)

    asyncio.run(work())


@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_cancelled_import_leaves_the_store_as_it_was(
    at: int, folder: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await stores.events.append(samples.event("old"))
            before = rows_of(stores)

            def end(done: int, _total: int) -> None:
                if done < at or task.done():
                    return
                loop.call_soon_threadsafe(task.cancel)
                while done and not task.done():  # without a row done, this is the loop's thread
                    time.sleep(0.001)

            loop = asyncio.get_running_loop()
            task = asyncio.create_task(import_meerkat(folder, stores, into=True, progress=end))
            with pytest.raises(asyncio.CancelledError):
                await task
            await stores.engine.settle()
            assert rows_of(stores) == before
            assert not open_files(folder)
            assert numbers(await import_meerkat(folder, stores, into=True)) == (6, 3, 3, 2)

    asyncio.run(work())


@pytest.mark.process
@pytest.mark.parametrize("after", [1, 8, 18])
def test_a_killed_import_leaves_the_store_as_it_was(
    after: int, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target.db"
    script = textwrap.dedent(f"""
        import asyncio, os, signal, mobstore
        from mobstore.meerkat import import_meerkat
        from mobstore.testing import samples
        def die(done, total):
            if done >= {after}:
                os.kill(os.getpid(), signal.SIGKILL)
        async def main():
            async with mobstore.open_stores("sqlite:{target}") as stores:
                await stores.events.append(samples.event("old"))
                await import_meerkat("{folder}", stores, into=True, progress=die)
        asyncio.run(main())
    """)
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL

    async def work() -> None:
        async with mobstore.open_stores(f"sqlite:{target}") as stores:
            assert [event.mob_id for event in await stores.events.replay_all()] == ["old"]
            assert not await stores.specs.list_specs()
            assert numbers(await import_meerkat(folder, stores, into=True)) == (6, 3, 3, 2)

    asyncio.run(work())


# Memory ------------------------------------------------------------------------------------------


def import_folder(folder: str, small: str = "") -> None:
    """Child: import a small directory and a large one; print how much memory the second needs."""

    async def once(source: str) -> int:
        async with mobstore.open_stores(f"sqlite:{source}.target", durability="normal") as stores:
            return (await import_meerkat(source, stores)).events

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    first, before = asyncio.run(once(small)), peak()
    print(json.dumps([first, asyncio.run(once(folder)), peak(), peak() - before]))


def large_installation(folder: Path, files: int, events: int) -> Path:
    """Write files of one size, with two kilobytes an event."""
    folder.mkdir()
    first = write_mob(folder / "mob-000.db", "mob-000", range(1, events + 1), padding="x" * 2000)
    for number in range(1, files):
        copy = folder / f"mob-{number:03}.db"
        shutil.copy(first, copy)
        change(
            copy,
            "UPDATE mob_events SET event_json ="
            f" CAST(replace(CAST(event_json AS TEXT), 'mob-000', 'mob-{number:03}') AS BLOB);"
            " VACUUM;",
        )
    return folder


@pytest.mark.process
@pytest.mark.slow
def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    small = large_installation(tmp_path / "small", 2, 500)
    large = large_installation(tmp_path / "large", 30, 500)
    first, events, _, more = json.loads(output(import_folder, large, small))
    assert (first, events) == (1000, 15_000)
    assert more < 8 * MIB


@pytest.mark.process
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_memory_for_fifty_files_of_20_mb(tmp_path: Path) -> None:
    small = large_installation(tmp_path / "small", 1, 1_000)
    large = large_installation(tmp_path / "large", 50, 9_000)
    assert (large / "mob-049.db").stat().st_size > 20 * 10**6
    began = time.monotonic()
    _, events, peak, more = json.loads(output(import_folder, large, small, seconds=1500))
    took = time.monotonic() - began
    print(f"{events:,} events in {took:.0f} s: peak {peak / MIB:.0f} MiB, {more / MIB:.1f} more")
    assert events == 50 * 9_000
    assert more < 24 * MIB
