"""Whole stores on a server: copy, export, import, diff, verify, repair, retention, compact."""

from __future__ import annotations

import asyncio
import gzip
import re
from contextlib import suppress
from html import unescape
from pathlib import Path

import psycopg
import pytest

import mobstore
from cli.command_line import run
from maintenance.support import contents, exported, fill, fill_claims, imported
from maintenance.test_claims import CLOCK, FORMAT_1
from maintenance.test_verify import LEFT, REPAIRED, Damage
from meerkat.installations import installation
from meerkat.test_export import all_of
from mobstore import MobStores, SqliteMobStores, copy, diff, open_stores, verify
from mobstore.meerkat import export_meerkat, import_meerkat
from mobstore.testing import samples
from mobstore.testing.kinds import every_kind
from notebook.values import html
from support import golden
from support.postgres.server import Server

SAMPLE = Path(__file__).parents[2] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
SCRIPTS = [(name, golden.seeds(name)[0]) for name in golden.SCRIPT_FILES]

pytestmark = pytest.mark.slow


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A database of the reference."""
    path = tmp_path / "tide-desk"
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    return path


async def there_and_back(start: MobStores, url: str, folder: Path) -> None:
    """Copy a store to the server and on to a file, and check that both are equal to it."""
    content, data = await contents(start), await exported(start)
    async with (
        open_stores(url) as there,
        SqliteMobStores.open(folder / "back.db", durability="normal") as back,
    ):
        assert await copy(start, there) == await copy(there, back)
        for one in (there, back):
            assert await exported(one) == data
            assert [difference async for difference in diff(start, one)] == []
            assert await one.identity() == await start.identity()
            assert (await verify(one)).problems == ()
        assert await contents(back) == content


def test_hostile_values_are_kept(postgres_url: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with open_stores("memory:") as start:
            await fill(start)
            await there_and_back(start, postgres_url, tmp_path)

    asyncio.run(check())


@pytest.mark.parametrize(("name", "seed"), SCRIPTS, ids=str)
def test_golden_scripts_are_kept(name: str, seed: int, postgres_url: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with open_stores("memory:") as start:
            for call in golden.calls(name, seed):
                await golden.replay(start, call)
            await there_and_back(start, postgres_url, tmp_path)

    asyncio.run(check())


def test_calls_write_what_they_write_elsewhere(postgres_url: str) -> None:
    """An export of what was written here imports in memory, and the other way."""

    async def check() -> None:
        async with open_stores(postgres_url) as there, open_stores("memory:") as here:
            await fill(there)
            data = await exported(there)
            await imported(data, here)
            assert await exported(here) == data

    asyncio.run(check())


def test_databases_of_the_reference(postgres_url: str, tmp_path: Path, sample: Path) -> None:
    async def check() -> None:
        async with open_stores("memory:") as here, open_stores(postgres_url) as there:
            assert await import_meerkat(sample, there) == await import_meerkat(sample, here)
            assert [difference async for difference in diff(here, there)] == []
            await export_meerkat(there, tmp_path / "back.db")
            await export_meerkat(here, tmp_path / "same.db")
        assert all_of(tmp_path / "back.db") == all_of(tmp_path / "same.db")

    asyncio.run(check())


def test_directories_of_the_reference(postgres_url: str, tmp_path: Path) -> None:
    source, out = installation(tmp_path / "source"), tmp_path / "out"

    async def check() -> None:
        async with open_stores("memory:") as here, open_stores(postgres_url) as there:
            for stores in (here, there):
                stores.engine.use_clock(lambda: CLOCK)
                await stores.events.append(samples.event("old"))
            report = await import_meerkat(source, there, into=True)
            assert report == await import_meerkat(source, here, into=True)
            assert (await verify(there)).problems == ()
            events = [(event.cursor, event.mob_id) for event in await here.events.replay_all()]
            assert events == [(e.cursor, e.mob_id) for e in await there.events.replay_all()]
            said: list[str] = []
            for stores in (here, there):
                with pytest.raises(mobstore.InternalError, match="names are in use") as caught:
                    await import_meerkat(source, stores, into=True)
                said.append(str(caught.value))
            assert said[0] == said[1]
            assert len(await there.events.replay_all()) == 7
            await export_meerkat(there, out, by_mob=True)
            await export_meerkat(here, tmp_path / "same", by_mob=True)
        for path in out.iterdir():
            if path.name != "old.db":  # its time differs
                assert all_of(path) == all_of(tmp_path / "same" / path.name)

    asyncio.run(check())


def test_an_archive_of_version_1(postgres_url: str) -> None:
    async def check() -> None:
        async with open_stores("memory:") as here, open_stores(postgres_url) as there:
            for stores in (here, there):
                stores.engine.use_clock(lambda: CLOCK)
                await imported(FORMAT_1, stores)
            assert await exported(there) == await exported(here)
            assert (await verify(there)).problems == ()
            assert await there.runs.claim_next("w", ttl=60)

    asyncio.run(check())


def test_a_failed_import_leaves_an_empty_store(postgres_url: str, sample: Path) -> None:
    async def check() -> None:
        async with open_stores("memory:") as here, open_stores(postgres_url) as there:
            await import_meerkat(sample, here)
            data = bytearray(await exported(here))
            identity = await there.identity()
            data[len(data) // 2] ^= 1
            with pytest.raises(mobstore.MobStoreError):
                await imported(bytes(data), there)
            assert await there.events.latest_cursor() == 0
            assert await there.identity() == identity
            overview = await there.overview()
            assert (overview.events, overview.runs, overview.specs) == (0, 0, 0)
            await there.events.append(samples.event())
            with pytest.raises(mobstore.InternalError, match="not empty"):
                await copy(here, there)

    asyncio.run(check())


# Verification ----------------------------------------------------------------------------------


async def fill_sound(url: str) -> None:
    """Fill a store as the fixture `sound` of the other engines."""
    async with open_stores(url) as stores:
        await stores.events.append_batch([samples.event(kind=kind) for kind in every_kind()])
        await stores.runs.create_run(samples.full_run(1))
        await stores.runs.create_run(samples.full_run(2))
        await stores.specs.put_spec("mob", samples.definition())
        await stores.realm_profiles.create("p", samples.profile())
        await stores.runs.create_run(samples.make_run(4))
        await fill_claims(stores)


def apply(server: Server, schema: str, damage: Damage) -> bool:
    """Damage a store; return False if the server rejects the values."""
    with server.connect() as connection:
        connection.execute(f"SET search_path = {schema}".encode())
        with suppress(psycopg.DataError):
            return connection.execute(damage.sql.encode()).rowcount > 0
    return False


@pytest.mark.parametrize(
    "damage",
    # Not those with bytes, and only some: each needs a store of its own.
    [one for one in (*LEFT, *REPAIRED) if not re.search("x'|BLOB|json_|char", one.sql)][::3],
    ids=lambda damage: f"{damage.table}-{damage.words}",
)
def test_damage_is_found_and_repaired_as_elsewhere(
    postgres: Server, postgres_schema: str, postgres_url: str, damage: Damage
) -> None:
    """The same statements do the same damage as to a file."""

    async def check() -> None:
        async with open_stores(postgres_url) as stores:
            found = await verify(stores)
            assert any(
                one.table == damage.table
                and damage.words in one.what
                and one.repairable == damage.repairable
                # Rows that tie come in any order.
                and (one.key == damage.key or damage.words.startswith("duplicate"))
                for one in found.problems
            )
            repaired = await verify(stores, repair=True)
            assert {one.key for one in repaired.left} == {
                one.key for one in found.problems if not one.repairable
            }
            assert (await verify(stores)).problems == repaired.left

    asyncio.run(fill_sound(postgres_url))
    if not apply(postgres, postgres_schema, damage):
        assert damage.words in {"must be a whole number, not str", "must be a whole number"}
        return
    asyncio.run(check())


# Retention -------------------------------------------------------------------------------------


def test_what_was_removed_gives_back_its_space(
    postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    """`compact` returns the pages at the end of a table, and no statistics show dead rows."""

    def pages() -> int:
        ((size,),) = postgres.execute(f"SELECT pg_table_size('{postgres_schema}.events')")
        return int(size)

    async def check() -> None:
        async with open_stores(postgres_url) as stores:
            old = samples.event(at=mobstore.Timestamp("2026-01-01T00:00:00Z"))
            for _ in range(5):
                await stores.events.append_batch([old] * 1000)
            before = pages()
            limit = mobstore.Timestamp("2026-02-01T00:00:00Z")
            assert await stores.events.prune(limit) == 5000
            done = samples.make_run(1, status="completed", completed_at=old.timestamp)
            await stores.runs.create_run(done)
            await stores.runs.create_run(samples.make_run(2))
            assert await stores.runs.prune_runs(limit) == 1
            await stores.compact()
            assert pages() < before / 4
            assert (await stores.events.append(samples.event())).cursor == 5001
            assert [one.run_id for one in await stores.runs.list_runs("mob")] == [samples.run_id(2)]
            assert (await verify(stores)).problems == ()

    asyncio.run(check())


# The command line ------------------------------------------------------------------------------


def test_commands_move_a_store_without_a_difference(
    postgres_url: str, tmp_path: Path, sample: Path
) -> None:
    def output(*arguments: str) -> str:
        code, out, errors = run(*arguments, folder=tmp_path)
        assert (code, errors) == (0, "")
        return out

    output("import", sample.name, postgres_url)
    assert output("copy", postgres_url, "sqlite:a.db").startswith("copied 99 events, 8 runs")
    assert output("diff", postgres_url, "sqlite:a.db") == "no differences\n"
    other = postgres_url + "_other"
    output("copy", "sqlite:a.db", other)
    output("export", other, "mobs.zip")
    output("import", "mobs.zip", "sqlite:b.db")
    assert output("diff", "sqlite:b.db", postgres_url) == "no differences\n"
    assert output("verify", other, "--repair").startswith("sound: ")
    output("export", other, "back", "--format", "meerkat")
    output("import", "back", "sqlite:c.db")
    assert output("diff", "sqlite:c.db", "sqlite:a.db") == "no differences\n"


def test_notebooks_display_the_stores(postgres_url: str) -> None:
    async def check() -> None:
        async with open_stores(postgres_url) as stores:
            await stores.events.append(samples.event())
            assert "PostgresEngine(" in repr(stores)
            shown = html(stores)
            assert f"on {stores.engine!r}" in unescape(shown)
            assert "postgres@" not in shown
            assert str(await stores.identity()) in html(await stores.overview())

    asyncio.run(check())
