"""Large stores need no more memory than small ones, and a killed process leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import pytest

import mobstore
from engines.support import output, running
from maintenance.support import exported, imported, is_empty, rows_of
from mobstore.engines.memory import MemoryEngine
from mobstore.maintenance.transfer import Summary, copy, export_stores, import_stores
from mobstore.scripts.transaction import Add, Commit, LoadingScript
from mobstore.testing import samples

pytestmark = pytest.mark.slow

T = TypeVar("T")

PADDING = "x" * 200
MIB = 2**20


async def fill(path: Path, events: int, parts: int) -> None:
    """Fill a store with events, and one run with parts of each of four kinds."""
    async with mobstore.open_stores(f"sqlite:{path}", durability="normal") as stores:
        for start in range(0, events, 5000):
            batch = [samples.event(f"{n}{PADDING}") for n in range(start, start + 5000)]
            await stores.events.append_batch(batch)
        run = samples.make_run(
            step_ledger=[samples.step(f"s{n}", PADDING) for n in range(parts)],
            failure_ledger=[samples.failure(f"s{n}", PADDING) for n in range(parts)],
            frames={f"f{n}{PADDING}": samples.frame(n) for n in range(parts)},
            loop_iteration_outputs={"loop": [{"s": PADDING} for _ in range(parts)]},
        )
        await stores.runs.create_run(run)


def peak() -> int:
    """Return the peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def move(folder: str) -> None:
    """Child: move a small and a large store; print how much more memory the large one needs."""

    async def once(name: str) -> int:
        path = Path(folder)
        source, target = f"sqlite:{path / name}.db", f"sqlite:{path / name}-moved.db"
        with (path / f"{name}.zip").open("w+b") as file:
            async with mobstore.open_stores(source) as stores:
                await export_stores(stores, file)
            async with mobstore.open_stores(target) as stores:
                moved = sum(await import_stores(file, stores))
                async with mobstore.open_stores(f"{target}-again") as again:
                    assert sum(await copy(stores, again)) == moved
                return moved

    async def both() -> list[int]:
        moved, before = await once("small"), peak()
        return [moved, await once("large"), peak() - before]

    print(json.dumps(asyncio.run(both())))


def test_memory(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "small.db", 5_000, 1_000))
    asyncio.run(fill(tmp_path / "large.db", 45_000, 2_500))
    assert (tmp_path / "large.db").stat().st_size > 25 * MIB
    small, large, more = json.loads(output(move, tmp_path, seconds=280))
    assert (small, large) == (5_001, 45_001)
    assert more < 8 * MIB


class Recorder(MemoryEngine):
    """An engine that records the most rows of one write."""

    most = 0

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        def watched() -> LoadingScript[T]:
            script = make()
            answers: Any = None
            while True:
                try:
                    asked = script.send(answers)
                except StopIteration as end:
                    return cast("Commit[T]", end.value)
                for one in asked:
                    if isinstance(one, Add):
                        self.most = max(self.most, len(one.rows))
                answers = yield asked

        return await super().load(watched)


@pytest.mark.parametrize(("length", "most"), [(10, 256), (10_000, 103), (1_100_000, 1)])
def test_larger_rows_are_written_in_smaller_pages(length: int, most: int) -> None:
    async def check() -> None:
        async with (
            mobstore.open_stores("memory:") as one,
            mobstore.MobStores(Recorder()) as other,
        ):
            kind = mobstore.ExternalPeerUnwired(
                local=mobstore.MeerkatId(""), peer_name="x" * length
            )
            event = samples.event(kind=kind)
            await one.events.append_batch([event] * (most + 5))
            await imported(await exported(one), other)
            assert rows_of(other) == rows_of(one)
            assert cast("Recorder", other.engine).most == most

    asyncio.run(check())


def die(path: str, target: str, at: str) -> None:
    """Child: import a file, and be killed after `at` rows."""

    def progress(done: int, _total: int) -> None:
        if done >= int(at):
            os.kill(os.getpid(), signal.SIGKILL)

    async def main(file: BinaryIO) -> None:
        async with mobstore.open_stores(f"sqlite:{target}") as stores:
            await import_stores(file, stores, progress=progress)

    with Path(path).open("rb") as file:
        asyncio.run(main(file))


@pytest.mark.parametrize("at", [1, 500, 1001])
def test_a_killed_import_leaves_nothing(at: int, tmp_path: Path) -> None:
    path, target = tmp_path / "file", tmp_path / "target.db"

    async def make() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append_batch([samples.event() for _ in range(1000)])
            with path.open("wb") as file:
                await export_stores(stores, file)

    asyncio.run(make())
    with running(die, path, target, at) as process:
        assert process.wait() == -signal.SIGKILL

    async def check() -> None:
        async with mobstore.open_stores(f"sqlite:{target}") as stores:
            assert is_empty(stores)
            assert await imported(path.read_bytes(), stores) == Summary(1000, 0, 0, 0)

    asyncio.run(check())


def die_copying(source: str, target: str, at: str) -> None:
    """Child: copy a store, and be killed after `at` rows."""

    def progress(done: int, _total: int) -> None:
        if done >= int(at):
            os.kill(os.getpid(), signal.SIGKILL)

    async def main() -> None:
        async with (
            mobstore.open_stores(f"sqlite:{source}") as one,
            mobstore.open_stores(f"sqlite:{target}") as other,
        ):
            await copy(one, other, progress=progress)

    asyncio.run(main())


@pytest.mark.parametrize("at", [1, 1500, 2002])
def test_a_killed_copy_leaves_nothing(at: int, tmp_path: Path) -> None:
    source, target = tmp_path / "source.db", tmp_path / "target.db"

    async def make() -> None:
        async with mobstore.open_stores(f"sqlite:{source}") as stores:
            await stores.events.append_batch([samples.event() for _ in range(1000)])

    asyncio.run(make())
    with running(die_copying, source, target, at) as process:
        assert process.wait() == -signal.SIGKILL

    async def check() -> None:
        async with (
            mobstore.open_stores(f"sqlite:{source}") as one,
            mobstore.open_stores(f"sqlite:{target}") as other,
        ):
            assert is_empty(other)
            assert await copy(one, other) == Summary(1000, 0, 0, 0)
            assert rows_of(other) == rows_of(one)

    asyncio.run(check())
