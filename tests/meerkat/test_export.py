"""An export to a database of the reference holds everything, as the reference writes it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import mobstore
from engines.support import open_files
from maintenance.support import TIME, TIMES, contents, fill_claims, load, rows_of, stores_of
from mobstore.meerkat import ExportReport, export_meerkat, import_meerkat, tables
from mobstore.scripts.paging import FIRST_LIMIT, size_of
from mobstore.scripts.tables import COUNTERS, FRAMES, CounterRow, Row
from mobstore.scripts.transaction import Put
from mobstore.testing import samples
from support import golden

engines = pytest.mark.parametrize("engine", ["memory", "sqlite"])
SCRIPTS = [(name, seed) for name in golden.SCRIPT_FILES for seed in golden.seeds(name)]
TABLES = {
    "mob_events": "cursor",
    "mob_event_meta": "key",
    "mob_runs": "rowid",
    "mob_specs": "mob_id",
    "realm_profiles": "name",
}


def all_of(path: Path) -> dict[str, list[Any]]:
    """Return the columns, storage classes and values of a database, byte by byte."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
        found: dict[str, list[Any]] = {
            "pragmas": [
                file.execute(f"PRAGMA {name}").fetchone()
                for name in ("user_version", "application_id", "page_size", "encoding")
            ],
            "names": sorted(file.execute("SELECT type, name, tbl_name FROM sqlite_master")),
        }
        for table, order in TABLES.items():
            columns = file.execute(f"PRAGMA table_info({table})").fetchall()
            classes = ", ".join(f"typeof({column[1]})" for column in columns)
            found[table] = [
                columns,
                file.execute(f"SELECT {classes}, * FROM {table} ORDER BY {order}").fetchall(),
            ]
    return found


def left(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if "mob.db" in path.name]


@engines
def test_the_sample_is_exported_byte_by_byte(engine: str, sample: Path, tmp_path: Path) -> None:
    async def check() -> None:
        reports: list[tuple[int, int]] = []
        async with stores_of(engine, tmp_path) as stores:
            await import_meerkat(sample, stores)
            summary = await export_meerkat(
                stores,
                tmp_path / "back.db",
                progress=lambda done, total: reports.append((done, total)),
            )
        assert summary == ExportReport(events=99, runs=8, specs=2, realm_profiles=2)
        assert reports[-1] == (111, 111)

    asyncio.run(check())
    back = tmp_path / "back.db"
    assert all_of(back) == all_of(sample)
    assert back.read_bytes()[18:20] == sample.read_bytes()[18:20] == b"\2\2"  # WAL
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "back.db-"))]


@pytest.mark.parametrize(("name", "seed"), SCRIPTS, ids=str)
def test_golden_scripts(name: str, seed: int, tmp_path: Path) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            for call in golden.calls(name, seed):
                await golden.replay(one, call)
            await export_meerkat(one, tmp_path / "mob.db")
            await import_meerkat(tmp_path / "mob.db", other)
            assert await contents(other) == await contents(one)

    asyncio.run(check())


def test_cursors_and_the_order_of_runs(tmp_path: Path) -> None:
    async def check() -> None:
        path = tmp_path / "mob.db"
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            await load(one, Put(COUNTERS, (CounterRow("next_cursor", 2**63 - 300),)))
            await one.events.append_batch([samples.event() for _ in range(270)])
            for number in (3, 1, 2):
                await one.runs.create_run(samples.full_run(number, schema_version=4))
            await export_meerkat(one, path)
            await import_meerkat(path, other)
            assert {**rows_of(other), "meta": []} == {**rows_of(one), "meta": []}
            assert await other.identity() != await one.identity()
            assert [run.run_id.int for run in await other.runs.list_runs("mob")] == [3, 1, 2]
            assert (await other.events.append(samples.event())).cursor == 2**63 - 30

    asyncio.run(check())


@engines
@pytest.mark.parametrize(
    "text",
    [*TIMES, "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2016-06-30T23:59:60.000000001Z"],
)
def test_times_at_their_ends(engine: str, text: str, tmp_path: Path) -> None:
    """The first and last years and leap seconds are exported, wherever a time occurs."""
    time = mobstore.Timestamp(text)

    async def check() -> None:
        async with stores_of(engine, tmp_path) as one, mobstore.open_stores("memory:") as other:
            await one.events.append(samples.event(at=time))
            entries: dict[str, Any] = {
                "step_ledger": (samples.step().model_copy(update={"timestamp": time}),),
                "failure_ledger": (samples.failure().model_copy(update={"timestamp": time}),),
            }
            await one.runs.create_run(
                samples.make_run(1, created_at=time, completed_at=time, **entries)
            )
            await export_meerkat(one, tmp_path / "mob.db")
            await import_meerkat(tmp_path / "mob.db", other)
            assert await contents(other) == await contents(one)
            (event,) = await other.events.replay_all()
            assert mobstore.MobEvent.from_json(event.to_json()) == event
            assert await other.events.prune(time) == 0

    asyncio.run(check())


def test_an_empty_store(tmp_path: Path) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as one, mobstore.open_stores("memory:") as other:
            await export_meerkat(one, tmp_path / "mob.db")
            report = await import_meerkat(tmp_path / "mob.db", other)
            assert (report.events, report.runs) == (0, 0)

    asyncio.run(check())


