"""Locks: other processes hold the file's lock, or write at the same time."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from engines.children import increment, open_new
from engines.support import RUN, hear, hold_lock, new_run, query, running, tell
from mobstore import MobStoreError, WriteFailedError, open_stores
from mobstore.testing.samples import number_of, tagged_event

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("both_threads")]

SLACK = 4  # seconds, for a busy machine; less than the default timeout
LOCKS = ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


async def _create(path: Path) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await stores.runs.create_run(new_run())
        await stores.events.append(tagged_event("first"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_write_waits_no_longer_than_its_timeout(path: Path, lock: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=0.3) as stores:
            with running(hold_lock, path, lock) as holder:
                assert hear(holder) == "held"
                started = time.monotonic()
                with pytest.raises(WriteFailedError) as caught:
                    await stores.events.append(tagged_event("late"))
                assert 0.3 <= time.monotonic() - started < 0.3 + SLACK
                assert caught.value.retry_safe
                assert not caught.value.maybe_written
                assert "locked by another process" in str(caught.value)
                assert caught.value.__cause__ is not None

            stored = await stores.events.append(tagged_event("late"))
            assert stored.cursor == 2, "a refused write left something behind"

    asyncio.run(_create(path))
    asyncio.run(main())


@pytest.mark.parametrize("lock", LOCKS)
def test_reads_do_not_wait_for_the_lock(path: Path, lock: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=60) as stores:
            with running(hold_lock, path, lock) as holder:
                assert hear(holder) == "held"
                writing = asyncio.create_task(stores.events.append(tagged_event("late")))
                async with asyncio.timeout(30):  # the lock is held until the line below
                    assert len(await stores.events.poll(0, 10)) == 1
                    assert len(await stores.events.replay_all()) == 1
                    assert await stores.runs.get_run(RUN) == new_run()
                assert not writing.done()
                tell(holder)
                assert (await writing).cursor == 2

    asyncio.run(_create(path))
    asyncio.run(main())


def test_many_writes_wait_no_longer_than_the_timeout(path: Path) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=0.3) as stores:
            with running(hold_lock, path, "BEGIN IMMEDIATE") as holder:
                assert hear(holder) == "held"
                started = time.monotonic()
                results = await asyncio.gather(
                    *(stores.events.append(tagged_event(f"{n}")) for n in range(40)),
                    return_exceptions=True,
                )
                waited = time.monotonic() - started
            assert all(isinstance(one, WriteFailedError) and one.retry_safe for one in results)
            # One timeout for the first commit, one for the writes queued after it.
            assert waited < 2 * 0.3 + SLACK, f"40 writes with timeout 0.3 took {waited:.1f} s"

    asyncio.run(_create(path))
    asyncio.run(main())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_released_in_time_only_delays(path: Path, lock: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=10) as stores:
            with running(hold_lock, path, lock, 0.3) as holder:
                assert hear(holder) == "held"
                results = await asyncio.gather(
                    *(stores.events.append(tagged_event(f"{n}")) for n in range(20))
                )
                assert hear(holder) == "released"
            assert [one.cursor for one in results] == list(range(2, 22))

    asyncio.run(_create(path))
    asyncio.run(main())


@pytest.mark.parametrize("exists", [True, False])
def test_opening_a_locked_file(path: Path, exists: bool) -> None:
    async def main() -> None:
        if exists:
            await _create(path)
        with running(hold_lock, path, "BEGIN EXCLUSIVE") as holder:
            assert hear(holder) == "held"
            started = time.monotonic()
            with pytest.raises(WriteFailedError) as caught:
                await open_stores(f"sqlite:{path}", timeout=0.3)
            assert 0.3 <= time.monotonic() - started < 0.3 + SLACK
            assert caught.value.retry_safe
            assert "locked by another process" in str(caught.value)
            opening = asyncio.ensure_future(_create(path))  # timeout 5
            await asyncio.sleep(0.2)
            tell(holder)
            if exists:
                with pytest.raises(MobStoreError, match="run already exists"):
                    await opening
            else:
                await opening

    asyncio.run(main())


# Several processes -----------------------------------------------------------------------------


@pytest.mark.slow
def test_compare_and_swap_in_four_processes_loses_nothing(path: Path) -> None:
    asyncio.run(_create(path))
    with ExitStack() as stack:
        processes = [
            stack.enter_context(running(increment, path, tasks, 30)) for tasks in (1, 3, 4, 4)
        ]
        won = [int(process.communicate(timeout=120)[0]) for process in processes]

    async def count() -> int:
        async with open_stores(f"sqlite:{path}") as stores:
            run = await stores.runs.get_run(RUN)
            assert run is not None
            # Every winner also recorded its value: no value was set twice.
            values = [int(entry.step_id) for entry in run.step_ledger]
            assert sorted(values) == list(range(1, sum(won) + 1))
            return number_of(run.flow_state)

    assert won == [30, 90, 120, 120]
    assert asyncio.run(count()) == sum(won)


@pytest.mark.slow
def test_eight_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    rounds, openers = 40, 8  # a collision is rare; the processes stay, so a round costs little
    with ExitStack() as stack:
        processes = [stack.enter_context(running(open_new, n)) for n in range(openers)]
        for process in processes:
            assert hear(process) == "ready"
        for n in range(rounds):
            path = tmp_path / f"mobs-{n}.db"
            start_at = time.time() + 0.02
            for process in processes:
                tell(process, json.dumps([str(path), start_at]))
            assert [hear(process) for process in processes] == ["fine"] * openers
            assert query(path, "SELECT count(*), max(cursor) FROM events") == [(openers, openers)]
            assert query(path, "PRAGMA integrity_check") == [("ok",)]
