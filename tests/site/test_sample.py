"""The sample of the page, made of the recorded database."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from pathlib import Path

import pytest

import sample
from mobstore import MobStores, diff, import_meerkat, open_stores


async def imported(content: bytes, file: Path, stores: MobStores) -> None:
    file.write_bytes(content)  # noqa: ASYNC240 - nothing else runs
    await import_meerkat(file, stores)


def test_it_differs_from_the_recording_in_the_ends_of_runs(tmp_path: Path) -> None:
    recording = gzip.decompress(sample.RECORDING.read_bytes())

    async def compare() -> None:
        async with open_stores("memory:") as recorded, open_stores("memory:") as made:
            await imported(recording, tmp_path / "recording.db", recorded)
            await imported(sample.make_sample(), tmp_path / "sample.db", made)
            found = [difference async for difference in diff(recorded, made)]
            runs = await made.runs.list_runs("tide-desk")
        assert {difference.fields for difference in found} == {("completed_at",)}
        ended = [run for run in runs if run.completed_at is not None]
        assert len(ended) == len(found) == 7
        for run in ended:
            assert run.completed_at is not None
            took = run.completed_at.to_datetime() - run.created_at.to_datetime()
            assert timedelta(seconds=20) < took < timedelta(minutes=2)
            assert run.completed_at >= max(entry.timestamp for entry in run.step_ledger)

    asyncio.run(compare())


def test_another_recording_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = gzip.decompress(sample.RECORDING.read_bytes())
    end = b"2026-11-22T13:13:46.793081336Z"
    assert recording.count(end) == 1
    other = tmp_path / "other.db.gz"
    other.write_bytes(gzip.compress(recording.replace(end, b"2026-11-22T13:13:46.881980769Z")))
    monkeypatch.setattr(sample, "RECORDING", other)
    with pytest.raises(ValueError, match="cannot be replaced in the recording"):
        sample.make_sample()
