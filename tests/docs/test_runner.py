"""The example of a flow runner, with processes that are killed and frozen at random."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import pytest

from docs.pages import ROOT
from mobstore import MobRun, MobRunStatus, MobStores, open_stores
from runner.flow import DEFINITION
from runner.projector import COUNTS
from runner.submit import main as submit
from runner.worker import TTL

EXAMPLES = ROOT / "docs" / "examples"
LONGEST = 300  # lines of the runner
KILLS, FREEZES = 20, 10
WORKERS = 3


def test_the_runner_is_short() -> None:
    files = [EXAMPLES / "runner" / name for name in ("worker.py", "flow.py")]
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in files)
    assert lines <= LONGEST


class Programs:
    """The programs of the runner, each started again when it was killed."""

    def __init__(self, url: str, output: Path) -> None:
        self._url, self._output = url, output
        self._started = 0
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, slot: str) -> None:
        """Start a worker under a new name, or the projector."""
        self._started += 1
        module = "runner.projector" if slot == "projector" else "runner.worker"
        arguments = [] if slot == "projector" else [f"{slot}-{self._started}"]
        with self._output.open("ab") as output:
            self._running[slot] = subprocess.Popen(
                [sys.executable, "-m", module, self._url, *arguments],
                cwd=EXAMPLES,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def kill(self, slot: str) -> None:
        """Kill a program, and start it again."""
        self.end(slot)
        self.start(slot)

    def freeze(self, slot: str, seconds: float) -> None:
        """Stop a program for a while."""
        program = self._running[slot]
        program.send_signal(signal.SIGSTOP)
        sleep(seconds)
        program.send_signal(signal.SIGCONT)

    def end(self, slot: str) -> None:
        """Kill a program."""
        program = self._running.pop(slot)
        assert program.poll() is None, self._output.read_text("utf-8")
        program.kill()
        program.wait()

    def end_all(self) -> None:
        """Kill all programs."""
        for slot in list(self._running):
            self.end(slot)


@contextmanager
def running(url: str, output: Path) -> Generator[Programs]:
    programs = Programs(url, output)
    slots = [*(f"worker-{n}" for n in range(WORKERS)), "projector"]
    try:
        for slot in slots:
            programs.start(slot)
        yield programs
    finally:
        programs.end_all()


@pytest.mark.slow
@pytest.mark.process
def test_no_step_is_lost_or_doubled(tmp_path: Path) -> None:
    """Kill 20 times and freeze 10 times, for longer than a claim lasts."""
    url, output = f"sqlite:{tmp_path}/mobs.db", tmp_path / "output"
    seed = random.randrange(2**32)
    choose = random.Random(seed)
    asyncio.run(submit(url, 12))
    disturbances = ["kill"] * KILLS + ["freeze"] * FREEZES
    choose.shuffle(disturbances)
    with running(url, output) as programs:
        for disturbance in disturbances:
            if asyncio.run(unfinished(url)) < 2 * WORKERS:
                asyncio.run(submit(url, 6))
            sleep(choose.uniform(0.05, 0.5))
            if disturbance == "kill":
                programs.kill(choose.choice(["worker-0", "worker-1", "worker-2", "projector"]))
            else:
                programs.freeze(f"worker-{choose.randrange(WORKERS)}", 1.3 * TTL)
        deadline = monotonic() + 60
        while asyncio.run(unfinished(url)) or not asyncio.run(is_projected(url)):
            assert monotonic() < deadline, f"seed {seed}: {output.read_text('utf-8')}"
            sleep(0.2)
    said = output.read_text("utf-8")
    assert "Traceback" not in said, f"seed {seed}: {said}"
    assert "Claim lost" in said, f"seed {seed}: no frozen worker lost its claim: {said}"
    asyncio.run(check(url))


async def unfinished(url: str) -> int:
    async with open_stores(url) as stores:
        statuses: tuple[MobRunStatus, ...] = ("pending", "running")
        headers = [await stores.runs.run_headers(DEFINITION.id, status=one) for one in statuses]
    return sum(map(len, headers))


async def is_projected(url: str) -> bool:
    async with open_stores(url) as stores:
        consumers = await stores.events.consumers()
        latest = await stores.events.latest_cursor()
    return [consumer.cursor for consumer in consumers] == [latest]


async def check(url: str) -> None:
    async with open_stores(url) as stores:
        events = await stores.events.replay_all()
        of_types = Counter(event.kind.type for event in events)
        counts = await stores.runs.get_run(COUNTS)
        assert counts is not None
        assert dict(counts.flow_state.fields) == dict(of_types)
        runs = await stores.runs.list_runs(DEFINITION.id)
        assert {run.status for run in runs} == {"completed"}
        for run in runs:
            await check_run(stores, run)
        assert await stores.claims.list() == []


async def check_run(stores: MobStores, run: MobRun) -> None:
    """Check that each step of each frame was dispatched, completed and recorded exactly once."""
    expected = Counter(dict(run.root_step_outputs).keys())
    for iterations in run.loop_iteration_outputs.values():
        for outputs in iterations:
            expected.update(outputs.keys())
    nodes: list[tuple[str, str]] = []
    for frame in run.frames.values():
        fields = cast("Mapping[str, Any]", frame.kernel_state.fields["nodes"])
        nodes += [(node, status) for node, status in fields.items() if node != "revise"]
    assert Counter(node for node, status in nodes if status == "completed") == expected
    assert {status for _, status in nodes} <= {"completed", "skipped"}
    for status in ("dispatched", "completed"):
        recorded = Counter(step.step_id for step in run.step_ledger if step.status == status)
        assert recorded == expected, status
    kinds: list[Any] = [
        event.kind for event in await stores.events.poll(run_id=run.run_id, limit=1000)
    ]
    for type_ in ("step_dispatched", "step_completed"):
        assert Counter(kind.step_id for kind in kinds if kind.type == type_) == expected, type_
    whole = [kind.type for kind in kinds if kind.type.startswith("flow_")]
    assert whole == ["flow_started", "flow_completed"]
    ledger = [entry.iteration for entry in run.loop_iteration_ledger]
    assert ledger == list(range(len(ledger)))
