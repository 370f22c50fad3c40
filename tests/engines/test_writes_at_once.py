"""Small writes on the calling thread: when they run there, and what else goes to the writer."""

from __future__ import annotations

import asyncio
import dis
import gc
import sqlite3
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

from engines.support import hear, hold_lock, running, tell
from mobstore import MobStores, NotFoundError, open_stores, run_claim_name
from mobstore.engines.sqlite import SqliteEngine, engine, transactions, writer
from mobstore.engines.sqlite.rows import Rows
from mobstore.testing.samples import run_id, tagged_event

EVENT = tagged_event("e")
THREAD = "mobstore-write"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that commit, on a disk where every commit counts as quick."""
    monkeypatch.setattr(writer, "_QUICK", 60.0)
    names: list[str] = []
    commit = Rows.commit

    def noted(self: Rows) -> None:
        names.append(threading.current_thread().name)
        commit(self)

    monkeypatch.setattr(Rows, "commit", noted)
    return names


@pytest.fixture
def here() -> str:
    return threading.current_thread().name


def test_a_task_that_writes_alone_commits_on_its_own_thread(
    path: Path, commits: list[str], here: str
) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            for _ in range(5):
                await stores.events.append(EVENT)
            assert commits == [here] * 5
            assert await stores.events.latest_cursor() == 5

    asyncio.run(main())


def test_tasks_that_write_in_one_turn_share_a_commit(
    path: Path, commits: list[str], here: str
) -> None:
    async def twice(stores: MobStores) -> None:
        await stores.events.append(EVENT)
        await stores.events.append(EVENT)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await asyncio.gather(*(twice(stores) for _ in range(64)))
            assert commits[0] == here
            assert commits[1:] == [THREAD] * (len(commits) - 1), "after a shared commit, too"
            assert len(commits) <= 6
            assert await stores.events.latest_cursor() == 128

    asyncio.run(main())


def test_large_writes_go_to_the_writer(path: Path, commits: list[str]) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append_batch([EVENT] * 100)
            await stores.events.append(tagged_event("e", "x" * 2**17))
            await stores.events.clear()
            assert commits == [THREAD] * 3

    asyncio.run(main())


def test_large_reads_go_to_the_writer(path: Path, commits: list[str], here: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e", "x" * 2**17), key="key")
            commits.clear()
            await stores.events.append(tagged_event("e", "x" * 2**17), key="key")
            assert commits == []
            await stores.events.append(EVENT)
            assert commits == [here]

    asyncio.run(main())


@pytest.mark.process
def test_a_lock_of_another_process_is_awaited_by_the_writer(path: Path, commits: list[str]) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(EVENT)
            commits.clear()
            with running(hold_lock, path, "BEGIN IMMEDIATE") as holder:
                assert await asyncio.to_thread(hear, holder) == "held"
                writing = asyncio.ensure_future(stores.events.append(EVENT))
                await asyncio.sleep(0.05)  # the loop runs
                assert not writing.done()
                tell(holder)
                await writing
            assert commits == [THREAD]

    asyncio.run(main())


@pytest.mark.slow
def test_a_slow_disk_stalls_the_loop_for_one_commit(
    path: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    """The first slow commit sends the following ones to the writer."""
    names: list[str] = []
    commit = Rows.commit

    def commit_slowly(self: Rows) -> None:
        names.append(threading.current_thread().name)
        time.sleep(0.05)
        commit(self)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            assert isinstance(stores.engine, SqliteEngine)
            await stores.events.append(EVENT)
            stores.engine._writer.transactions.pace = 0  # pyright: ignore[reportPrivateUsage]
            monkeypatch.setattr(Rows, "commit", commit_slowly)
            for _ in range(10):
                await stores.events.append(EVENT)
            assert names == [here, *[THREAD] * 9]

    asyncio.run(main())


@pytest.mark.usefixtures("commits")
def test_a_task_that_only_writes_lets_others_run(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            turns = 0

            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            counting = asyncio.ensure_future(count())
            for _ in range(20):
                await stores.events.append(EVENT)
                with pytest.raises(NotFoundError):
                    await stores.claims.acquire(run_claim_name(run_id(1)), "holder", 1)
            assert turns >= 40
            counting.cancel()

    asyncio.run(main())


# Signal handlers -------------------------------------------------------------------------------


class TimeLimitError(Exception):
    """An exception that a signal handler raises in the main thread."""


FILES = {engine.__file__, writer.__file__, transactions.__file__}
HANDLERS_RUN = ("CALL", "RESUME", "JUMP_BACKWARD")  # after these instructions


@contextmanager
def interrupted(place: int) -> Generator[list[int]]:
    """Raise at one place where a signal handler may run; the yielded object counts the places."""
    count = [0]
    before: dict[FrameType, str] = {}

    def trace(frame: FrameType, what: str, _: object) -> Any:
        if frame.f_code.co_filename not in FILES or frame.f_code.co_name == "write":
            return None
        frame.f_trace_opcodes = True
        if what == "opcode":
            may_run = before.get(frame, "").startswith(HANDLERS_RUN)
            before[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if may_run:
                count[0] += 1
                if count[0] == place:
                    raise TimeLimitError
        return trace

    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(None)


async def interrupt_append(stores: MobStores, place: int) -> bool:
    """Append, interrupted at that place; return whether there is such a place."""
    for _ in range(50):
        try:
            with interrupted(place):
                await stores.events.append(EVENT)
        except TimeLimitError:
            return True
        await asyncio.sleep(0.001)  # the writer was polling for commits of others
    return False


@pytest.mark.slow
@pytest.mark.usefixtures("commits")
def test_an_interruption_leaves_the_store_usable(path: Path) -> None:
    """Wherever a signal handler raises: listeners know what was written, and no lock is left."""

    async def main() -> None:
        place, heard = 1, threading.Event()
        async with open_stores(f"sqlite:{path}") as stores:
            stores.engine.listen(heard.set)
            while True:
                heard.clear()
                before = await stores.events.latest_cursor()
                if not await interrupt_append(stores, place):
                    break
                with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    other.execute("ROLLBACK")
                assert gc.isenabled()
                if await stores.events.latest_cursor() > before:
                    assert heard.wait(5)
                async with asyncio.timeout(5):
                    await stores.events.append(EVENT)
                place += 1
            assert place > 30

    asyncio.run(main())


@pytest.mark.usefixtures("commits")
def test_a_lock_that_an_interruption_has_left_is_released(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollback = Rows.rollback

    def interrupt(_: Rows) -> None:
        monkeypatch.setattr(Rows, "rollback", rollback)
        raise TimeLimitError

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            for _ in range(3):
                await stores.events.append(EVENT, key="key")
            begin = Rows.begin

            def begin_then_interrupt(self: Rows) -> None:
                begin(self)
                monkeypatch.setattr(Rows, "rollback", interrupt)

            monkeypatch.setattr(Rows, "begin", begin_then_interrupt)
            with pytest.raises(TimeLimitError):
                await stores.events.append(EVENT, key="key")
            monkeypatch.setattr(Rows, "begin", begin)
            with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as other:
                other.execute("BEGIN IMMEDIATE")

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start at once since Python 3.12")
def test_a_write_that_begins_within_a_write_is_queued(
    path: Path, commits: list[str], here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a signal handler, on a loop with eager tasks."""

    async def main() -> None:
        loop, tasks = asyncio.get_running_loop(), list[asyncio.Task[object]]()
        loop.set_task_factory(cast("Any", asyncio).eager_task_factory)
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(EVENT)
            commit = Rows.commit

            def commit_within(self: Rows) -> None:
                monkeypatch.setattr(Rows, "commit", commit)
                tasks.append(loop.create_task(stores.events.append(EVENT)))
                commit(self)

            monkeypatch.setattr(Rows, "commit", commit_within)
            async with asyncio.timeout(5):
                await stores.events.append(EVENT)
                await asyncio.gather(*tasks)
            assert await stores.events.latest_cursor() == 3

    asyncio.run(main())
    assert commits == [here, here, THREAD]


@pytest.mark.usefixtures("commits")
def test_no_finaliser_runs_within_a_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for a lock, such as logging's, of a thread that waits for this store."""
    collecting: list[bool] = []
    begin = Rows.begin

    def noted(self: Rows) -> None:
        collecting.append(gc.isenabled())
        begin(self)

    monkeypatch.setattr(Rows, "begin", noted)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(EVENT)

    asyncio.run(main())
    assert (collecting, gc.isenabled()) == ([False], True)
