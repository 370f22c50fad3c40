"""Stores through PgBouncer: what it does with connections must not be noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import psycopg
import pytest

from cli import command_line
from engines.support import RUN, every_call, new_run, rich_run
from mobstore import MobStores, ReadFailedError, WriteFailedError, open_stores
from mobstore.engines.postgres.connections import Options, Server as Connections
from mobstore.engines.postgres.opening import open_store
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Statement
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing import Case, all_cases
from mobstore.testing.samples import number_of, state, tag_of, tagged_event
from support.postgres.endpoint import Endpoint
from support.postgres.pooler import Mode, Pooler
from support.postgres.server import Server
from support.postgres.subject import PostgresSubject

pytestmark = pytest.mark.slow

BEGIN = Statement("BEGIN")

# What connections, transactions and notifications decide. What one operation means is decided
# above the engine, and is tested without a pooler.
FAMILIES = (
    "atomic.", "cancel.", "claims.", "concurrent.", "durable.", "engine.", "shared.", "store",
    "events.follow.", "events.subscribe.", "runs.claim", "runs.watch",
)  # fmt: skip


class PooledSubject(PostgresSubject):
    """Stores whose every opening goes through a pooler."""

    def __init__(self, server: Server, pooler: Pooler) -> None:
        super().__init__(server)
        self._pooler = pooler

    async def connect(self) -> MobStores:
        return await PostgresMobStores.open(self._pooler.url(schema=self._schema), clock=self.clock)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id)
        for case in all_cases().values()
        if case.id.startswith(FAMILIES)
    ],
)
def test_contract(case: Case, postgres: Server, postgres_pooler: Pooler) -> None:
    async def run() -> None:
        subject = PooledSubject(postgres, postgres_pooler)
        try:
            await case.function(subject)
        finally:
            await subject.close()

    asyncio.run(run())


def run(main: Callable[[], Any]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(in_time())


async def how(endpoint: Endpoint, schema: str) -> str:
    async with open_stores(endpoint.url(schema=schema)) as stores:
        await stores.events.append(tagged_event("e"))
        return stores.engine.details()["connections"]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_is_detected(
    postgres: Server, postgres_pooler: Pooler, postgres_schema: str, mode: Mode
) -> None:
    """It announces other processes than those of the server, in every mode and each time."""

    async def main() -> None:
        with Pooler(postgres, mode) as pooler:
            for _ in range(10):
                assert await how(pooler, postgres_schema) == "through a pooler"
                assert await how(postgres, postgres_schema) == "direct"
            assert await how(postgres_pooler, postgres_schema) == "through a pooler"

    run(main)


@pytest.mark.usefixtures("postgres_pooler")
def test_pooling_of_statements_is_rejected(
    postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    async def main() -> None:
        with Pooler(postgres, "statement") as pooler:
            url = pooler.url(schema=postgres_schema)
            for there in (False, True):
                for read_only in (False, True):
                    with pytest.raises(ReadFailedError, match="must be transaction or session"):
                        await open_stores(url, read_only=read_only)
                if not there:
                    found = "SELECT FROM pg_namespace WHERE nspname = %s"
                    assert not postgres.execute(found, postgres_schema)
                    await (await open_stores(postgres_url)).close()

    run(main)


@pytest.mark.usefixtures("postgres_pooler")
def test_clients_leave_no_traces_on_shared_connections(
    postgres: Server, postgres_schema: str
) -> None:
    """Several openings share two connections, also with a client with another encoding."""

    async def count(stores: MobStores, wins: int) -> None:
        while wins:
            run = await stores.runs.get_run(RUN)
            assert run is not None
            following = state(number_of(run.flow_state) + 1)
            wins -= await stores.runs.cas_flow_state(RUN, expected=run.flow_state, next=following)
            await stores.events.append(tagged_event("Grüße, 漢字 \x00\x01"))

    def interfere(client: psycopg.Connection[tuple[Any, ...]]) -> None:
        client.execute("SET DateStyle = 'German'")
        row = client.execute("SELECT 'ä', now()::text").fetchone()
        assert row is not None
        assert row[0] == "ä"

    async def main() -> None:
        with (
            Pooler(postgres, default_pool_size=2) as pooler,
            psycopg.connect(pooler.url(client_encoding="latin1"), autocommit=True) as client,
        ):
            url = pooler.url(schema=postgres_schema)
            client.prepare_threshold = None
            async with AsyncExitStack() as stack:
                several = [await stack.enter_async_context(open_stores(url)) for _ in range(3)]
                following = await stack.enter_async_context(aclosing(several[0].events.subscribe()))
                await several[0].runs.create_run(new_run())
                counting = [asyncio.create_task(count(one, 10)) for one in several]
                while not all(task.done() for task in counting):
                    await asyncio.to_thread(interfere, client)
                await asyncio.gather(*counting)
                run = await several[1].runs.get_run(RUN)
                assert run is not None
                assert number_of(run.flow_state) == 30
                stored = await several[2].events.replay_all()
                assert {tag_of(one.kind) for one in stored} == {"Grüße, 漢字 \x00\x01"}
                assert [await anext(following) for _ in stored] == stored
            for _ in range(5):
                with pooler.connect() as other:
                    left = other.execute(
                        "SELECT current_setting('lock_timeout'),"
                        " current_setting('synchronous_commit'),"
                        " current_setting('idle_in_transaction_session_timeout'),"
                        " (SELECT count(*) FROM pg_prepared_statements),"
                        " (SELECT count(*) FROM pg_listening_channels()),"
                        " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
                    ).fetchone()
                    assert left == ("0", "on", "0", 0, 0, 0)

    run(main)


def test_a_transaction_stays_on_one_connection(
    postgres_pooler: Pooler, postgres_schema: str
) -> None:
    """PgBouncer would pass a connection on at the end of a transaction, amid the next one."""
    long = [Statement("SELECT pg_backend_pid(), $1::text", (scalar("x" * 5000),))] * 1000
    last = [Statement("SELECT pg_backend_pid()"), Statement("COMMIT")]

    async def main() -> None:
        url = postgres_pooler.url()
        server = Connections(Options(url, postgres_schema, "full", None, 5, True, False))
        wire = await open_store(server)
        for _ in range(5):
            # The end of `then` comes while the next transaction is being sent.
            await wire.exchange([BEGIN, *last], 10, then=Statement("SELECT pg_sleep(0.1)"))
            results = await wire.exchange([BEGIN, *long], 10)
            results += await wire.exchange(last, 10)
            assert len({result.get_value(0, 0) for result in results[1:-1]}) == 1
        wire.close()

    run(main)


def test_every_call_and_compact(postgres_pooler: Pooler, postgres_schema: str) -> None:
    async def main() -> None:
        async with open_stores(postgres_pooler.url(schema=postgres_schema)) as stores:
            await stores.runs.create_run(rich_run())
            for call in every_call(stores):
                await call.make()
            await stores.compact()

    run(main)


def test_info_tells_how_a_store_is_reached(
    postgres_pooler: Pooler, postgres_schema: str, postgres_url: str
) -> None:
    asyncio.run(how(postgres_pooler, postgres_schema))
    for url, told in (
        (postgres_pooler.url(schema=postgres_schema), "through a pooler"),
        (postgres_url, "direct"),
    ):
        ended = command_line.run("info", url)
        assert (ended.code, ended.errors) == (0, "")
        (line,) = [one for one in ended.out.splitlines() if "connections" in one]
        assert told in line


def test_a_pooler_that_ends_and_starts_again(postgres_pooler: Pooler, postgres_schema: str) -> None:
    """Its clients are cut off; nothing is written twice, and the work goes on."""

    async def main() -> None:
        async with open_stores(postgres_pooler.url(schema=postgres_schema), timeout=2) as stores:
            assert (await stores.events.append(tagged_event("first"))).cursor == 1
            postgres_pooler.stop()
            with pytest.raises(WriteFailedError) as caught:
                await stores.events.append(tagged_event("no"))
            assert caught.value.retry_safe
            assert not caught.value.maybe_written
            appending = asyncio.ensure_future(stores.events.append(tagged_event("second")))
            await asyncio.sleep(0.2)
            postgres_pooler.start()
            assert (await appending).cursor == 2
            assert len(await stores.events.replay_all()) == 2

    run(main)
