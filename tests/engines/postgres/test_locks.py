"""Transactions are serializable: none acts on what another changes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from engines.support import new_run
from mobstore import Isolation, MobStores, Stores
from mobstore.engines.postgres.locks import Locks
from mobstore.scripts.tables import COUNTERS, SPECS, CounterRow, SpecRow
from mobstore.scripts.transaction import Commit, Engine, Get, Put, Scan, Script, fetch
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.samples import run_id
from mobstore.testing.scripts import read_script, write_script
from support.postgres.proxy import Proxy
from support.postgres.server import Server

DAY, RECEIPT = ("day",), ("receipt",)
FIRST, SECOND = run_id(1), run_id(2)


class Two:
    """Two openings of one store; the proxy is in front of the first."""

    def __init__(self, postgres: Server, proxy: Proxy, schema: str, isolation: Isolation) -> None:
        # A scan of a whole table notices conflicts with all its rows; a wider net hides holes.
        options = "-c enable_seqscan=off"
        self._urls = [one.url(schema=schema, options=options) for one in (proxy, postgres)]
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


# Index pages are locked as a whole, so that reading the day may also lock its neighbour.
BESIDE = "in the table of the day"
ELSEWHERE = "in another table"


def add_receipt(where: str, after_reading: Callable[[], None]) -> Callable[[], Script[None]]:
    """Return a script that adds a receipt of the current day."""

    def make() -> Script[None]:
        day = yield from fetch(Get(COUNTERS, DAY))
        after_reading()
        assert day is not None
        if where == BESIDE:
            return Commit(None, (Put(COUNTERS, (CounterRow("receipt", day.value),)),))
        return Commit(None, (Put(SPECS, (SpecRow("receipt", day.value, ""),)),))

    return make


class Once:
    """A function that does something at its first call."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.called = asyncio.Event()
        self._action = action

    def __call__(self) -> None:
        if not self.called.is_set():
            self.called.set()
            self._action()


Seen = tuple[int | None, int | None]


def read_at_once() -> Script[Seen]:
    rows = yield from fetch(Scan(COUNTERS))
    found = {row.name: row.value for row in rows}
    return Commit((found.get("day"), found.get("receipt")))


def read_two() -> Script[Seen]:
    day, receipt = yield from fetch(Get(COUNTERS, DAY), Get(SPECS, RECEIPT))
    assert day is not None
    return Commit((day.value, None if receipt is None else receipt.revision))


def read_twice() -> Script[Seen]:
    day = yield from fetch(Get(COUNTERS, DAY))
    receipt = yield from fetch(Get(SPECS, RECEIPT))
    assert day is not None
    return Commit((day.value, None if receipt is None else receipt.revision))


