"""An import changes neither the source nor the files beside it, in any state."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import mobstore
from mobstore.meerkat import ImportReport, import_meerkat
from mobstore.meerkat.database import check_source


def left_behind(path: Path, script: str) -> None:
    """Run a process that works on the file, and kill it."""
    start = f"import os, sqlite3\nfile = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
    program = f"{start}{textwrap.dedent(script)}\nos._exit(0)"
    subprocess.run([sys.executable, "-c", program], check=True)


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return all files except the shared memory, which SQLite creates again to read a log."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.iterdir()
        if not path.name.endswith("-shm")
    }


def attempt(path: Path) -> ImportReport | str:
    async def work() -> ImportReport | str:
        async with mobstore.open_stores("memory:") as stores:
            try:
                report = await import_meerkat(path, stores)
            except mobstore.ReadFailedError as error:
                return str(error)
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            assert (await stores.events.append(event)).cursor == 500
            return report

    return asyncio.run(work())


WAL = "file.execute('UPDATE mob_event_meta SET value = 500')"


def test_the_log_of_a_killed_process_is_read(sample: Path) -> None:
    left_behind(sample, WAL)
    before = state(sample.parent)
    assert before.keys() == {sample.name, f"{sample.name}-wal"}
    check_source(sample)
    result = attempt(sample)
    assert isinstance(result, ImportReport), result
    assert state(sample.parent) == before


def test_a_log_without_its_shared_memory_is_read(sample: Path) -> None:
    """A copy of the file and its log has no shared memory."""
    left_behind(sample, WAL)
    sample.with_name(f"{sample.name}-shm").unlink()
    before = state(sample.parent)
    result = attempt(sample)
    assert isinstance(result, ImportReport), result
    assert state(sample.parent) == before


@pytest.mark.parametrize("writable", [False, True])
def test_a_hot_journal_is_rejected(*, writable: bool, sample: Path) -> None:
    left_behind(
        sample,
        """
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("UPDATE mob_event_meta SET value = 500")
        file.execute("PRAGMA cache_size = 1")
        file.execute("BEGIN")
        file.execute("UPDATE mob_events SET event_json = zeroblob(9000)")
        """,
    )
    sample.chmod(0o600 if writable else 0o400)
    before = state(sample.parent)
    assert before.keys() == {sample.name, f"{sample.name}-journal"}
    result = attempt(sample)
    assert isinstance(result, str)
    assert "was left in the middle of a write" in result
    assert state(sample.parent) == before


@pytest.mark.parametrize("mode", ["PERSIST", "TRUNCATE"])
def test_a_finished_journal_is_ignored(mode: str, sample: Path) -> None:
    left_behind(
        sample,
        f"""
        file.execute("PRAGMA journal_mode = {mode}")
        file.execute("UPDATE mob_event_meta SET value = 500")
        """,
    )
    before = state(sample.parent)
    assert before.keys() == {sample.name, f"{sample.name}-journal"}
    assert isinstance(attempt(sample), ImportReport)
    assert state(sample.parent) == before


@pytest.mark.parametrize("log", ["-wal", "-journal"])
def test_a_foreign_log_is_not_changed(log: str, sample: Path) -> None:
    left_behind(
        sample,
        """
        file.execute("UPDATE mob_event_meta SET value = 500")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.execute("PRAGMA journal_mode = DELETE")
        """,
    )
    sample.with_name(f"{sample.name}{log}").write_bytes(b"no log at all" * 1000)
    before = state(sample.parent)
    assert isinstance(attempt(sample), (ImportReport, str))
    assert state(sample.parent) == before
