"""Interruptions of long work: by cancellation, by closing the store, by Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from engines.support import hear, no_store_threads, plain, running, say
from mobstore import ClosedError, open_stores
from mobstore.cli import main as command_line
from mobstore.engines.sqlite.rows import Rows
from mobstore.scripts.tables import EVENTS, META
from mobstore.scripts.transaction import Commit, Count, Read, Scan, Script, fetch
from mobstore.testing.samples import tagged_event

pytestmark = pytest.mark.slow

FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
SOON = 3  # seconds; a busy machine takes its time

_answer = Rows.answer


def _slow(rows: Rows, read: Read) -> object:
    """Answer counts by a statement that never ends."""
    if isinstance(read, Count):
        say("reading")
        return rows._execute(FOR_EVER).fetchone()  # pyright: ignore[reportPrivateUsage]
    return _answer(rows, read)


def _one_statement() -> Script[int]:
    found = yield from fetch(Count(Scan(EVENTS)))
    return Commit(found)


def _many_statements() -> Script[int]:
    while True:
        yield (Count(Scan(META)),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mobs.db"

    async def make() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))

    asyncio.run(make())
    return path


def _large(path: Path) -> None:
    """Leave a file with mostly free pages, which compaction removes."""
    with closing(plain(path)) as connection:
        connection.executescript(
            "PRAGMA synchronous = OFF; BEGIN;"
            " WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < 300000)"
            " INSERT INTO events SELECT x, 'desk', '2026-03-04T05:06:07.000000000Z', 'mob_reset',"
            " '', '{\"type\":\"mob_reset\"}' FROM n;"
            " UPDATE counters SET value = 300001; DELETE FROM events WHERE cursor < 150000; COMMIT"
        )


@pytest.mark.parametrize("script", [_one_statement, _many_statements])
def test_a_read_that_is_cancelled_leaves_its_thread(
    path: Path, script: Callable[[], Script[int]]
) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            with patch.object(Rows, "answer", _slow if script is _one_statement else _answer):
                reads = [asyncio.create_task(stores.engine.read(script)) for _ in range(4)]
                await asyncio.sleep(0.2)
                for read in reads:
                    read.cancel()
                await asyncio.gather(*reads, return_exceptions=True)
                assert all(read.cancelled() for read in reads)
            async with asyncio.timeout(SOON):  # both threads are free again
                assert await stores.engine.read(_one_statement) == 1
                assert await stores.engine.faults() == []

    asyncio.run(main())


@pytest.mark.parametrize("script", [_one_statement, _many_statements])
def test_closing_ends_a_read_that_lasts(path: Path, script: Callable[[], Script[int]]) -> None:
    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        with patch.object(Rows, "answer", _slow if script is _one_statement else _answer):
            reads = [asyncio.create_task(stores.engine.read(script)) for _ in range(4)]
            await asyncio.sleep(0.2)
            async with asyncio.timeout(SOON):
                await stores.close()
            for read in reads:
                with pytest.raises(ClosedError, match="closed before this was done"):
                    await read
        assert no_store_threads()

    asyncio.run(main())


def test_closing_waits_for_short_reads(path: Path) -> None:
    _large(path)

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        read = asyncio.create_task(stores.engine.read(_one_statement))
        await asyncio.sleep(0)
        await stores.close()
        assert await read == 150_001

    asyncio.run(main())


@pytest.mark.parametrize("way", ["cancelled", "closed"])
def test_an_interrupted_compaction_changes_nothing(path: Path, way: str) -> None:
    _large(path)
    size = path.stat().st_size

    async def main() -> None:
        stores = await open_stores(f"sqlite:{path}")
        compacting = asyncio.create_task(stores.compact())
        await asyncio.sleep(0.01)
        if way == "cancelled":
            compacting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await compacting
            await stores.events.append(tagged_event("after"))
        async with asyncio.timeout(SOON):
            await stores.close()
        if way == "closed":
            with pytest.raises(ClosedError, match="closed before this was done"):
                await compacting
        async with open_stores(f"sqlite:{path}") as stores:
            assert await stores.engine.faults() == []
            assert await stores.engine.read(_one_statement) == 150_001 + (way == "cancelled")

    async def compact() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.compact()

    asyncio.run(main())
    assert path.stat().st_size >= size
    asyncio.run(compact())
    assert path.stat().st_size < size * 0.7


def slow_command(*arguments: str) -> None:
    """Run the command line with counts that never end."""
    sys.argv = ["mobstore", *arguments]
    with patch.object(Rows, "answer", _slow):
        command_line()


@pytest.mark.parametrize("command", ["info", "verify"])
def test_ctrl_c_ends_a_command_that_reads(path: Path, command: str) -> None:
    with running(slow_command, command, f"sqlite:{path}") as process:
        assert hear(process) == "reading"
        time.sleep(0.1)
        started = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        assert time.monotonic() - started < SOON
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
