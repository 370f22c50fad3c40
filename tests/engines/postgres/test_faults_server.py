"""Servers that are killed, restarted or cut their clients off lose nothing acknowledged."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from engines.postgres.journal import Journal
from mobstore.scripts.transaction import Isolation
from mobstore.stores.postgres import PostgresMobStores
from support.postgres.server import Server

pytestmark = pytest.mark.slow

TASKS = 12
OTHERS = (
    "SELECT {}(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def kill(server: Server) -> None:
    server.kill()
    server.start()


def restart(server: Server) -> None:
    server.restart()


def restart_immediately(server: Server) -> None:
    server.restart("immediate")


def kill_one_backend(server: Server) -> None:
    """Kill one process; the main process then ends all others, and recovers."""
    pid = server.execute(
        "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'mobstore'"
    )[0][0]
    os.kill(pid, signal.SIGKILL)


def terminate(server: Server) -> None:
    server.execute(OTHERS.format("pg_terminate_backend"))


FAULTS = [kill, restart, restart_immediately, kill_one_backend, terminate]


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_every_call_survives(postgres: Server, postgres_url: str, isolation: Isolation) -> None:
    """Calls wait until the server is back. None fails, and none is made twice."""

    async def main() -> None:
        journal = Journal()
        async with PostgresMobStores.open(postgres_url, timeout=20, isolation=isolation) as stores:
            async with journal.load(stores):
                for fault in FAULTS:
                    await journal.until(100)
                    await asyncio.to_thread(fault, postgres)
                await journal.until(100)
            assert journal.errors == []
            await journal.check(stores)

    asyncio.run(main())


def test_clients_are_cut_off_again_and_again(postgres: Server, postgres_url: str) -> None:
    async def main() -> None:
        journal = Journal()
        async with PostgresMobStores.open(postgres_url, timeout=20) as stores:
            async with journal.load(stores):
                for pause in range(30):
                    await asyncio.to_thread(terminate, postgres)
                    await asyncio.sleep(pause / 500)
                await journal.until(100)
            assert journal.errors == []
            await journal.check(stores)

    asyncio.run(main())


def test_cancelled_statements_fail_with_a_known_outcome(
    postgres: Server, postgres_url: str
) -> None:
    async def main() -> None:
        journal = Journal()
        async with PostgresMobStores.open(postgres_url) as stores:
            async with journal.load(stores):
                for _ in range(8):
                    await asyncio.to_thread(cancel_often, postgres)
                    await journal.until(20)
            assert journal.errors, "no statement was cancelled"
            for error in journal.errors:
                assert "cancelled a statement" in str(error)
                assert error.retry_safe
                assert not error.maybe_written
            await journal.check(stores)

    def cancel_often(server: Server) -> None:
        with server.connect() as connection:
            for _ in range(100):
                connection.execute(OTHERS.format("pg_cancel_backend").encode())

    asyncio.run(main())


def test_a_server_that_stays_away(postgres: Server, postgres_url: str) -> None:
    """Calls fail after `timeout`, and succeed as soon as the server is back."""

    async def main() -> None:
        journal = Journal()
        async with PostgresMobStores.open(postgres_url, timeout=1) as stores:
            async with journal.load(stores):
                await journal.until(100)
                await asyncio.to_thread(postgres.kill)
                before = journal.acknowledged
                await asyncio.sleep(2.5)
                assert journal.acknowledged == before
                assert len(journal.errors) >= TASKS
                await asyncio.to_thread(postgres.start)
                await journal.until(100)
            for error in journal.errors:
                assert error.maybe_written or error.retry_safe, str(error)
            # A batch has at most one call of each task, and all later batches are known to fail.
            assert len(journal.unknown) <= 2 * TASKS
            await journal.check(stores)

    asyncio.run(main())


@pytest.mark.parametrize("end", [kill, restart])
def test_normal_durability_loses_the_end_only(
    postgres: Server, postgres_url: str, end: Callable[[Server], None]
) -> None:
    """After a crash of the server a store continues from a slightly earlier state."""

    async def main() -> None:
        stores = await PostgresMobStores.open(postgres_url, durability="normal", timeout=20)
        async with stores:
            journal = Journal()
            async with journal.load(stores, appending=8, changing=0):
                await journal.until(200)
                await asyncio.to_thread(end, postgres)
                await journal.until(20)
            cursors = [one.cursor for one in await stores.events.replay_all()]
            assert cursors == list(range(1, len(cursors) + 1))

    asyncio.run(main())
