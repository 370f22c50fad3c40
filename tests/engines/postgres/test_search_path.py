"""Other users of the database cannot run code as a store's role, nor hide its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from mobstore import MobStoreError, ReadFailedError, open_stores
from mobstore.testing.samples import event, make_run
from support.postgres.pooler import Pooler
from support.postgres.server import Role, Server

# Functions and operators that fit the statements better than those of the catalog.
INTRUDERS = [
    ("concat_ws(text, bigint, numeric, numeric, timestamptz)", "text", "''"),
    ("concat_ws(text, text, name, text)", "text", "''"),
    ("concat(text, text, text)", "text", "''"),
    ("concat(text, name)", "text", "''"),
    ("unnest(bigint[])", "SETOF bigint", "1"),
    ("unnest(text[])", "SETOF text", "''"),
    ("pg_try_advisory_xact_lock(integer)", "boolean", "true"),
    ("to_regclass(name)", "regclass", "NULL"),
    ("set_config(text, text, text)", "text", "''"),
    ("to_char(timestamp, text)", "text", "''"),
    ("clock_timestamp()", "timestamptz", "'2000-01-01'"),
    ("timezone(text, timestamptz)", "timestamp", "'2000-01-01'"),
]


@pytest.fixture
def intruded(postgres: Server) -> Iterator[str]:
    """A database whose schema public holds functions that record who calls them."""
    database = f"intruded_{uuid4().hex[:8]}"
    postgres.create_database(database, encoding="UTF8")

    def run(sql: str) -> None:
        postgres.execute(sql, database=database)

    run("CREATE TABLE public.calls (what text)")
    for signature, returns, value in INTRUDERS:
        kind = returns.split()[-1]
        body = f"INSERT INTO public.calls VALUES ('{signature}'); SELECT {value}::{kind}"
        run(f"CREATE FUNCTION public.{signature} RETURNS {returns} LANGUAGE sql AS $$ {body} $$")
    run(
        "CREATE FUNCTION public.same(oid, integer) RETURNS boolean LANGUAGE sql AS"
        " $$ INSERT INTO public.calls VALUES ('='); SELECT true $$"
    )
    run("CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = integer, FUNCTION = public.same)")
    yield database
    postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")


async def use(url: str) -> None:
    async with open_stores(url) as stores:
        async for found in stores.events.subscribe():
            assert found.cursor == 1
            break
        await stores.runs.create_run(make_run(1))
        await stores.runs.list_runs("mob")
        await stores.overview()
        assert await stores.claims.acquire("name", "holder", 60)
        assert await stores.claims.list(expired=False)


async def begin(url: str) -> None:
    async with open_stores(url) as stores:
        await stores.events.append(event("mob"))


@pytest.mark.parametrize("path", ["", '"$user", public, pg_catalog'])
def test_functions_of_others_are_not_called(postgres: Server, intruded: str, path: str) -> None:
    url = postgres.url(intruded, "desk")
    if path:
        postgres.execute(f"ALTER DATABASE {intruded} SET search_path = {path}")
    asyncio.run(begin(url))
    asyncio.run(use(url))
    assert postgres.execute("SELECT what FROM public.calls", database=intruded) == []


def test_neither_through_a_pooler(postgres: Server, intruded: str) -> None:
    with Pooler(postgres, "transaction") as pooler:
        url = pooler.url(intruded, "desk")
        asyncio.run(begin(url))
        asyncio.run(use(url))
    assert postgres.execute("SELECT what FROM public.calls", database=intruded) == []


@pytest.mark.parametrize("policy", ["", "CREATE POLICY few ON {}.events USING (cursor < 2)"])
def test_rows_that_a_policy_hides_raise_an_error(
    postgres: Server,
    postgres_role: Role,
    postgres_schema: str,
    postgres_url: str,
    policy: str,
) -> None:
    asyncio.run(begin(postgres_url))
    name = postgres_role.name
    postgres.execute(f"GRANT USAGE ON SCHEMA {postgres_schema} TO {name}")
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {postgres_schema} TO {name}")
    postgres.execute(f"ALTER TABLE {postgres_schema}.events ENABLE ROW LEVEL SECURITY")
    if policy:
        postgres.execute(policy.format(postgres_schema))

    async def main() -> list[MobStoreError]:
        errors: list[MobStoreError] = []
        url = postgres.url(schema=postgres_schema, user=name, password=postgres_role.password)
        async with open_stores(url, read_only=True) as stores:
            for read in (stores.events.replay_all, lambda: stores.events.poll(0, 10)):
                with pytest.raises(ReadFailedError) as caught:
                    await read()
                errors.append(caught.value)
        return errors

    for error in asyncio.run(main()):
        assert "row-level security" in str(error)
