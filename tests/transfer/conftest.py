"""A good file, from which bad ones are made."""

from __future__ import annotations

import asyncio

import pytest

import mobstore
from mobstore.testing import samples
from transfer.support import exported


@pytest.fixture(scope="session")
def good() -> bytes:
    """Two runs with something in every table, three events, a spec and two profiles."""

    async def make() -> bytes:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append_batch([samples.event() for _ in range(3)])
            await stores.runs.create_run(samples.full_run(1))
            await stores.runs.create_run(samples.full_run(2))
            await stores.specs.put_spec("mob", samples.definition())
            await stores.realm_profiles.create("p", samples.profile())
            await stores.realm_profiles.create("q", samples.profile())
            return await exported(stores)

    return asyncio.run(make())
