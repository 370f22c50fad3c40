"""A commit whose answer is lost happens once, and never later than its successors."""

from __future__ import annotations

import asyncio
import os
import socket
import time

from engines.postgres import broken
from mobstore.engines.postgres import PostgresEngine
from mobstore.engines.postgres.writer import Writer
from mobstore.scripts.tables import COUNTERS, CounterRow
from mobstore.scripts.transaction import Commit, Engine, Get, Put, Script, fetch
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.scripts import read_script, write_script
from support.postgres.endpoint import HOST
from support.postgres.proxy import Proxy
from support.postgres.server import Server

NAME = ("n",)


def put(value: int) -> Put[CounterRow]:
    return Put(COUNTERS, (CounterRow("n", value),))


def increment() -> Script[int]:
    row = yield from fetch(Get(COUNTERS, NAME))
    value = 1 if row is None else row.value + 1
    return Commit(value, (put(value),))


async def value_of(engine: Engine) -> int | None:
    row = await engine.read(read_script(Get(COUNTERS, NAME)))
    return None if row is None else row.value


# The answer is lost ------------------------------------------------------------------------------


def increment_once(proxy: Proxy, schema: str) -> tuple[int, int | None]:
    """Lose the answer to the commit of an increment; return its result and the stored value."""

    async def main() -> tuple[int, int | None]:
        async with PostgresMobStores.open(proxy.url(schema=schema)) as stores:
            await stores.engine.write(write_script(put(0)))
            fault = proxy.arm("committed")
            result = await stores.engine.write(increment)
            fault.wait()
            return result, await value_of(stores.engine)

    return asyncio.run(main())


def test_a_lost_answer(postgres_proxy: Proxy, postgres_schema: str) -> None:
    assert increment_once(postgres_proxy, postgres_schema) == (1, 1)


def test_without_a_fence_it_happens_twice(postgres_proxy: Proxy, postgres_schema: str) -> None:
    with broken.VARIANTS["no fence"]():
        assert increment_once(postgres_proxy, postgres_schema) == (2, 2)


# The commit arrives late -------------------------------------------------------------------------


def commit_late(postgres: Server, proxy: Proxy, schema: str) -> int | None:
    """Put 1, and then 2, while a first transaction that puts 1 is under way; let it arrive."""
    hosts = f"{HOST}:{proxy.port},{HOST}:{postgres.port}"
    url = f"postgresql://{postgres.user}@{hosts}/postgres?schema={schema}"

    async def main() -> int | None:
        async with PostgresMobStores.open(url, timeout=30) as stores:
            engine = stores.engine
            assert isinstance(engine, PostgresEngine)
            await engine.write(write_script(put(0)))
            proxy.stall("to_server")
            writing = asyncio.create_task(engine.write(write_script(put(1))))
            await asyncio.sleep(0.1)  # it is sent as a whole: it reads nothing
            proxy.accepting = False
            late = cut_off(writer_of(engine))
            await writing
            await engine.write(write_script(put(2)))
            proxy.resume()
            await asyncio.to_thread(wait_for_end, postgres, late)
            return await value_of(engine)

    return asyncio.run(main())


def writer_of(engine: PostgresEngine) -> Writer:
    (lane,) = engine._lanes.values()  # pyright: ignore[reportPrivateUsage]
    return lane.writer


def cut_off(writer: Writer) -> int:
    """Close the connection on this side only; return the server's process."""
    wire = writer._wire  # pyright: ignore[reportPrivateUsage]
    assert wire is not None
    connection = wire._pgconn  # pyright: ignore[reportPrivateUsage]
    with socket.socket(fileno=os.dup(connection.socket)) as other:
        other.shutdown(socket.SHUT_RDWR)
    return connection.backend_pid


def wait_for_end(postgres: Server, process: int) -> None:
    deadline = time.monotonic() + 20
    while postgres.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", process):
        assert time.monotonic() < deadline, "the late transaction does not end"
        time.sleep(0.01)


def test_a_late_commit(postgres: Server, postgres_proxy: Proxy, postgres_schema: str) -> None:
    assert commit_late(postgres, postgres_proxy, postgres_schema) == 2


def test_without_an_epoch_it_undoes_its_successor(
    postgres: Server, postgres_proxy: Proxy, postgres_schema: str
) -> None:
    with broken.VARIANTS["no epoch in the fence"]():
        assert commit_late(postgres, postgres_proxy, postgres_schema) == 1
