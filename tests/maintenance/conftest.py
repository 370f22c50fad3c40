"""A sound export and a sound store, from which tests make damaged ones."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

import mobstore
from maintenance.support import exported, fill_claims, load
from mobstore.scripts.tables import RUN_EXTRAS, RunExtraRow
from mobstore.scripts.transaction import Add
from mobstore.testing import samples
from mobstore.testing.kinds import every_kind


@pytest.fixture(scope="session")
def good() -> bytes:
    """An export with rows in every table: two runs, three events, a spec, two profiles, claims."""

    async def make() -> bytes:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append_batch([samples.event() for _ in range(3)])
            await stores.runs.create_run(samples.full_run(1))
            await stores.runs.create_run(samples.full_run(2))
            await stores.specs.put_spec("mob", samples.definition())
            await stores.realm_profiles.create("p", samples.profile())
            await stores.realm_profiles.create("q", samples.profile())
            await fill_claims(stores)
            extras = [RunExtraRow(str(samples.run_id(n)), '{"z":{"b":1,"a":[]}}') for n in (1, 2)]
            await load(stores, Add(RUN_EXTRAS, extras))
            return await exported(stores)

    return asyncio.run(make())


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SQLite file with events of every kind, two full runs, a pending one, and the like."""
    path = tmp_path_factory.mktemp("sound") / "mobs.db"

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{path}", durability="normal") as stores:
            await stores.events.append_batch([samples.event(kind=kind) for kind in every_kind()])
            await stores.runs.create_run(samples.full_run(1))
            await stores.runs.create_run(samples.full_run(2))
            await stores.specs.put_spec("mob", samples.definition())
            await stores.realm_profiles.create("p", samples.profile())
            await stores.runs.create_run(samples.make_run(4))
            await fill_claims(stores)

    asyncio.run(fill())
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return path.read_bytes()
