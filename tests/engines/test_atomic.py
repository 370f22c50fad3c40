"""Processes killed during atomic calls: each call is stored whole, or not at all."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from subprocess import TimeoutExpired
from uuid import UUID

import pytest

from engines.children import STEPPED, complete_steps
from engines.support import hear, query, running
from mobstore import FrameId, PeersWired, RunId, open_stores
from mobstore.testing.samples import number_of

KILLS = 8


@pytest.mark.slow
def test_killed_between_two_operations(tmp_path: Path) -> None:
    """A run's frame, its outputs and the log agree, whenever the process is killed."""
    path, chance = tmp_path / "mobs.db", random.Random(7)
    acknowledged = dict.fromkeys(STEPPED, 0)
    for kill in range(KILLS):
        for line in _run_and_kill(path, "full" if kill % 2 else "normal", chance):
            run_id, done = line.split()
            acknowledged[RunId(UUID(run_id))] = int(done)
        asyncio.run(_check(path, acknowledged))
        assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert min(acknowledged.values()) > 3 * KILLS


def _run_and_kill(path: Path, durability: str, chance: random.Random) -> list[str]:
    """Kill the process after its first steps, and return the acknowledged ones."""
    with running(complete_steps, path, durability) as process:
        begun = [hear(process) for _ in range(4)]
        with pytest.raises(TimeoutExpired):  # it does not end by itself
            process.communicate(timeout=chance.uniform(0, 0.3))
        process.kill()
        printed, _ = process.communicate()
    return begun + printed.decode().splitlines()


async def _check(path: Path, acknowledged: dict[RunId, int]) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        log = await stores.events.replay_all()
        assert [one.cursor for one in log] == list(range(1, len(log) + 1))
        for run_id in STEPPED:
            run = await stores.runs.get_run(run_id)
            assert run is not None
            done = number_of(run.frames[FrameId("f")].kernel_state)
            # The last call before the kill may have been committed.
            assert acknowledged[run_id] <= done <= acknowledged[run_id] + 1
            steps = [f"s{number}" for number in range(done)]
            assert list(run.root_step_outputs) == steps
            kinds = [one.kind for one in log if isinstance(one.kind, PeersWired)]
            assert [kind.b for kind in kinds if kind.a == f"{run_id}"] == steps
            acknowledged[run_id] = done
