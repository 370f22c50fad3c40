"""An import of a database of the reference is exact, and all or nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import mobstore
from meerkat.installations import numbers
from mobstore.meerkat import ImportReport, Unreadable, import_meerkat

Engine = Callable[[], mobstore.Opening[mobstore.MobStores]]


@pytest.fixture(params=["memory", "sqlite"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "memory":
        return lambda: mobstore.open_stores("memory:")
    return lambda: mobstore.open_stores(f"sqlite:{tmp_path / 'target.db'}")


def change(path: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as file:
        for sql, values in statements:
            file.execute(sql, values)
        file.commit()


def column(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
        return [value for (value,) in file.execute(sql)]


async def is_empty(stores: mobstore.MobStores) -> bool:
    return not (
        await stores.events.replay_all()
        or await stores.runs.list_runs("tide-desk")
        or await stores.specs.list_specs()
        or await stores.realm_profiles.list()
    )


def rejected(
    opening: Engine, source: Path, kind: type[mobstore.MobStoreError], *, skip: bool = False
) -> str:
    """Import a file that must be rejected; check that the store is empty, return the message."""

    async def attempt() -> str:
        async with opening() as stores:
            with pytest.raises(kind) as caught:
                await import_meerkat(source, stores, skip_unreadable=skip)
            assert await is_empty(stores)
            first = await stores.events.append(
                mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            )
            assert first.cursor == 1
            return str(caught.value)

    return asyncio.run(attempt())


def test_everything_is_imported_and_the_file_is_not_changed(opening: Engine, sample: Path) -> None:
    before, mtime = sample.read_bytes(), sample.stat().st_mtime_ns
    events = [json.loads(text) for text in column(sample, "SELECT event_json FROM mob_events")]
    runs = [text.decode() for text in column(sample, "SELECT run_json FROM mob_runs")]

    async def check() -> None:
        steps: list[tuple[int, int]] = []
        async with opening() as stores:
            report = await import_meerkat(
                sample, stores, progress=lambda done, total: steps.append((done, total))
            )
            assert numbers(report) == (99, 8, 2, 2)
            assert [json.loads(e.to_json()) for e in await stores.events.replay_all()] == events
            stored = await stores.runs.list_runs("tide-desk")
            assert [run.to_json() for run in stored] == runs
            assert await stores.specs.list_specs() == ["night-desk", "tide-desk"]
            for mob_id, revision in (("night-desk", 1), ("tide-desk", 2)):
                spec = await stores.specs.get_spec(mob_id)
                assert spec is not None
                assert spec[1] == revision
            profiles = await stores.realm_profiles.list()
            assert [(p.name, p.revision) for p in profiles] == [
                ("proof-reader", 1),
                ("web-scout", 2),
            ]
            assert str(profiles[1].created_at) == "2026-11-22T13:13:46.716243894Z"
            following = await stores.events.append(
                mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            )
            assert following.cursor == 100
        assert steps[-1] == (112, 112)
        assert steps == sorted(steps)

    asyncio.run(check())
    assert sample.read_bytes() == before
    assert sample.stat().st_mtime_ns == mtime
    assert list(sample.parent.iterdir()) == [sample]


def test_specs_are_imported_exactly(opening: Engine, sample: Path) -> None:
    specs = {
        spec["definition"]["id"]: json.dumps(
            spec["definition"], separators=(",", ":"), ensure_ascii=False
        )
        for spec in map(json.loads, column(sample, "SELECT spec_json FROM mob_specs"))
    }

    async def check() -> None:
        async with opening() as stores:
            await import_meerkat(sample, stores)
            for mob_id, text in specs.items():
                spec = await stores.specs.get_spec(mob_id)
                assert spec is not None
                assert spec[0].to_json() == text

    asyncio.run(check())


def test_a_file_in_use_is_read_with_its_log(opening: Engine, sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as writer:
        writer.execute("UPDATE mob_event_meta SET value = 500")
        writer.commit()
        assert sample.with_name(f"{sample.name}-wal").stat().st_size > 0

        async def check() -> int:
            async with opening() as stores:
                await import_meerkat(sample, stores)
                event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
                return (await stores.events.append(event)).cursor

        assert asyncio.run(check()) == 500


def test_only_into_an_empty_store(opening: Engine, sample: Path) -> None:
    async def check() -> None:
        async with opening() as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            await stores.events.append(event)
            await stores.events.clear()  # its cursors stay assigned
            with pytest.raises(mobstore.InternalError, match="not empty"):
                await import_meerkat(sample, stores)
            assert await is_empty(stores)

    asyncio.run(check())


RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"
UNREADABLE = [
    (table, key, f"UPDATE {table} SET {change} WHERE {where}")
    for table, key, change, where in (
        ("mob_events", "7", "event_json = x'7b7d'", "cursor = 7"),
        ("mob_events", "7", "event_json = x'ff'", "cursor = 7"),
        ("mob_events", "7", "event_json = 5", "cursor = 7"),
        ("mob_events", "150", "cursor = 150", "cursor = 7"),
        ("mob_specs", "night-desk", "spec_json = x'7b7d'", "mob_id = 'night-desk'"),
        ("mob_specs", "bytes", "mob_id = x'00'", "mob_id = 'night-desk'"),
        ("realm_profiles", "web-scout", "revision = 0", "name = 'web-scout'"),
        ("realm_profiles", "web-scout", "created_at = 'x'", "name = 'web-scout'"),
        ("mob_runs", RUN, "run_json = x'5b5d'", f"run_id = '{RUN}'"),
        ("mob_runs", "other", "run_id = 'other'", f"run_id = '{RUN}'"),
        ("mob_runs", RUN.upper(), "run_id = upper(run_id)", f"run_id = '{RUN}'"),
        (
            "mob_runs",
            RUN.replace("-", ""),
            "run_id = replace(run_id, '-', '')",
            f"run_id = '{RUN}'",
        ),
        ("mob_events", str(2**63 - 1), "cursor = 9223372036854775807", "cursor = 99"),
        ("mob_events", str(-(2**63)), "cursor = -9223372036854775808", "cursor = 1"),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize(("table", "key", "damage"), UNREADABLE)
def test_an_unreadable_row_stops_the_import_and_is_named(
    opening: Engine, sample: Path, table: str, key: str, damage: str
) -> None:
    change(sample, (damage, ()))
    message = rejected(opening, sample, mobstore.SerializationError)
    assert f"table {table}, key {key}: " in message
    assert "nothing was imported" in message


@pytest.mark.parametrize(("table", "key", "damage"), UNREADABLE)
def test_unreadable_rows_can_be_left_out(
    opening: Engine, sample: Path, table: str, key: str, damage: str
) -> None:
    change(sample, (damage, ()))

    async def check() -> ImportReport:
        async with opening() as stores:
            report = await import_meerkat(sample, stores, skip_unreadable=True)
            assert len(await stores.events.replay_all()) == report.events
            assert len(await stores.runs.list_runs("tide-desk")) == report.runs
            return report

    report = asyncio.run(check())
    assert [(left.table, left.key) for left in report.left_out] == [(table, key)]
    assert isinstance(report.left_out[0], Unreadable)
    assert report.events + report.runs + report.specs + report.realm_profiles == 110


def test_cursors_continue_above_rows_left_out(opening: Engine, sample: Path) -> None:
    change(
        sample,
        ("UPDATE mob_events SET event_json = x'7b7d' WHERE cursor = 99", ()),
        ("DELETE FROM mob_event_meta", ()),
    )

    async def check() -> int:
        async with opening() as stores:
            await import_meerkat(sample, stores, skip_unreadable=True)
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            return (await stores.events.append(event)).cursor

    assert asyncio.run(check()) == 100


@pytest.mark.parametrize(
    ("value", "following"),
    [("-5", 100), ("0", 100), ("100", 100), ("9223372036854775806", 2**63 - 2)],
)
def test_the_counter_continues(opening: Engine, sample: Path, value: str, following: int) -> None:
    change(sample, (f"UPDATE mob_event_meta SET value = {value}", ()))

    async def check() -> int:
        async with opening() as stores:
            await import_meerkat(sample, stores)
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            return (await stores.events.append(event)).cursor

    assert asyncio.run(check()) == following


@pytest.mark.parametrize("value", ["1e300", "1.5", "'many'", "x'01'"])
def test_an_invalid_counter_is_unreadable(opening: Engine, sample: Path, value: str) -> None:
    change(sample, (f"UPDATE mob_event_meta SET value = {value}", ()))
    said = rejected(opening, sample, mobstore.SerializationError)
    assert "table mob_event_meta, key next_cursor: next_cursor is not a whole number" in said


def test_a_used_up_counter_is_imported(opening: Engine, sample: Path) -> None:
    change(sample, (f"UPDATE mob_event_meta SET value = {2**63 - 1}", ()))

    async def check() -> None:
        async with opening() as stores:
            assert (await import_meerkat(sample, stores)).events == 99
            with pytest.raises(mobstore.MobStoreError):
                await stores.events.append(
                    mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
                )
            assert len(await stores.events.replay_all()) == 99

    asyncio.run(check())


def test_an_unknown_counter_is_named(opening: Engine, sample: Path) -> None:
    change(sample, ("INSERT INTO mob_event_meta VALUES ('other', 1)", ()))
    said = rejected(opening, sample, mobstore.SerializationError)
    assert "table mob_event_meta, key other: meerkat-mob keeps no counter but next_cursor" in said


def test_keys_differ_by_any_byte(opening: Engine, sample: Path) -> None:
    names = ["Caf\u00e9", "Cafe\u0301", "caf\u00e9", "caf\u00e9\0", "caf\u00e9\0x", "", " "]
    (spec,) = column(sample, "SELECT spec_json FROM mob_specs WHERE mob_id = 'night-desk'")
    change(
        sample,
        ("DELETE FROM mob_specs", ()),
        *(("INSERT INTO mob_specs VALUES (?, ?)", (name, spec)) for name in names),
    )

    async def check() -> None:
        async with opening() as stores:
            assert (await import_meerkat(sample, stores)).specs == len(names)
            assert await stores.specs.list_specs() == sorted(names)

    asyncio.run(check())


def test_json_stored_as_text(opening: Engine, sample: Path) -> None:
    for table, name in (
        ("mob_events", "event_json"),
        ("mob_runs", "run_json"),
        ("mob_specs", "spec_json"),
        ("realm_profiles", "profile_json"),
    ):
        change(sample, (f"UPDATE {table} SET {name} = CAST({name} AS TEXT)", ()))

    async def check() -> ImportReport:
        async with opening() as stores:
            return await import_meerkat(sample, stores)

    assert numbers(asyncio.run(check())) == (99, 8, 2, 2)


def make_something_else(what: str, folder: Path) -> Path:
    path = folder / what
    if what == "text":
        path.write_text("no database", encoding="utf-8")
    elif what == "redb":
        path.write_bytes(b"redb\x1a\x0a\xa9\x0d\x0a and so on")
    elif what == "other":
        change(path, ("CREATE TABLE notes (x)", ()))
    elif what == "ours":

        async def make() -> None:
            async with mobstore.open_stores(f"sqlite:{path}"):
                pass

        asyncio.run(make())
    elif what == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("missing", "is not a file"),
        ("folder", "has no file *.db"),
        ("text", "is not a SQLite database"),
        ("redb", "was written by meerkat-mob 0.5.0"),
        ("other", "has no table of meerkat-mob"),
        ("ours", "open it as sqlite:"),
    ],
)
def test_files_that_are_not_databases_of_the_reference(
    opening: Engine, tmp_path: Path, what: str, words: str
) -> None:
    path = make_something_else(what, tmp_path)
    assert words in rejected(opening, path, mobstore.ReadFailedError)


def test_a_file_of_0_5_1_and_a_lone_profile_file(opening: Engine, sample: Path) -> None:
    change(sample, ("DROP TABLE realm_profiles", ()))
    lone = sample.with_name("realm_profiles.db")
    change(
        lone,
        (
            "CREATE TABLE realm_profiles (name TEXT PRIMARY KEY, profile_json BLOB NOT NULL,"
            " revision INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL,"
            " updated_at TEXT NOT NULL)",
            (),
        ),
        (
            "INSERT INTO realm_profiles VALUES ('p', ?, 3, ?, ?)",
            (b'{"model":"m"}', "2026-03-04T05:06:07+00:00", "2026-03-04T05:06:07.089+00:00"),
        ),
    )

    async def check(source: Path) -> ImportReport:
        async with opening() as stores:
            return await import_meerkat(source, stores)

    async def profiles() -> list[mobstore.StoredRealmProfile]:
        async with mobstore.open_stores("memory:") as stores:
            await import_meerkat(lone, stores)
            return await stores.realm_profiles.list()

    assert asyncio.run(check(sample)).realm_profiles == 0
    (profile,) = asyncio.run(profiles())
    assert (profile.revision, str(profile.updated_at)) == (3, "2026-03-04T05:06:07.089Z")


def test_a_truncated_file_is_rejected(opening: Engine, sample: Path) -> None:
    sample.write_bytes(sample.read_bytes()[:60_000])
    message = rejected(opening, sample, mobstore.ReadFailedError)
    assert "is corrupt" in message


def test_a_failing_progress_report_stops_the_import(opening: Engine, sample: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > total - 10:
            raise KeyError("enough")

    async def check() -> None:
        async with opening() as stores:
            with pytest.raises(KeyError, match="enough"):
                await import_meerkat(sample, stores, progress=stop)
            assert await is_empty(stores)
            assert (await import_meerkat(sample, stores)).events == 99

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 100, 108, 112])
def test_a_killed_import_leaves_nothing(sample: Path, tmp_path: Path, after: int) -> None:
    target = tmp_path / "target.db"
    script = textwrap.dedent(f"""
        import asyncio, os, signal, mobstore
        from mobstore.meerkat import import_meerkat
        def die(done, total):
            if done >= {after}:
                os.kill(os.getpid(), signal.SIGKILL)
        async def main():
            async with mobstore.open_stores("sqlite:{target}") as stores:
                await import_meerkat("{sample}", stores, progress=die)
        asyncio.run(main())
    """)
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL

    async def check() -> None:
        async with mobstore.open_stores(f"sqlite:{target}") as stores:
            assert await is_empty(stores)
            assert (await import_meerkat(sample, stores)).runs == 8

    asyncio.run(check())


def test_an_uncommitted_transaction_is_not_imported(opening: Engine, sample: Path) -> None:
    """A hot rollback journal means that the file holds half a transaction."""
    script = textwrap.dedent(f"""
        import os, sqlite3
        file = sqlite3.connect("{sample}", isolation_level=None)
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA cache_size = 1")
        file.execute("BEGIN")
        file.execute("UPDATE mob_events SET event_json = zeroblob(9000)")
        os._exit(0)
    """)
    subprocess.run([sys.executable, "-c", script], check=True)
    assert sample.with_name(f"{sample.name}-journal").exists()

    async def check() -> ImportReport | None:
        async with opening() as stores:
            try:
                return await import_meerkat(sample, stores)
            except mobstore.ReadFailedError:
                return None  # a safe read would change the file

    report = asyncio.run(check())
    assert report is None or report.events == 99


@pytest.mark.slow
def test_the_command_creates_no_store_for_a_missing_source(tmp_path: Path) -> None:
    target = tmp_path / "new.db"
    ended = subprocess.run(
        [sys.executable, "-m", "mobstore", "import", str(tmp_path / "no.db"), f"sqlite:{target}"],
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert not target.exists()
