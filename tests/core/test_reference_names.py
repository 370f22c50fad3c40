"""Public names of the reference that the package itself does not use."""

from __future__ import annotations

import asyncio

import pytest

import mobstore
from mobstore.stores.memory import (
    InMemoryMobEventStore,
    InMemoryMobRunStore,
    InMemoryMobSpecStore,
    InMemoryRealmProfileStore,
)
from mobstore.stores.mob_stores import MobStores
from mobstore.testing import MemorySubject, all_cases


class SingleStores(MobStores):
    """The four stores in memory, each opened alone."""

    def __init__(self, stores: MobStores, clock: mobstore.Clock) -> None:
        super().__init__(stores.engine, clock=clock)
        self.events = InMemoryMobEventStore(clock=clock)
        self.runs = InMemoryMobRunStore(clock=clock)
        self.specs = InMemoryMobSpecStore(clock=clock)
        self.realm_profiles = InMemoryRealmProfileStore(clock=clock)


class SingleSubject(MemorySubject):
    async def connect(self) -> MobStores:
        return SingleStores(await super().connect(), self.clock)


@pytest.mark.parametrize(
    "case",
    [
        "events.append.assigns-cursors",
        "events.subscribe.follows",
        "profiles.update.revisions",
        "runs.create.round-trip",
        "runs.status.cas",
        "specs.put.revisions",
    ],
)
def test_a_store_in_memory_alone_keeps_the_contract(case: str) -> None:
    async def run() -> None:
        subject = SingleSubject()
        try:
            await all_cases()[case].function(subject)
        finally:
            await subject.close()

    asyncio.run(run())


def test_each_store_in_memory_has_data_of_its_own() -> None:
    async def run() -> None:
        one, other = InMemoryMobSpecStore(), InMemoryMobSpecStore()
        await one.put_spec("mob", mobstore.MobDefinition(id=mobstore.MobId("mob")))
        assert await other.list_specs() == []

    asyncio.run(run())


def test_the_accessors_return_the_stores() -> None:
    async def run() -> None:
        async with mobstore.open_stores("memory:") as stores:
            assert stores.event_store() is stores.events
            assert stores.run_store() is stores.runs
            assert stores.spec_store() is stores.specs
            assert stores.realm_profile_store() is stores.realm_profiles

    asyncio.run(run())
