"""Applications around the stores: their psycopg, their event loops, their environment."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from mobstore import MobStoreError, ReadFailedError
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import event, make_run
from support.postgres.server import Server

ADAPTERS = """
import asyncio, decimal, sys
import psycopg
from psycopg.adapt import Loader
from mobstore import open_stores
from mobstore.testing.samples import event, make_run, run_id

class Lower(Loader):
    def load(self, data):
        return bytes(data).decode().strip().lower()

class Number(Loader):
    def load(self, data):
        return decimal.Decimal(bytes(data).decode())

for name in ("text", "varchar"):
    psycopg.adapters.register_loader(name, Lower)
psycopg.adapters.register_loader("int8", Number)

async def main():
    async with open_stores(sys.argv[1]) as stores:
        cursor = (await stores.events.append(event("Desk "))).cursor
        await stores.runs.create_run(make_run(1, mob="Desk "))
        assert await stores.runs.cas_run_status(run_id(1), expected="pending", next="running")
        (found,) = await stores.events.poll(0, 1)
        run = await stores.runs.get_run(run_id(1))
        print(type(cursor).__name__, repr(found.mob_id), repr(run.mob_id))

asyncio.run(main())
"""


def test_an_application_that_changes_psycopg_changes_no_store(postgres_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADAPTERS, postgres_url], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["int", "'Desk", "'", "'Desk", "'"], done.stderr


def rows_of_writers(server: Server, schema: str) -> int:
    ((number,),) = server.execute(f"SELECT count(*) FROM {schema}.writers WHERE writer <> ''")
    return int(number)


def test_event_loops_that_end_leave_one_row(
    postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    """As in a server that runs each request in a loop of its own."""
    stores = asyncio.run(_opened(postgres_url))
    for number in range(1, 21):
        assert asyncio.run(_appended(stores)) == number
    assert rows_of_writers(postgres, postgres_schema) == 1
    # Loops that run at the same time have a row each, and leave them to later ones.
    for _ in range(3):
        threads = [Thread(target=lambda: asyncio.run(_appended(stores))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert rows_of_writers(postgres, postgres_schema) <= 4
    assert asyncio.run(stores.events.latest_cursor()) == 32
    asyncio.run(stores.close())


async def _opened(url: str) -> PostgresMobStores:
    return await PostgresMobStores.open(url)


async def _appended(stores: PostgresMobStores) -> int:
    return (await stores.events.append(event("mob"))).cursor


def test_rows_of_killed_writers_are_swept(
    postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            await stores.events.append(event("mob"))
        for name, age in (("killed", "61 minutes"), ("alive", "59 minutes")):
            postgres.execute(
                f"INSERT INTO {postgres_schema}.writers"
                f" VALUES ('{name}', 1, 1, now() - interval '{age}')"
            )
        async with PostgresMobStores.open(postgres_url) as stores:
            await stores.events.append(event("mob"))
        left = postgres.execute(f"SELECT writer FROM {postgres_schema}.writers")
        assert {name for (name,) in left} == {"alive", ""}

    asyncio.run(main())


@pytest.mark.slow
def test_a_busy_event_loop_leaves_no_outcome_unknown(postgres: Server, postgres_url: str) -> None:
    """The server ends the transaction, and the loop stays busy for longer than `timeout`."""

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url, timeout=1) as stores:
            await stores.runs.create_run(make_run(1))
            for turns in range(1, 12, 2):
                appending = asyncio.create_task(stores.events.append(event("mob")))
                for _ in range(turns):
                    await asyncio.sleep(0)
                postgres.terminate_backends()
                for _ in range(4):
                    time.sleep(1.2)  # noqa: ASYNC251
                    await asyncio.sleep(0)
                await appending
            cursors = [found.cursor for found in await stores.events.poll(0, 100)]
            assert cursors == list(range(1, len(range(1, 12, 2)) + 1))

    asyncio.run(main())


def error_of(url: str) -> MobStoreError:
    async def main() -> None:
        await PostgresMobStores.open(url, timeout=1)

    with pytest.raises(ReadFailedError) as caught:
        asyncio.run(main())
    return caught.value


def test_a_service_is_named_in_messages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("[desk]\nhost=127.0.0.1\nport=1\ndbname=prod\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert "service desk, schema mobstore: " in str(error_of("postgresql:///?service=desk"))


def test_the_environment_is_named_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "/nowhere")
    assert "/nowhere/mobs, schema mobstore: " in str(error_of("postgresql:///mobs"))
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    error = error_of("postgresql:///mobs")
    assert "127.0.0.1:1/mobs, schema mobstore: " in str(error)
    assert error.retry_safe


def test_a_wrong_setting_of_the_client_is_not_worth_a_retry(postgres: Server) -> None:
    url = postgres.url(sslmode="verify-full", sslrootcert="/nowhere/root.crt")
    assert not error_of(url).retry_safe
