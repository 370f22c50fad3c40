"""Several processes, each with several openings of one file, killed at random: no data is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

import mobstore
from engines.stress import Journal, read_journal, stress
from engines.support import RUN, Process, new_run, query, running, side_files
from mobstore import open_stores
from mobstore.testing.samples import number_of, tag_of

PROCESSES = 3


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    _work_and_count(tmp_path / "mobs.db", seconds=12, seed=1)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_acknowledged_is_lost_for_long(tmp_path: Path, seed: int) -> None:
    _work_and_count(tmp_path / "mobs.db", seconds=180, seed=seed)


def _work_and_count(path: Path, seconds: float, seed: int) -> None:
    path.with_name("link.db").symlink_to(path.name)
    asyncio.run(_make(path))
    _work(path, seconds, random.Random(seed))
    told = [read_journal(journal) for journal in path.parent.glob("*.journal")]
    assert [name for name in side_files(path) if name.startswith("mobs.db-")] == []
    asyncio.run(_count(path, told))
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    complaints = [complaint for one in told for complaint in one.complaints]
    assert not complaints, f"{len(complaints)}, such as {complaints[:3]}"


def _work(path: Path, seconds: float, chance: random.Random) -> None:
    """Run processes, kill one after the other, and start others; the last ones end normally."""
    numbers = count()
    with ExitStack() as stack:
        working: list[Process] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while len(working) < PROCESSES:
                number = next(numbers)
                seed = chance.getrandbits(32)
                working.append(stack.enter_context(running(stress, path, f"p{number}", seed)))
            time.sleep(chance.uniform(0.3, 1.5))
            victim = working.pop(chance.randrange(len(working)))
            victim.kill()
            victim.wait()
        for process in working:
            process.communicate(timeout=60)
            assert process.returncode == 0


async def _make(path: Path) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await stores.runs.create_run(new_run())


async def _count(path: Path, told: list[Journal]) -> None:
    async with open_stores(f"sqlite:{path}", create=False) as stores:
        found = {one.cursor: tag_of(one.kind) for one in await stores.events.replay_all()}
        run = await stores.runs.get_run(RUN)
        problems = (await mobstore.verify(stores)).problems
    acknowledged = [item for one in told for item in one.acknowledged.items()]
    assert len(acknowledged) > 500, "not much was tried"
    lost = [item for item in acknowledged if found.get(item[0]) != item[1]]
    assert not lost, f"{len(lost):,} of {len(acknowledged):,} are missing, such as {lost[:3]}"
    tags = Counter(tag for tag in found.values() if tag != "old")
    assert set(tags.values()) <= {1}, "an event is there twice"
    assert set(tags) <= {tag for one in told for tag in one.begun}
    won = sorted(value for one in told for value in one.won)
    assert len(won) == len(set(won)), "two processes won the same comparison"
    assert run is not None
    killed = len(told)  # each may have died between its commit and its line
    assert len(won) <= number_of(run.flow_state) <= len(won) + killed
    assert not problems
