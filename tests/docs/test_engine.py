"""The engine of `docs/writing-an-engine.md` keeps the contract and survives crashes as promised."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import ClassVar

import pytest

from journal import JournalEngine
from mobstore import MobStores, ReadFailedError, WriteFailedError
from mobstore.testing import Capability, Subject, run_cases
from mobstore.testing.samples import event


class JournalSubject(Subject):
    capabilities: ClassVar[frozenset[Capability]] = frozenset({"durable"})
    folder: ClassVar[Path]
    made = 0

    def __init__(self) -> None:
        super().__init__()
        JournalSubject.made += 1
        self._path = self.folder / f"{self.made}.journal"

    async def connect(self) -> MobStores:
        return MobStores(JournalEngine(self._path), clock=self.clock)


@pytest.mark.slow
def test_it_keeps_the_contract(tmp_path: Path) -> None:
    JournalSubject.folder = tmp_path
    report = asyncio.run(run_cases(JournalSubject, required=["durable.*", "engine.*"]))
    assert report.ok, str(report)
    assert all(name.startswith("shared.") for name in report.of("skipped"))


async def _cursors(path: Path) -> list[int]:
    async with MobStores(JournalEngine(path)) as stores:
        return [found.cursor for found in await stores.events.replay_all()]


async def _append(path: Path, times: int) -> None:
    async with MobStores(JournalEngine(path)) as stores:
        for _ in range(times):
            await stores.events.append(event())


@pytest.mark.slow
def test_a_torn_line_is_cut_off_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    asyncio.run(_append(path, 2))
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for end in range(second, len(whole)):
        path.write_bytes(whole[:end])
        assert asyncio.run(_cursors(path)) == [1]
        assert path.read_bytes() == whole[:second]
    asyncio.run(_append(path, 1))
    assert asyncio.run(_cursors(path)) == [1, 2]


def test_what_is_open_cannot_be_opened_again(tmp_path: Path) -> None:
    async def twice() -> None:
        async with MobStores(JournalEngine(tmp_path / "journal")):
            with pytest.raises(ReadFailedError, match="is it open elsewhere"):
                JournalEngine(tmp_path / "journal")

    asyncio.run(twice())


def test_compacting_keeps_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    async def compact() -> None:
        async with MobStores(JournalEngine(path)) as stores:
            await stores.events.append_batch([event()] * 100)
            await stores.events.clear()
            await stores.compact()
            await stores.events.append(event())

    asyncio.run(compact())
    assert path.stat().st_size < 500
    assert asyncio.run(_cursors(path)) == [101]
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


def test_a_file_that_cannot_grow_is_left_as_it_was(tmp_path: Path) -> None:
    """The system writes a part of the line, as on a full disk."""
    path = tmp_path / "journal"
    asyncio.run(_append(path, 1))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def append() -> None:
        async with MobStores(JournalEngine(path)) as stores:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
            try:
                with pytest.raises(WriteFailedError, match="is there room"):
                    await stores.events.append(event())
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert path.read_bytes() == before
            assert (await stores.events.append(event())).cursor == 2

    asyncio.run(append())
