"""Processes killed at any time: acknowledged writes are stored, and no write by half."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from engines.hammer import COUNTER, LEDGER, STEPS, hammer
from engines.support import hear, query, running
from mobstore import FrameId, LoopId, LoopInstanceId, MobRun, MobStores, open_stores, verify
from mobstore.testing.samples import number_of, tag_of

KILLS = 10  # per file; five files
INCREMENTING = 2  # tasks of the hammer, each with at most one increment in progress when killed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_moments(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "mobs.db"
    chance = random.Random(seed)
    acknowledged: list[dict[str, Any]] = []
    after_opening = 0
    for kill in range(KILLS):
        # A few die while they open; most while they write.
        lines = _run_and_kill(path, seed * 1000 + kill, chance, opened=chance.random() < 0.7)
        after_opening += bool(lines)
        acknowledged += lines
        asyncio.run(_check(path, acknowledged, kill + 1))
        assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert after_opening >= KILLS // 3, "the processes were killed before they wrote"
    assert len(acknowledged) > 200


def _run_and_kill(path: Path, seed: int, chance: random.Random, *, opened: bool) -> list[Any]:
    """Kill the process soon after its start, or some time after it has `opened` the store."""
    with running(hammer, path, seed, "full" if seed % 2 else "normal") as process:
        assert hear(process) == "ready"
        begun: list[Any] = []
        if opened:  # and has written, however slow the machine is
            begun = [json.loads(hear(process)) for _ in range(2)]
        with pytest.raises(TimeoutExpired):  # it does not end by itself
            process.communicate(timeout=chance.uniform(0, 0.4 if opened else 0.05))
        process.kill()
        printed, _ = process.communicate()
    # A line is one write to the pipe, so the last one is complete.
    return begun + [json.loads(line) for line in printed.decode().splitlines()]


async def _check(path: Path, acknowledged: list[dict[str, Any]], kills: int) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await _check_events(path, stores, acknowledged)
        counter, ledger, steps = [await stores.runs.get_run(r) for r in (COUNTER, LEDGER, STEPS)]
        spec = await stores.specs.get_spec("mob")
        assert (await verify(stores)).problems == ()
    if not acknowledged:
        return  # every process died before it had created the runs
    assert counter is not None
    assert ledger is not None
    assert steps is not None
    won = [line["count"] for line in acknowledged if "count" in line]
    assert len(set(won)) == len(won), "two tasks won the same increment"
    assert max(won, default=0) <= number_of(counter.flow_state)
    assert number_of(counter.flow_state) <= len(won) + kills * INCREMENTING
    _check_ledgers(path, ledger, acknowledged)
    _check_steps(steps, acknowledged)
    revisions = [line["revision"] for line in acknowledged if "revision" in line]
    assert max(revisions, default=0) <= (spec[1] if spec else 0)


async def _check_events(path: Path, stores: MobStores, acknowledged: list[dict[str, Any]]) -> None:
    stored = await stores.events.replay_all()
    assert [one.cursor for one in stored] == list(range(1, len(stored) + 1))
    if stored:
        ((following,),) = query(path, "SELECT value FROM counters WHERE name = 'next_cursor'")
        assert following == len(stored) + 1
    cursors = {tag_of(one.kind): one.cursor for one in stored}
    assert len(cursors) == len(stored), "an event was stored twice"
    for line in acknowledged:
        if "event" in line:
            assert cursors[line["event"]] == line["cursor"]
        elif "batch" in line:
            assert cursors[f"{line['batch']}:0/{line['size']}"] == line["cursor"]
    for tag, cursor in cursors.items():
        if part := re.fullmatch(r"(batch-.*):(\d+)/(\d+)", tag):
            batch, place, size = part[1], int(part[2]), int(part[3])
            for other in range(size):  # consecutive, hence whole
                assert cursors[f"{batch}:{other}/{size}"] == cursor - place + other


def _check_ledgers(path: Path, run: MobRun, acknowledged: list[dict[str, Any]]) -> None:
    for table in ("step_ledger", "failure_ledger"):
        positions = [
            position
            for (position,) in query(
                path, f"SELECT position FROM {table} WHERE run_id = '{LEDGER}' ORDER BY position"
            )
        ]
        assert positions == list(range(len(positions))), f"{table} has a gap"
    outputs = {entry.step_id: entry.output for entry in run.step_ledger}
    assert len(outputs) == len(run.step_ledger)
    failures = [entry.step_id for entry in run.failure_ledger]
    assert len(set(failures)) == len(failures)
    present = set[str](failures)
    for line in acknowledged:
        if "step" in line:
            assert line["step"] in outputs
            if "output" in line:
                assert outputs[line["step"]] == line["output"]
        elif "failure" in line:
            assert line["failure"] in present


def _check_steps(run: MobRun, acknowledged: list[dict[str, Any]]) -> None:
    done = number_of(run.frames[FrameId("f")].kernel_state)
    assert max((line["frame"] for line in acknowledged if "frame" in line), default=0) <= done
    # The frame holds the number of completed steps: exactly their outputs are stored.
    root = [(f"s{n}", n) for n in range(done) if n % 3]
    assert list(run.root_step_outputs.items()) == root
    in_loop = [{f"s{n}": n} for n in range(done) if n % 3 == 0]
    recorded = run.loop_iteration_outputs.get(LoopId("loop"), ())
    assert [dict(outputs) for outputs in recorded] == in_loop

    iterations = [entry.iteration for entry in run.loop_iteration_ledger]
    assert iterations == list(range(len(iterations)))
    if LoopInstanceId("loop") in run.loops:
        last = number_of(run.loops[LoopInstanceId("loop")].kernel_state)
        assert last == len(iterations) - 1, "the loop's state and its ledger disagree"
    else:
        assert not iterations
    seen = [line["loop"] for line in acknowledged if "loop" in line]
    assert max(seen, default=-1) < len(iterations)