@pytest.mark.parametrize("held_before", ["its writes", "its commit"])
@pytest.mark.parametrize("method", ["read", "write"])
@pytest.mark.parametrize(
    ("read", "where"),
    [(read_at_once, BESIDE), (read_two, ELSEWHERE), (read_twice, ELSEWHERE)],
    ids=["one read", "two reads", "two rounds"],
)
def test_what_was_read_stays_true_with_serializable_isolation(
    read: Callable[[], Script[Seen]],
    where: str,
    method: str,
    held_before: str,
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
            if held_before == "its commit":
                fault = postgres_proxy.arm("commit", "stall")
                adding = asyncio.create_task(held.engine.write(add_receipt(where, lambda: None)))
                await asyncio.to_thread(fault.wait)
            else:
                hold = Once(lambda: postgres_proxy.stall("to_server"))
                adding = asyncio.create_task(held.engine.write(add_receipt(where, hold)))
                await hold.called.wait()
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
        hold()
        if all(header.status == "running" for header in headers):
            await at.runs.cas_run_status(FIRST, expected="running", next="canceled")

    async def by_name(at: Stores) -> None:
        headers = [await at.runs.get_run_header(name) for name in (FIRST, SECOND)]
        if all(header is not None and header.status == "running" for header in headers):
            await at.runs.cas_run_status(SECOND, expected="running", next="canceled")

    hold = Once(lambda: postgres_proxy.stall("to_server"))

    async def main() -> list[str]:
        async with Two(postgres, postgres_proxy, postgres_schema, isolation) as (held, other):
            for name in (FIRST, SECOND):
                await other.runs.create_run(new_run(name))
            slow = asyncio.create_task(held.atomic(by_list))
            await hold.called.wait()
            quick = asyncio.create_task(other.atomic(by_name))
            await asyncio.wait([quick], timeout=0.5)
            postgres_proxy.resume()
            await asyncio.gather(slow, quick)
            return [header.status for header in await other.runs.run_headers()]

    assert sorted(asyncio.run(main())) == ["canceled", "running"]


# Locks of many rows, and locks with one name -----------------------------------------------------


HELD = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"


def named(number: int) -> list[Put[CounterRow]]:
    return [Put(COUNTERS, [CounterRow(f"{n}", 1) for n in range(number)])]


def in_two_rounds(number: int) -> Callable[[], Script[None]]:
    """Return a script that learns in its second round what else it reads."""

    def make() -> Script[None]:
        yield from fetch(Get(COUNTERS, ("0",)))
        yield tuple([Get(COUNTERS, (f"{n}",)) for n in range(number)])
        return Commit(None, tuple(named(number)))

    return make


@pytest.mark.parametrize(
    ("number", "excludes"), [(150, False), (250, True)], ids=["few locks", "many locks"]
)
@pytest.mark.parametrize("rounds", [1, 2])
def test_many_locks_become_that_of_the_store(
    number: int,
    excludes: bool,
    rounds: int,
    postgres: Server,
    postgres_proxy: Proxy,
    postgres_schema: str,
) -> None:
    """A script with other rows waits for one with too many locks, and for no other."""
    make = write_script(*named(number)) if rounds == 1 else in_two_rounds(number)

    async def main() -> None:
        async with Two(postgres, postgres_proxy, postgres_schema, "read committed") as opened:
            held, other = opened
            fault = postgres_proxy.arm("commit", "stall")
            many = asyncio.create_task(held.engine.write(make))
            await asyncio.to_thread(fault.wait)
            while not postgres.execute(HELD):  # noqa: ASYNC110 - the server may be about to lock
                await asyncio.sleep(0.01)
            one = asyncio.create_task(other.engine.write(put("another", 1)))
            done, _ = await asyncio.wait([one], timeout=0.3 if excludes else 10)
            postgres_proxy.resume()
            assert bool(done) != excludes
            await asyncio.gather(many, one)

    asyncio.run(main())


def test_scripts_with_many_locks_lose_nothing(postgres_url: str) -> None:
    """Two openings add to 300 rows in one script, and to single ones in others."""

    def add(names: list[str], rounds: int) -> Callable[[], Script[None]]:
        def make() -> Script[None]:
            part = (len(names) + rounds - 1) // rounds
            rows: list[CounterRow] = []
            for start in range(0, len(names), part):
                asked = names[start : start + part]
                found = yield tuple([Get(COUNTERS, (name,)) for name in asked])
                rows += [
                    CounterRow(name, 1 + (row.value if row else 0))
                    for name, row in zip(asked, found, strict=True)
                ]
            return Commit(None, (Put(COUNTERS, rows),))

        return make

    everything = [f"row {n}" for n in range(300)]

    async def main() -> list[CounterRow]:
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(PostgresMobStores.open(postgres_url, timeout=30))
                for _ in range(2)
            ]

            async def work(engine: Engine, seed: int) -> None:
                for n in range(12):
                    await engine.write(add(everything, 1 + n % 3))
                    await engine.write(add([everything[seed * 7 + n]], 1))

            async with asyncio.TaskGroup() as group:
                for seed in range(6):
                    group.create_task(work(opened[seed % 2].engine, seed))
            rows = await opened[0].engine.read(read_script(Scan(COUNTERS)))
            return [row for row in rows if row.name.startswith("row ")]

    rows = asyncio.run(main())
    assert len(rows) == 300
    assert min(row.value for row in rows) == 6 * 12
    assert sum(row.value for row in rows) == 6 * 12 * 301


def test_a_busy_lock_that_is_needed_later(postgres_url: str) -> None:
    """A script gets it at last, though others take it all the time."""

    def chase() -> Script[int]:
        row = yield from fetch(Get(COUNTERS, ("start",)))
        busy = yield from fetch(Get(COUNTERS, (f"busy {0 if row is None else row.value}",)))
        return Commit(0 if busy is None else busy.value)

    def increment() -> Script[None]:
        row = yield from fetch(Get(COUNTERS, ("busy 0",)))
        value = 1 if row is None else row.value + 1
        return Commit(None, (Put(COUNTERS, [CounterRow("busy 0", value)]),))

    async def main() -> None:
        async with AsyncExitStack() as stack:
            chasing, busy = [
                await stack.enter_async_context(PostgresMobStores.open(postgres_url))
                for _ in range(2)
            ]
            ending = False

            async def keep_busy() -> None:
                while not ending:
                    await busy.engine.write(increment)

            tasks = [asyncio.create_task(keep_busy()) for _ in range(3)]
            found: list[int] = []
            async with asyncio.timeout(20):
                for _ in range(30):
                    found.append(await chasing.engine.write(chase))
            ending = True
            await asyncio.gather(*tasks)
            assert found == sorted(found)
            assert found[-1] > 5

    asyncio.run(main())


def test_a_long_chain_of_busy_locks(
    postgres: Server, postgres_url: str, postgres_schema: str
) -> None:
    """After four locks that were not free, a script locks the whole store, and waits no more."""
    links = [f"link {n}" for n in range(9)]
    numbers = [Locks(postgres_schema).number(("counters", link)) for link in links]
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def follow() -> Script[None]:
        for link in links:
            yield (Get(COUNTERS, (link,)),)
        return Commit(None)

    async def main() -> int:
        async with PostgresMobStores.open(postgres_url) as stores:
            with postgres.connect() as other:
                for number in numbers[1:]:
                    other.execute("SELECT pg_advisory_lock(%s)", [number])
                following = asyncio.create_task(stores.engine.write(follow))
                released = 0
                while not following.done():
                    await asyncio.sleep(0.01)
                    if other.execute(waiting).fetchone():
                        released += 1
                        other.execute("SELECT pg_advisory_unlock(%s)", [numbers[released]])
                await following
                return released

    assert asyncio.run(main()) == 3
