"""An export by mob writes an installation of the reference, or nothing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import mobstore
from maintenance.support import contents, load, stores_of
from meerkat.installations import installation, numbers
from mobstore.meerkat import ExportReport, export_meerkat, import_meerkat, tables
from mobstore.meerkat.exporter import file_name
from mobstore.scripts.tables import FRAMES
from mobstore.scripts.transaction import Add
from mobstore.testing import samples

engines = pytest.mark.parametrize("engine", ["memory", "sqlite"])


def column(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
        return [value for (value,) in file.execute(sql)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def fill(stores: mobstore.MobStores) -> None:
    """Write two mobs, with interleaved events and runs, and a realm profile."""
    for number in range(700):
        await stores.events.append(samples.event("desk" if number % 3 else "a/B"))
    for number in (5, 3, 4, 1):
        await stores.runs.create_run(samples.make_run(number, mob="desk" if number > 2 else "a/B"))
    await stores.specs.put_spec("desk", samples.definition("desk"))
    await stores.realm_profiles.create("writer", samples.profile())


@engines
@pytest.mark.parametrize("exists", [False, True])
def test_a_file_for_each_mob(engine: str, *, exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    if exists:
        folder.mkdir()

    async def check() -> None:
        steps: list[tuple[int, int]] = []
        async with stores_of(engine, tmp_path) as stores:
            await fill(stores)
            report = await export_meerkat(
                stores,
                folder,
                by_mob=True,
                progress=lambda done, total: steps.append((done, total)),
            )
            assert report == ExportReport(700, 4, 1, 1)
            assert steps[-1] == (706, 706)

    asyncio.run(check())
    assert names(folder) == ["a%2FB.db", "desk.db", "realm_profiles.db"]
    desk, other = folder / "desk.db", folder / "a%2FB.db"
    assert column(desk, "SELECT cursor FROM mob_events") == [n for n in range(1, 701) if n % 3 != 1]
    assert column(other, "SELECT cursor FROM mob_events") == list(range(1, 701, 3))
    runs = column(desk, "SELECT run_id FROM mob_runs ORDER BY rowid")
    assert runs == [str(samples.run_id(number)) for number in (5, 3, 4)]
    assert column(desk, "SELECT mob_id FROM mob_specs") == ["desk"]
    assert column(other, "SELECT count(*) FROM mob_specs") == [0]
    assert column(other, "SELECT value FROM mob_event_meta") == [701]
    assert column(desk, "SELECT count(*) FROM realm_profiles") == [0]
    profiles = folder / "realm_profiles.db"
    assert column(profiles, "SELECT name FROM realm_profiles") == ["writer"]
    assert column(profiles, "SELECT count(*) FROM mob_events") == [0]
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stat().st_nlink == 1
        assert path.read_bytes()[18:20] == b"\2\2"  # WAL
    if not exists:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_events_of_unknown_kinds_are_counted(tmp_path: Path) -> None:
    kind = mobstore.OtherEvent(type="mob_stopped", fields={})

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for mob in ("a", "b", "a"):
                await stores.events.append_batch(
                    [samples.event(mob), samples.event(mob, kind=kind)]
                )
            report = await export_meerkat(stores, tmp_path / "out", by_mob=True)
            assert (report.events, report.unknown_events) == (6, 3)

    asyncio.run(check())


def test_there_and_back(tmp_path: Path) -> None:
    folder = installation(tmp_path / "source")

    async def check() -> None:
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            await import_meerkat(folder, one)
            await export_meerkat(one, tmp_path / "out", by_mob=True)
            report = await import_meerkat(tmp_path / "out", other)
            assert numbers(report) == (6, 3, 3, 2)
            assert await events(one) == await events(other)
            assert (await contents(other))[1:4] == (await contents(one))[1:4]
            assert len(await other.realm_profiles.list()) == 2

    async def events(stores: mobstore.MobStores) -> list[tuple[str, object]]:
        return [(event.mob_id, event.kind) for event in await stores.events.replay_all()]

    asyncio.run(check())
    assert names(tmp_path / "out") == names(folder)


@pytest.mark.parametrize(
    ("mob_id", "name"),
    [
        ("Desk-7_b", "Desk-7_b.db"),
        ("m/t", "m%2Ft.db"),
        ("..", "%2E%2E.db"),
        ("é b%", "%C3%A9%20b%25.db"),
        ("", ".db"),
    ],
)
def test_names_of_files(mob_id: str, name: str) -> None:
    assert file_name(mob_id) == name


def test_a_store_without_mobs(tmp_path: Path) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await export_meerkat(stores, tmp_path / "out", by_mob=True)
            report = await import_meerkat(tmp_path / "out", stores)
            assert numbers(report) == (0, 0, 0, 0)

    asyncio.run(check())


Fill = Callable[[mobstore.MobStores], Awaitable[object]]


async def _without_events(stores: mobstore.MobStores) -> None:
    await stores.events.append(samples.event("with"))
    for number in range(12):
        await stores.specs.put_spec(f"spec {number:02}", samples.definition())
    await stores.runs.create_run(samples.make_run(1, mob="a run"))


async def _unreadable(stores: mobstore.MobStores) -> None:
    await stores.events.append(samples.event())
    await stores.runs.create_run(samples.make_run(1))
    await load(stores, Add(FRAMES, (FRAMES.row(str(samples.run_id(1)), "f", "{"),)))


REJECTED: dict[str, tuple[Fill, str]] = {
    "mobs without events": (
        _without_events,
        "without an event: mob a run, mob spec 00, mob spec 01, mob spec 02, mob spec 03, mob spec"
        " 04, mob spec 05, mob spec 06, mob spec 07, mob spec 08 and 3 more. The host of"
        " meerkat-mob deletes the file of such a mob",
    ),
    "a mob named after the file of profiles": (
        lambda stores: stores.events.append(samples.event("realm_profiles")),
        "the file of mob realm_profiles would have the name",
    ),
    "a long name": (
        lambda stores: stores.events.append(samples.event("é" * 50)),
        "the names of files would be too long: mob éééé",
    ),
    "a name too long for a log beside it": (
        lambda stores: stores.events.append(samples.event("m" * 245)),
        "the names of files would be too long: mob mmmm",
    ),
    "a row that cannot be read": (_unreadable, str(samples.run_id(1))),
}


@engines
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("what", REJECTED)
def test_an_export_that_fails_leaves_nothing(
    engine: str, what: str, *, exists: bool, tmp_path: Path
) -> None:
    make, words = REJECTED[what]
    folder = tmp_path / "out"
    if exists:
        folder.mkdir()

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await make(stores)
            with pytest.raises(mobstore.SerializationError) as caught:
                await export_meerkat(stores, folder, by_mob=True)
            assert words in caught.value.detail

    asyncio.run(check())
    assert folder.exists() == exists
    assert not exists or not list(folder.iterdir())


def test_a_directory_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "dear").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "empty").mkdir()

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for name, words in (
                ("file", "not a directory"),
                ("full", "is not empty; name a new directory or an empty one"),
                ("no/out", "the directory"),
                ("loop", "cannot be written"),
            ):
                with pytest.raises(mobstore.WriteFailedError, match=words):
                    await export_meerkat(stores, tmp_path / name, by_mob=True)
            with pytest.raises(mobstore.UsageError, match="a directory is not replaced"):
                await export_meerkat(stores, tmp_path / "empty", by_mob=True, overwrite=True)
            await export_meerkat(stores, tmp_path / "link", by_mob=True)

    asyncio.run(check())
    assert (tmp_path / "file").read_text(encoding="utf-8") == "dear"
    assert names(tmp_path / "full") == ["dear"]
    assert names(tmp_path / "empty") == ["realm_profiles.db"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out"

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(samples.event())

            def appear(_done: int, _total: int) -> None:
                folder.mkdir(exist_ok=True)
                (folder / "dear").touch()

            with pytest.raises(mobstore.WriteFailedError, match="not empty"):
                await export_meerkat(stores, folder, by_mob=True, progress=appear)

    asyncio.run(check())
    assert names(folder) == ["dear"]
    assert names(tmp_path) == ["out"]


def test_a_directory_that_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")

    def ismount(path: str | Path) -> bool:
        return Path(path) == mounted

    monkeypatch.setattr(os.path, "ismount", ismount)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(samples.event())
            for path in (".", tmp_path / "current", mounted):
                with pytest.raises(mobstore.WriteFailedError, match="name a new directory in it"):
                    await export_meerkat(stores, path, by_mob=True)

    asyncio.run(check())
    assert names(tmp_path) == ["current", "mounted"]
    assert not names(mounted)


def test_an_empty_directory_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o2750)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await export_meerkat(stores, tmp_path / "out", by_mob=True)

    asyncio.run(check())
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o2750
    assert names(tmp_path) == ["out"]


def test_a_failed_move_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "rename", fail)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(samples.event())
            with pytest.raises(mobstore.WriteFailedError, match="no space left on device"):
                await export_meerkat(stores, tmp_path / "out", by_mob=True)

    asyncio.run(check())
    assert not names(tmp_path)


def test_a_cancelled_export_leaves_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await stores.events.append_batch([samples.event() for _ in range(3000)])
            tasks: list[asyncio.Task[Any]] = []

            def cancel(_done: int, _total: int) -> None:
                tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
                while not tasks[0].done():
                    os.sched_yield()

            work = export_meerkat(stores, tmp_path / "out", by_mob=True, progress=cancel)
            tasks.append(asyncio.create_task(work))
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]

    asyncio.run(check())
    assert not [name for name in names(tmp_path) if "out" in name]


_KILLED = """
import asyncio, os, pathlib, random, signal, sys
import mobstore
from mobstore.meerkat import export_meerkat
from mobstore.testing import samples

