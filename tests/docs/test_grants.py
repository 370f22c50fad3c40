"""The rights that the page about PostgreSQL grants are enough, and not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from uuid import uuid4

import pytest

import mobstore
from docs.pages import ROOT, blocks
from mobstore import MobId, MobReset, NewMobEvent, UsageError, WriteFailedError
from support.postgres.server import Server

RESET = NewMobEvent(mob_id=MobId("desk"), kind=MobReset())

pytestmark = pytest.mark.slow


@pytest.fixture
def roles(postgres: Server, postgres_schema: str) -> Generator[dict[str, str]]:
    """The URLs of a store for its owner and for the roles of the page, by role."""
    (grants,) = blocks(ROOT / "docs" / "engines" / "postgres.md", "sql")
    names = {role: f"{role}_{uuid4().hex[:8]}" for role in ("owner", "worker", "reader")}
    code = grants.code.replace("desk", postgres_schema)
    for role, name in names.items():
        postgres.create_role(name)
        code = code.replace(f"TO {role};", f"TO {name};")
    postgres.execute(f"GRANT CREATE ON DATABASE postgres TO {names['owner']}")
    urls = {role: postgres.url(schema=postgres_schema, user=name) for role, name in names.items()}

    async def create() -> None:
        async with mobstore.open_stores(urls["owner"]) as stores:
            await stores.events.append(RESET)

    asyncio.run(create())
    with postgres.connect(user=names["owner"]) as connection:
        connection.execute(code.encode())
    yield urls
    for name in names.values():
        postgres.execute(f"DROP OWNED BY {name} CASCADE")
        postgres.execute(f"DROP ROLE {name}")


def test_the_granted_rights_suffice(roles: dict[str, str]) -> None:
    async def main() -> None:
        reading = mobstore.open_stores(roles["reader"], read_only=True)
        async with mobstore.open_stores(roles["worker"]) as writer, reading as reader:
            async with reader.events.subscribe(1) as events:
                heard = asyncio.create_task(anext(events))
                await asyncio.sleep(0.2)
                await writer.events.append(RESET)
                assert (await asyncio.wait_for(heard, 10)).cursor == 2
            await writer.events.clear()
            assert await reader.events.replay_all() == []

    asyncio.run(main())


def test_a_role_that_reads_cannot_write(roles: dict[str, str]) -> None:
    async def main() -> None:
        async with mobstore.open_stores(roles["reader"], read_only=True) as reader:
            with pytest.raises(UsageError):
                await reader.events.append(RESET)
        async with mobstore.open_stores(roles["reader"]) as reader:
            with pytest.raises(WriteFailedError, match="lacks a right"):
                await reader.events.append(RESET)
            assert await reader.events.latest_cursor() == 1

    asyncio.run(main())
