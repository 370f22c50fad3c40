"""An import needs bounded memory for any database, and can be ended at any time."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from engines.support import open_files, output
from mobstore.meerkat import ImportReport, conversion, import_meerkat, integrity
from mobstore.meerkat.pages import TooLong, pages

pytestmark = pytest.mark.process

MANY = (
    "WITH RECURSIVE n(x) AS (SELECT 1000 UNION ALL SELECT x + 1 FROM n LIMIT {})"
    " INSERT INTO mob_events SELECT x, {} FROM n"
)


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        for sql in statements:
            file.execute(sql)
        file.commit()


def imported_from(path: Path, *, skip: bool = True) -> ImportReport:
    async def work() -> ImportReport:
        async with mobstore.open_stores("memory:") as stores:
            return await import_meerkat(path, stores, skip_unreadable=skip)

    return asyncio.run(work())


# Memory ----------------------------------------------------------------------------------------


def test_pages_are_bounded_in_bytes(sample: Path) -> None:
    change(sample, MANY.format(20, "zeroblob(3000000)"))
    with closing(sqlite3.connect(sample)) as file:
        sizes = [len(page) for page in pages(file, "mob_events", "cursor, event_json", 2**26)]
    assert sizes == [100, *([1] * 19)]  # a page ends with the row that exceeds its size


@pytest.mark.parametrize(
    "long",
    [(1,), (99,), (50, 51), (1, 2, 3), (97, 99), tuple(range(1, 100))],
    ids=["first", "last", "neighbours", "the first three", "with one between", "all"],
)
def test_a_row_that_is_too_long_is_not_read(long: tuple[int, ...], sample: Path) -> None:
    listed = ", ".join(map(str, long))
    change(
        sample,
        f"UPDATE mob_events SET event_json = zeroblob(5000000) WHERE cursor IN ({listed})",
    )
    with closing(sqlite3.connect(sample)) as file:
        rows = [
            row for page in pages(file, "mob_events", "cursor, event_json", 10**6) for row in page
        ]
    assert [row[0] for row in rows] == list(range(1, 100))
    assert [row.rowid for row in rows if isinstance(row, TooLong)] == list(long)


@pytest.mark.parametrize(
    ("table", "key", "change_"),
    [
        ("mob_events", "99", "event_json = zeroblob(5000000) WHERE cursor = 99"),
        ("mob_events", "99", "event_json = CAST(zeroblob(5000000) AS TEXT) WHERE cursor = 99"),
        ("mob_specs", "night-desk", "spec_json = zeroblob(5000000) WHERE mob_id = 'night-desk'"),
        ("realm_profiles", "of row 1", "name = CAST(zeroblob(5000000) AS TEXT) WHERE rowid = 1"),
    ],
)
def test_a_row_that_is_too_long_is_named(
    table: str, key: str, change_: str, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_LONGEST", 2**21)
    change(sample, f"UPDATE {table} SET {change_}")
    report = imported_from(sample)
    assert [(row.table, row.key) for row in report.left_out] == [(table, key)]
    with pytest.raises(mobstore.SerializationError, match=f"table {table}, key {key}: it has more"):
        imported_from(sample, skip=False)


def import_long(path: str) -> None:
    """Child: import a row of 300 MB and print the memory it needs."""
    limit = 700 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    report = imported_from(Path(path))
    assert [row.key for row in report.left_out] == ["1000"], report.left_out


@pytest.mark.slow
def test_memory_is_bounded_for_a_huge_row(sample: Path) -> None:
    change(sample, MANY.format(1, "zeroblob(300000000)"))
    output(import_long, sample, seconds=60)


def test_the_list_of_rows_left_out_is_bounded(sample: Path) -> None:
    change(sample, MANY.format(2500, "x'7b7d'"))
    report = imported_from(sample)
    assert (report.events, len(report.left_out), report.more_left_out) == (99, 1000, 1500)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_says_how_many_more(*, as_json: bool, sample: Path, tmp_path: Path) -> None:
    change(sample, MANY.format(1002, "x'7b7d'"))
    options = ["--skip-unreadable", "--no-check", *(["--json"] if as_json else [])]
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "mobstore",
            "import",
            sample,
            f"sqlite:{tmp_path / 'a.db'}",
            *options,
        ],
        capture_output=True,
        check=True,
    )
    if as_json:
        report = json.loads(ended.stdout)
        assert (len(report["left_out"]), report["more_left_out"]) == (1000, 2)
    else:
        assert ended.stdout.decode().splitlines()[-1] == "left out: 2 more"


@pytest.mark.parametrize("skip", [False, True])
def test_long_and_strange_keys_are_cut(*, skip: bool, sample: Path) -> None:
    change(
        sample,
        "UPDATE mob_specs SET mob_id = CAST(zeroblob(3000000) AS TEXT) WHERE mob_id = 'night-desk'",
        "UPDATE realm_profiles SET name = CAST(x'ff1b5b324a' AS TEXT) WHERE name = 'web-scout'",
    )
    if skip:
        lines = "\n".join(map(str, imported_from(sample).left_out)).splitlines()
        assert [line[:20] for line in lines] == ["table mob_specs, key", "table realm_profiles"]
        assert r"key \udcff\x1b[2J: " in lines[1]
    else:
        with pytest.raises(mobstore.SerializationError) as caught:
            imported_from(sample, skip=False)
        lines = [str(caught.value)]
    assert all(line.isprintable() and len(line) < 500 for line in lines)


# Cancellation ----------------------------------------------------------------------------------


def checking() -> bool:
    return any(thread.name == "mobstore-check" for thread in threading.enumerate())


@pytest.mark.parametrize("ending", ["cancelled", "closed", "progress"])
def test_the_integrity_check_is_ended(
    ending: str, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_PAUSE", 0.001)
    change(sample, MANY.format(1_000_000, "x'7b7d'"))
    ended: list[float] = []

    async def work() -> None:
        async with mobstore.open_stores("memory:") as stores:

            def progress(done: int, _total: int) -> None:
                assert done == 0
                if ended:
                    return
                assert checking()
                ended.append(time.monotonic())
                if ending == "progress":
                    raise KeyError(ending)
                if ending == "cancelled":
                    task.cancel()
                else:
                    closing.append(asyncio.create_task(stores.close()))

            closing: list[asyncio.Task[None]] = []
            task = asyncio.create_task(import_meerkat(sample, stores, progress=progress))
            kinds = (asyncio.CancelledError, KeyError, mobstore.InternalError)
            with pytest.raises(kinds):
                await task
            while checking():  # a busy machine may need longer
                assert time.monotonic() < ended[0] + 10
                await asyncio.sleep(0.01)
            assert not open_files(sample.parent)

    asyncio.run(work())
    assert time.monotonic() - ended[0] < 5


def test_a_wait_for_a_lock_is_ended(sample: Path) -> None:
    async def work() -> float:
        async with mobstore.open_stores("memory:") as stores:
            task = asyncio.create_task(import_meerkat(sample, stores))
            await asyncio.sleep(0.2)
            assert checking()
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.monotonic() - began

    with closing(sqlite3.connect(sample)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("UPDATE mob_event_meta SET value = 500")
        holder.commit()
        assert asyncio.run(work()) < 2


@pytest.mark.parametrize("check", [True, False])
def test_ctrl_c_ends_the_command(*, check: bool, sample: Path, tmp_path: Path) -> None:
    change(sample, MANY.format(1_000_000, "x'7b7d'"))
    target = tmp_path / "new.db"
    options = ["--skip-unreadable"] if check else ["--skip-unreadable", "--no-check"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mobstore", "import", sample, f"sqlite:{target}", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        while not target.exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert time.monotonic() - sent < 5  # a second on an idle machine
    assert not target.exists()