@engines
@pytest.mark.parametrize("year", ["+10000", "-0001"])
def test_a_time_that_the_reference_cannot_read_is_rejected(
    engine: str, year: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            stores.realm_profiles = mobstore.MobStores(
                stores.engine, clock=lambda: mobstore.Timestamp(f"{year}-01-01T00:00:00Z")
            ).realm_profiles
            await stores.realm_profiles.create("far" * 10_000, samples.profile())
            with pytest.raises(mobstore.SerializationError) as caught:
                await export_meerkat(stores, tmp_path / "mob.db")
            assert f"far…: {year}-01-01T00:00:00Z is not within the years" in str(caught.value)
            assert len(str(caught.value)) < 300
        assert not left(tmp_path)

    asyncio.run(check())


@engines
def test_a_run_too_large_for_sqlite_is_rejected(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_MOST_BYTES", 5000)

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.runs.create_run(samples.make_run(1))
            await stores.runs.create_run(samples.make_run(2, activation_params="x" * 5000))
            with pytest.raises(mobstore.SerializationError) as caught:
                await export_meerkat(stores, tmp_path / "mob.db")
            assert f"table mob_runs, key {samples.run_id(2)}: its JSON has more" in str(
                caught.value
            )
        assert not left(tmp_path)

    asyncio.run(check())


@engines
def test_a_row_that_cannot_be_read_is_named(engine: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await stores.runs.create_run(samples.make_run(1))
            await load(stores, Put(FRAMES, (FRAMES.row(str(samples.run_id(1)), "f", "{"),)))
            with pytest.raises(mobstore.SerializationError, match=str(samples.run_id(1))):
                await export_meerkat(stores, tmp_path / "mob.db")
        assert not left(tmp_path)

    asyncio.run(check())


def test_pages_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def seen(rows: Sequence[Row]) -> int:
        sizes.append(len(rows))
        return size_of(rows)

    monkeypatch.setattr(tables, "size_of", seen)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            mob = mobstore.MobCreated(
                definition=mobstore.MobDefinition(id=mobstore.MobId("m" * 400_000))
            )
            await stores.events.append_batch([samples.event(kind=mob) for _ in range(70)])
            await export_meerkat(stores, tmp_path / "mob.db")

    asyncio.run(check())
    assert sizes[0] == FIRST_LIMIT
    assert max(sizes[1:]) == 2


def test_a_file_is_replaced_only_with_overwrite(sample: Path) -> None:
    async def export(path: Path, *, overwrite: bool) -> str:
        async with mobstore.open_stores("memory:") as stores:
            await stores.specs.put_spec("mob", samples.definition())
            try:
                await export_meerkat(stores, path, overwrite=overwrite)
            except mobstore.WriteFailedError as error:
                return str(error)
            return ""

    before = sample.read_bytes()
    assert "exists already" in asyncio.run(export(sample, overwrite=False))
    assert sample.read_bytes() == before
    assert not asyncio.run(export(sample, overwrite=True))
    assert len(all_of(sample)["mob_specs"][1]) == 1
    assert "cannot be written" in asyncio.run(export(sample / "below", overwrite=False))
    assert "cannot be written" in asyncio.run(export(sample.parent, overwrite=True))
    assert list(sample.parent.iterdir()) == [sample]


@pytest.mark.slow
def test_a_cancelled_export_leaves_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await stores.events.append_batch([samples.event() for _ in range(3000)])
            tasks: list[asyncio.Task[Any]] = []

            def cancel(_done: int, _total: int) -> None:
                if not tasks[0].done():
                    tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
                    while not tasks[0].done():
                        os.sched_yield()

            tasks.append(
                asyncio.create_task(export_meerkat(stores, tmp_path / "mob.db", progress=cancel))
            )
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]
        assert not left(tmp_path)
        assert not [name for name in open_files(tmp_path) if "mob.db" in str(name)]

    asyncio.run(check())


def test_what_the_reference_has_no_place_for(tmp_path: Path) -> None:
    """Claims, consumers and event keys are left out and counted; runs can be claimed again."""

    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as one, stores_of("memory", tmp_path) as other:
            other.engine.use_clock(lambda: TIME)
            await one.events.append_batch([samples.event()] * 2)
            for n, year in ((1, 2026), (2, 2026), (3, 9000)):
                time = mobstore.Timestamp(f"{year}-01-01T00:00:00Z")
                await one.runs.create_run(samples.make_run(n, created_at=time))
            await fill_claims(one)
            report = await export_meerkat(one, tmp_path / "mob.db")
            assert report == (2, 3, 0, 0, ("2 claims", "2 consumers", "2 event keys"), 0)
            await import_meerkat(tmp_path / "mob.db", other)
            rows = rows_of(other)
            assert [rows[name] for name in ("event_keys", "consumers", "claims")] == [[], [], []]
            first = "2026-01-01T00:00:00.000000000Z"
            due = [(row[5], row[6]) for row in rows["run_claims"]]
            assert due == [(first, ""), (first, ""), (TIME, "")], "not in the future"

    asyncio.run(check())
