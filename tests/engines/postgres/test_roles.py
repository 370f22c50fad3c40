"""Rights of roles: what suffices for which work, and what is said where a right is missing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from engines.support import every_call, rich_run
from mobstore import (
    ReadFailedError,
    Stores,
    WriteFailedError,
    copy,
    open_stores,
    verify,
)
from mobstore.testing.samples import run_id, tag_of, tagged_event
from support.postgres.server import Role, Server

LACKS = "the role lacks a right, or row-level security hides rows from it; it needs USAGE on the"


@pytest.fixture
def store(postgres: Server, postgres_url: str, postgres_schema: str, postgres_role: Role) -> str:
    """The URL of a store of the superuser, for a role without any right."""
    postgres.execute(f"REVOKE CREATE ON DATABASE postgres FROM {postgres_role.name}")

    async def fill() -> None:
        async with open_stores(postgres_url) as stores:
            await stores.runs.create_run(rich_run())
            await stores.events.append(tagged_event("e"))

    asyncio.run(fill())
    name, password = postgres_role
    return postgres.url(schema=postgres_schema, user=name, password=password)


def grant(server: Server, role: Role, schema: str, rights: str) -> None:
    server.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role.name}")
    server.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {role.name}")


def schemas(server: Server) -> set[str]:
    return {name for (name,) in server.execute("SELECT nspname FROM pg_namespace")}


@pytest.mark.parametrize("create", [True, False])
def test_rights_to_rows_suffice_on_an_existing_store(
    postgres: Server, postgres_schema: str, postgres_role: Role, store: str, create: bool
) -> None:
    grant(postgres, postgres_role, postgres_schema, "SELECT, INSERT, UPDATE, DELETE")
    # Others are not needed.
    postgres.execute(f"REVOKE TEMPORARY ON DATABASE postgres FROM {postgres_role.name}")

    async def work(at: Stores) -> None:
        await at.events.append(tagged_event("atomic"))

    async def main() -> None:
        async with (
            open_stores(store, create=create) as stores,
            open_stores("memory:") as other,
            aclosing(stores.events.subscribe()) as events,
        ):
            await anext(events)
            for call in every_call(stores):
                await call.make()
            await stores.atomic(work)
            assert (await verify(stores)).problems == ()
            await copy(stores, other)
            with pytest.raises(WriteFailedError, match="only the owner of table meta can reclaim"):
                await stores.compact()

    asyncio.run(main())


def test_a_role_that_may_only_read(
    postgres: Server, postgres_schema: str, postgres_role: Role, store: str
) -> None:
    grant(postgres, postgres_role, postgres_schema, "SELECT")

    async def main() -> None:
        async with (
            open_stores(store, read_only=True) as stores,
            aclosing(stores.events.subscribe()) as events,
        ):
            assert (await anext(events)).cursor == 1
            assert (await stores.overview()).runs == 1
        async with open_stores(store) as stores:
            assert await stores.events.latest_cursor() == 1
            for _ in range(2):
                with pytest.raises(WriteFailedError, match=LACKS):
                    await stores.events.append(tagged_event("no"))
            assert await stores.events.latest_cursor() == 1

    asyncio.run(main())


def test_a_role_that_may_not_write_one_table(
    postgres: Server, postgres_schema: str, postgres_role: Role, store: str
) -> None:
    """Calls that write other tables succeed, also at the same time."""
    grant(postgres, postgres_role, postgres_schema, "SELECT, INSERT, UPDATE, DELETE")
    postgres.execute(f"REVOKE INSERT ON {postgres_schema}.runs FROM {postgres_role.name}")

    async def main() -> None:
        async with open_stores(store) as stores:
            runs = [stores.runs.create_run(rich_run(run_id(n))) for n in range(2, 5)]
            events = [stores.events.append(tagged_event(f"{n}")) for n in range(3)]
            found = await asyncio.gather(*runs, *events, return_exceptions=True)
            assert [type(one) for one in found[:3]] == [WriteFailedError] * 3
            assert [getattr(one, "cursor", one) for one in found[3:]] == [2, 3, 4]

    asyncio.run(main())


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("rights", ["none", "usage"])
def test_a_role_without_rights(
    postgres: Server,
    postgres_schema: str,
    postgres_role: Role,
    store: str,
    rights: str,
    read_only: bool,
) -> None:
    if rights == "usage":
        postgres.execute(f"GRANT USAGE ON SCHEMA {postgres_schema} TO {postgres_role.name}")

    async def main() -> None:
        with pytest.raises(ReadFailedError, match=LACKS):
            await open_stores(store, read_only=read_only)

    asyncio.run(main())


def test_a_role_that_may_not_create_schemas(
    postgres: Server, postgres_schema: str, postgres_role: Role
) -> None:
    postgres.execute(f"REVOKE CREATE ON DATABASE postgres FROM {postgres_role.name}")
    name, password = postgres_role
    url = postgres.url(schema=postgres_schema, user=name, password=password)

    async def main() -> None:
        with pytest.raises(WriteFailedError, match="to create a store, CREATE on the database"):
            await open_stores(url)

    before = schemas(postgres)
    asyncio.run(main())
    assert schemas(postgres) == before


@pytest.mark.parametrize("right", ["owner", "create", "usage"])
def test_an_empty_schema_made_for_a_role(
    postgres: Server, postgres_schema: str, postgres_role: Role, right: str
) -> None:
    """A role that owns it or may create in it needs no right on the database."""
    name, password = postgres_role
    url = postgres.url(schema=postgres_schema, user=name, password=password)
    postgres.execute(f"REVOKE CREATE ON DATABASE postgres FROM {name}")
    if right == "owner":
        postgres.execute(f"CREATE SCHEMA {postgres_schema} AUTHORIZATION {name}")
    else:
        postgres.execute(f"CREATE SCHEMA {postgres_schema}")
        postgres.execute(f"GRANT USAGE ON SCHEMA {postgres_schema} TO {name}")
    if right == "create":
        postgres.execute(f"GRANT CREATE ON SCHEMA {postgres_schema} TO {name}")

    async def main() -> None:
        async with open_stores(url) as stores:
            await stores.events.append(tagged_event("e"))
            await stores.compact()

    async def rejected() -> None:
        with pytest.raises(WriteFailedError, match="or on an empty schema"):
            await open_stores(url)

    asyncio.run(rejected() if right == "usage" else main())


def test_defaults_of_a_role_do_not_matter(
    postgres: Server, postgres_schema: str, postgres_url: str, postgres_role: Role
) -> None:
    name, password = postgres_role
    for setting in (
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "search_path = ''",
        "client_encoding = 'LATIN1'",
        "DateStyle = 'German'",
        "TimeZone = 'Pacific/Auckland'",
        "standard_conforming_strings = off",
        "bytea_output = 'escape'",
        "lock_timeout = '1ms'",
        "plan_cache_mode = 'force_generic_plan'",
        "row_security = off",
        "client_min_messages = 'debug5'",
    ):
        postgres.execute(f"ALTER ROLE {name} SET {setting}")
    url = postgres.url(schema=postgres_schema, user=name, password=password)

    async def main() -> None:
        async with open_stores(url) as stores:
            await stores.runs.create_run(rich_run())
            for call in every_call(stores):
                await call.make()
            await stores.events.append(tagged_event("Grüße, 漢字 \x00\x01"))
            await stores.compact()
            assert (await verify(stores)).problems == ()
            *_, event = await stores.events.replay_all()
        async with open_stores(postgres_url) as stores:
            assert (await stores.events.replay_all())[-1] == event
            assert tag_of(event.kind) == "Grüße, 漢字 \x00\x01"

    asyncio.run(main())
