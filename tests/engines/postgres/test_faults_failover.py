"""A primary and a synchronous standby: a failover loses nothing acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from engines.postgres.journal import Journal
from mobstore import MobStores, ReadFailedError, UsageError, WriteFailedError
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import tag_of, tagged_event
from support.postgres.pair import Pair
from support.postgres.server import Server

pytestmark = pytest.mark.slow

LONGEST_PAUSE = 10.0
"""Seconds from the kill of a primary to the next acknowledged call, on a loaded machine."""

CANCELLED = "its wait for a standby was cancelled"
WAITING = (
    "SELECT {}(pid) FROM pg_stat_activity"
    " WHERE wait_event = 'SyncRep' AND application_name = 'mobstore'"
)


async def tags(stores: MobStores) -> list[str]:
    return [tag_of(one.kind) for one in await stores.events.replay_all()]


def test_a_failover_under_load(postgres_pair: Pair) -> None:
    async def main() -> None:
        journal = Journal()
        async with PostgresMobStores.open(postgres_pair.url(schema="s"), timeout=30) as stores:
            async with journal.load(stores):
                await journal.until(200)
                await asyncio.to_thread(postgres_pair.kill_primary)
                killed = monotonic()
                await asyncio.to_thread(postgres_pair.promote)
                await journal.until(1)
                assert monotonic() - killed < LONGEST_PAUSE
                await journal.until(200)
            assert journal.errors == []
            assert journal.longest < LONGEST_PAUSE
            await journal.check(stores)
            assert str(postgres_pair.standby.port) in repr(stores)

    asyncio.run(main())


@asynccontextmanager
async def waiting_for_the_standby(
    pair: Pair, url: str, **options: float
) -> AsyncGenerator[tuple[PostgresMobStores, asyncio.Task[object]]]:
    """Stop the standby, and append an event, whose commit then waits for it."""
    async with PostgresMobStores.open(url, **options) as stores:  # type: ignore[arg-type]
        await stores.events.append(tagged_event("before"))
        await asyncio.to_thread(pair.standby.stop)
        appending = asyncio.create_task(stores.events.append(tagged_event("waiting")))
        async with asyncio.timeout(10):
            while not pair.primary.execute(WAITING.format("abs")):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield stores, appending


@pytest.mark.parametrize("quiet", [False, True])
def test_a_cancelled_wait_for_the_standby_is_reported(postgres_pair: Pair, quiet: bool) -> None:
    """The commit is on the primary only, so a failover would undo it."""
    primary = postgres_pair.primary
    primary.execute("CREATE ROLE one LOGIN; GRANT CREATE ON DATABASE postgres TO one")
    if quiet:  # the server says so by a warning
        primary.execute("ALTER ROLE one SET client_min_messages = 'error'")

    async def main() -> None:
        url = postgres_pair.url(schema="s", user="one")
        async with waiting_for_the_standby(postgres_pair, url) as (stores, appending):
            assert not appending.done()
            await asyncio.to_thread(primary.execute, WAITING.format("pg_cancel_backend"))
            with pytest.raises(WriteFailedError, match=CANCELLED) as e:
                await appending
            assert e.value.maybe_written
            assert not e.value.retry_safe
            postgres_pair.standby.start()
            await stores.events.append(tagged_event("after"))
            assert await tags(stores) == ["before", "waiting", "after"]

    asyncio.run(main())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_terminated_wait_for_the_standby_is_not_acknowledged(
    postgres_pair: Pair, asynchronous: bool
) -> None:
    """The new connection finds the commit, and has to wait for the standby in its place."""
    primary = postgres_pair.primary
    primary.execute("CREATE ROLE one LOGIN; GRANT CREATE ON DATABASE postgres TO one")
    if asynchronous:
        primary.execute("ALTER ROLE one SET synchronous_commit = 'off'")

    async def main() -> None:
        url = postgres_pair.url(schema="s", user="one")
        async with waiting_for_the_standby(postgres_pair, url, timeout=20) as (stores, appending):
            await asyncio.to_thread(primary.execute, WAITING.format("pg_terminate_backend"))
            await asyncio.sleep(0.5)
            assert not appending.done(), "acknowledged without the standby"
            await asyncio.to_thread(postgres_pair.standby.start)
            await appending
            assert await tags(stores) == ["before", "waiting"]

    asyncio.run(main())


def test_a_twice_cancelled_wait_for_the_standby_is_reported(postgres_pair: Pair) -> None:
    primary = postgres_pair.primary

    async def main() -> None:
        url = postgres_pair.url(schema="s")
        async with waiting_for_the_standby(postgres_pair, url, timeout=20) as (stores, appending):
            await asyncio.to_thread(primary.execute, WAITING.format("pg_terminate_backend"))
            async with asyncio.timeout(10):
                while not primary.execute(WAITING.format("pg_cancel_backend")):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            with pytest.raises(WriteFailedError, match=CANCELLED) as e:
                await appending
            assert e.value.maybe_written
            await asyncio.to_thread(postgres_pair.standby.start)
            assert await tags(stores) == ["before", "waiting"]

    asyncio.run(main())


def test_a_standby_can_be_read(postgres_pair: Pair) -> None:
    standby = postgres_pair.standby

    async def main() -> None:
        async with PostgresMobStores.open(postgres_pair.url(schema="s")) as stores:
            await stores.events.append(tagged_event("one"))
        postgres_pair.wait_until_replayed()
        url = standby.url(schema="s")
        for create in (True, False):
            with pytest.raises(ReadFailedError, match="read_only=True"):
                await PostgresMobStores.open(url, create=create)
        async with PostgresMobStores.open(url, read_only=True) as copy:
            assert await tags(copy) == ["one"]
            assert (await copy.overview()).events == 1
            with pytest.raises(UsageError, match="read-only"):
                await copy.events.append(tagged_event("two"))
            assert await tags(copy) == ["one"]

    asyncio.run(main())


def test_a_primary_that_becomes_a_standby(postgres_pair: Pair) -> None:
    """Calls wait for a server that accepts writes, since a standby's rows may be old."""
    primary: Server = postgres_pair.primary

    def demote() -> None:
        primary.stop()
        (primary.data / "standby.signal").touch()
        primary.start()

    def promote() -> None:
        primary.execute("SELECT pg_promote()")

    async def main() -> None:
        url = primary.url(schema="s")
        async with PostgresMobStores.open(url, timeout=1) as stores:
            await stores.events.append(tagged_event("before"))
            await asyncio.to_thread(demote)
            for call in (stores.events.latest_cursor(), stores.events.append(tagged_event("x"))):
                with pytest.raises((ReadFailedError, WriteFailedError), match="is read-only") as e:
                    await call
                assert not e.value.maybe_written
            await asyncio.to_thread(promote)
            await stores.events.append(tagged_event("after"))
            assert await tags(stores) == ["before", "after"]

    asyncio.run(main())