def export(folder, last):
    calls = 0
    def count(name, _):
        nonlocal calls
        calls += name.partition(".")[0] in {"open", "os", "sqlite3"}
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
    async def work():
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append_batch([samples.event(f"m{n}") for n in range(5)])
            sys.addaudithook(count)
            await export_meerkat(stores, folder, by_mob=True)
    asyncio.run(work())
    return calls

def forked(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])

top = pathlib.Path(sys.argv[1])
reader, writer = os.pipe()
forked(lambda: os.write(writer, str(export(top / "whole", 0)).encode()))
calls = int(os.read(reader, 20))
points = {*range(calls - 5, calls + 7), *random.sample(range(1, calls), 6)}  # chmod and others, too
for point in sorted(points):
    folder = top / str(point)
    if point % 2:
        folder.mkdir()
    forked(lambda: export(folder, point))
    print(len(list(folder.iterdir())) if folder.exists() else 0)
"""


@pytest.mark.process
@pytest.mark.slow
def test_a_killed_export_leaves_all_files_or_none(tmp_path: Path) -> None:
    """A process is killed at each of its last calls of the system, and at some before."""
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, tmp_path], check=True, capture_output=True, text=True
    )
    assert set(ended.stdout.split()) == {"0", "6"}


def test_pages_end_with_their_mob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "FIRST_LIMIT", 1000)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await fill(stores)
            await export_meerkat(stores, tmp_path / "out", by_mob=True)

    asyncio.run(check())
    assert column(tmp_path / "out" / "desk.db", "SELECT count(*) FROM mob_events") == [466]
