"""Transactions are serializable: none acts on what another changes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from engines.support import new_run
from mobstore import Isolation, MobStores, Stores
from mobstore.scripts.tables import COUNTERS, CounterRow
from mobstore.scripts.transaction import Commit, Get, Put, Scan, Script, fetch
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import run_id
from mobstore.testing.scripts import write_script
from support.postgres.proxy import Proxy
from support.postgres.server import Server

DAY, RECEIPT = ("day",), ("receipt",)
FIRST, SECOND = run_id(1), run_id(2)


class Two:
    """Two openings of one store; the proxy is in front of the first."""

    def __init__(self, postgres: Server, proxy: Proxy, schema: str, isolation: Isolation) -> None:
        self._urls = [proxy.url(schema=schema), postgres.url(schema=schema)]
        self._isolation: Isolation = isolation
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> list[MobStores]:
        opened: list[MobStores] = []
        for url in self._urls:
            opening = PostgresMobStores.open(url, isolation=self._isolation, timeout=30)
            opened.append(await self._stack.enter_async_context(opening))
            await opened[-1].engine.write(put("opened", 1))  # connects the writer
        return opened

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def put(name: str, value: int) -> Callable[[], Script[None]]:
    return write_script(Put(COUNTERS, (CounterRow(name, value),)))


# What a reader sees, and what is committed later -------------------------------------------------


def add_receipt() -> Script[None]:
    """Add a receipt of the current day."""
    day = yield from fetch(Get(COUNTERS, DAY))
    assert day is not None
    return Commit(None, (Put(COUNTERS, (CounterRow("receipt", day.value),)),))


Seen = tuple[int | None, int | None]


def read_at_once() -> Script[Seen]:
    rows = yield from fetch(Scan(COUNTERS))
    found = {row.name: row.value for row in rows}
    return Commit((found.get("day"), found.get("receipt")))


def read_two() -> Script[Seen]:
    day, rows = yield from fetch(Get(COUNTERS, DAY), Scan(COUNTERS, RECEIPT))
    assert day is not None
    return Commit((day.value, rows[0].value if rows else None))


def read_twice() -> Script[Seen]:
    day = yield from fetch(Get(COUNTERS, DAY))
    receipt = yield from fetch(Get(COUNTERS, RECEIPT))
    assert day is not None
    return Commit((day.value, None if receipt is None else receipt.value))


@pytest.mark.parametrize("method", ["read", "write"])
@pytest.mark.parametrize("read", [read_at_once, read_two, read_twice])
def test_what_was_read_stays_true_with_serializable_isolation(
    read: Callable[[], Script[Seen]],
    method: str,
    postgres: Server,
    postgres_proxy: Proxy,
    postgres_schema: str,
) -> None:
    """No receipt of a day is added after its end was read without it.

    The receipt's transaction reads the day before its end, so it precedes the end. A reader that
    sees the end, and not the receipt, would contradict that.
    """

    async def main() -> None:
        two = Two(postgres, postgres_proxy, postgres_schema, "serializable")
        async with two as (held, other):
            await other.engine.write(put("day", 1))
            fault = postgres_proxy.arm("commit", "stall")
            adding = asyncio.create_task(held.engine.write(add_receipt))
            await asyncio.to_thread(fault.wait)
            await other.engine.write(put("day", 2))
            read_it = other.engine.read if method == "read" else other.engine.write
            assert await read_it(read) == (2, None)
            postgres_proxy.resume()
            await adding
            assert await other.engine.read(read) == (2, 2)

    asyncio.run(main())


# What a script reads, and what another one changes meanwhile -------------------------------------


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_runs_that_were_listed_stay_as_they_were(
    isolation: Isolation, postgres: Server, postgres_proxy: Proxy, postgres_schema: str
) -> None:
    """Of two runs, one may be cancelled while both are running; two calls never cancel both."""

    async def by_list(at: Stores) -> None:
        headers = await at.runs.run_headers()
        if not stalled.is_set():
            stalled.set()
            postgres_proxy.stall("to_server")
        if all(header.status == "running" for header in headers):
            await at.runs.cas_run_status(FIRST, expected="running", next="canceled")

    async def by_name(at: Stores) -> None:
        headers = [await at.runs.get_run_header(name) for name in (FIRST, SECOND)]
        if all(header is not None and header.status == "running" for header in headers):
            await at.runs.cas_run_status(SECOND, expected="running", next="canceled")

    stalled = asyncio.Event()

    async def main() -> list[str]:
        async with Two(postgres, postgres_proxy, postgres_schema, isolation) as (held, other):
            for name in (FIRST, SECOND):
                await other.runs.create_run(new_run(name))
            slow = asyncio.create_task(held.atomic(by_list))
            await stalled.wait()
            quick = asyncio.create_task(other.atomic(by_name))
            await asyncio.wait([quick], timeout=0.5)
            postgres_proxy.resume()
            await asyncio.gather(slow, quick)
            return [header.status for header in await other.runs.run_headers()]

    assert sorted(asyncio.run(main())) == ["canceled", "running"]
