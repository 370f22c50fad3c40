"""Scripts that share a transaction: each sees the writes of those before, and fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import monotonic
from typing import Any, cast

import pytest

from engines.postgres import broken
from mobstore import ReadFailedError, SerializationError, WriteFailedError
from mobstore.engines.memory import MemoryEngine
from mobstore.engines.postgres.transaction import Transaction
from mobstore.scripts.tables import COUNTERS, EVENTS, SPECS, CounterRow, SpecRow
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Count,
    Delete,
    DeleteRange,
    Engine,
    Get,
    LoadingScript,
    Put,
    Read,
    Scan,
    Script,
    Write,
    fetch,
)
from mobstore.stores.postgres import PostgresMobStores
from mobstore.testing.scripts import read_script
from support.postgres.proxy import Proxy

Make = Callable[[], Script[Any]]


def rows(*names: str, value: int = 1) -> tuple[CounterRow, ...]:
    return tuple(CounterRow(name, value) for name in names)


def script(*rounds: Sequence[Read], writes: Sequence[Write] = ()) -> Make:
    """Return a script whose result is all answers."""

    def make() -> Script[list[Any]]:
        answers: list[Any] = []
        for asked in rounds:
            answers += yield tuple(asked)
        return Commit(answers, tuple(writes))

    return make


async def outcomes(engine: Engine, *makes: Make, methods: Sequence[str] = ()) -> list[Any]:
    """Return the results of scripts that run in one transaction; errors are results, too."""

    async def one(make: Make, method: str) -> object:
        try:
            return await getattr(engine, method)(make)
        except BaseException as error:  # noqa: BLE001 - which one is what is asked
            return error

    async with asyncio.timeout(30):
        return await asyncio.gather(*map(one, makes, methods or ["write"] * len(makes)))


async def stored(engine: Engine) -> list[str]:
    return [row.name for row in await engine.read(read_script(Scan(COUNTERS)))]


# What a script sees of those before it -----------------------------------------------------------


ABCDE = (Put(COUNTERS, rows(*"abcde")),)
FIRST_TWO: Read = Scan(COUNTERS, limit=2)
LAST_TWO: Read = Scan(COUNTERS, limit=2, backwards=True)
ALL: Read = Count(Scan(COUNTERS))
SOME: Read = Count(Scan(COUNTERS, after="a", before="d"))
EACH: tuple[Read, ...] = (FIRST_TWO, LAST_TWO, ALL, SOME, Get(COUNTERS, ("a",)))


def follow(start: str, links: int) -> Make:
    """Read a row whose name is in the row before, and so on; a later read depends on earlier."""

    def make() -> Script[list[str]]:
        name, seen = start, [start]
        for _ in range(links):
            row = yield from fetch(Get(SPECS, (name,)))
            if row is None:
                break
            name = row.definition
            seen.append(name)
        return Commit(seen, (Put(COUNTERS, rows(f"end {name}")),))

    return make


def link(*names: str) -> Write:
    return Put(SPECS, [SpecRow(one, 1, other) for one, other in pairwise(names)])


GROUPS: dict[str, tuple[Make, ...]] = {
    "removed": (script(writes=[Delete(COUNTERS, ("a",))]), script(EACH)),
    "removed at the end": (script(writes=[Delete(COUNTERS, ("e",))]), script(EACH)),
    "range removed": (script(writes=[DeleteRange(Scan(COUNTERS, before="d"))]), script(EACH)),
    "overwritten": (script(writes=[Put(COUNTERS, rows("a", "d", value=2))]), script(EACH)),
    "added": (script(writes=[Add(COUNTERS, rows("A", "bb", "f"))]), script(EACH)),
    "removed and added": (
        script(writes=[Delete(COUNTERS, ("a",)), Add(COUNTERS, rows("a", value=3))]),
        script(EACH),
    ),
    "range removed and put": (
        script(writes=[DeleteRange(Scan(COUNTERS)), Put(COUNTERS, rows("c", value=4))]),
        script(EACH),
    ),
    "removed by several": (
        *(script(EACH, writes=[Delete(COUNTERS, (name,))]) for name in "abc"),
        script(EACH, EACH),
    ),
    "later reads": (
        script((FIRST_TWO,), (ALL,), writes=[Delete(COUNTERS, ("a",))]),
        script((Get(COUNTERS, ("b",)),), EACH, writes=[Put(COUNTERS, rows("A"))]),
        script((ALL,), (FIRST_TWO,), EACH),
    ),
    "another way": (
        script(writes=[link("one", "three", "four", "five")]),
        follow("one", 5),
        script(writes=[link("four", "six")]),
        follow("one", 5),
    ),
    "a way that ends": (script(writes=[Delete(SPECS, ("one",))]), follow("one", 5), script(EACH)),
}


async def prepare(engine: Engine) -> None:
    await engine.write(script(writes=[*ABCDE, link("one", "two", "three", "seven")]))


async def on_memory(makes: Sequence[Make]) -> list[Any]:
    engine = MemoryEngine()
    await prepare(engine)
    results = [await engine.write(make) for make in makes]
    return [*map(plain, results), await stored(engine)]


def plain(result: Any) -> Any:
    return [list(cast("list[Any]", one)) if isinstance(one, list) else one for one in result]


async def on_postgres(url: str, makes: Sequence[Make]) -> list[Any]:
    async with PostgresMobStores.open(url) as stores:
        await prepare(stores.engine)
        results = await outcomes(stores.engine, *makes)
        return [*map(plain, results), await stored(stores.engine)]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_a_sequence(group: str, postgres_url: str) -> None:
    expected = asyncio.run(on_memory(GROUPS[group]))
    assert asyncio.run(on_postgres(postgres_url, GROUPS[group])) == expected


@pytest.mark.parametrize(
    ("variant", "group"),
    [
        ("no overlay", "removed"),
        ("limited scans cut short", "removed"),
        ("counts asked once", "overwritten"),
        ("no restart", "another way"),
    ],
)
def test_broken_groups_are_noticed(variant: str, group: str, postgres_url: str) -> None:
    expected = asyncio.run(on_memory(GROUPS[group]))
    with broken.VARIANTS[variant]():
        assert asyncio.run(on_postgres(postgres_url, GROUPS[group])) != expected


def test_a_group_takes_two_round_trips(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The groups above share a transaction; otherwise their tests would show nothing."""
    exchanges: list[int] = []
    exchange = Transaction._exchange  # pyright: ignore[reportPrivateUsage]

    def count(self: Transaction, statements: list[Any], then: Any = None) -> Any:
        exchanges.append(len(statements))
        return exchange(self, statements, then)

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            await prepare(stores.engine)
            monkeypatch.setattr(Transaction, "_exchange", count)
            makes = [script((Get(COUNTERS, (name,)),), writes=ABCDE) for name in "abcde"]
            await outcomes(stores.engine, *makes)

    asyncio.run(main())
    assert len(exchanges) == 2


# Scripts that fail -------------------------------------------------------------------------------


def adding(*names: str) -> Make:
    """Read something; the result is the first name."""

    def make() -> Script[str]:
        yield from fetch(Scan(COUNTERS, limit=1))
        return Commit(
            names[0], (Put(COUNTERS, rows(f"put {names[0]}")), Add(COUNTERS, rows(*names)))
        )

    return make


TOO_LONG = "".join(chr(0x4E00 + n * 7 % 20000) for n in range(4000))  # hardly compressible


@pytest.mark.parametrize("place", [0, 1, 4])
@pytest.mark.parametrize("key", ["there", TOO_LONG], ids=["a key in use", "a key too long"])
def test_only_the_rejected_script_fails(place: int, key: str, postgres_url: str) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            engine = stores.engine
            await engine.write(adding("there"))
            makes = [adding(f"{n}") for n in range(4)]
            makes.insert(place, adding("new", key, "newer"))
            results = await outcomes(engine, *makes)
            error = results.pop(place)
            assert isinstance(error, WriteFailedError)
            assert not error.maybe_written
            if key == "there":
                assert "table counters already has a row with the key there" in str(error)
            assert results == ["0", "1", "2", "3"]
            # Nothing of the failed script is stored, and the connection still writes.
            assert await engine.write(adding("newer")) == "newer"
            names = ["0", "1", "2", "3", "newer", "there"]
            assert await stored(engine) == sorted([*names, *(f"put {name}" for name in names)])

    asyncio.run(main())


def test_scripts_of_a_rejected_group_do_not_each_wait_for_a_lost_server(
    postgres_proxy: Proxy, postgres_schema: str
) -> None:
    made = 0

    def cutting() -> Script[str]:
        nonlocal made
        made += 1
        if made > 1:  # in a transaction of its own
            postgres_proxy.accepting = False
            postgres_proxy.cut()
        return (yield from adding("cutting")())

    async def main() -> None:
        url = postgres_proxy.url(schema=postgres_schema)
        async with PostgresMobStores.open(url, timeout=1) as stores:
            makes = [adding("0"), cutting, adding("new", TOO_LONG), *map(adding, "1234567")]
            began = monotonic()
            results = await outcomes(stores.engine, *makes)
            assert monotonic() - began < 5  # each alone waits for a second
            assert results[0] == "0"
            for error in results[1:]:
                assert isinstance(error, WriteFailedError)
                assert error.retry_safe
                assert not error.maybe_written
            postgres_proxy.accepting = True
            assert await stored(stores.engine) == ["0", "put 0"]

    asyncio.run(main())


@pytest.mark.parametrize("where", ["yielded", "at the end"])
def test_a_loading_script_with_an_existing_row(where: str, postgres_url: str) -> None:
    def load() -> LoadingScript[None]:
        yield (Put(COUNTERS, rows("loaded")),)
        add = Add(COUNTERS, rows("new", "there", "newer"))
        if where == "yielded":
            yield (add,)
        return Commit(None, (add,))

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            await stores.engine.write(adding("there"))
            with pytest.raises(WriteFailedError, match="already has a row with the key there"):
                await stores.engine.load(load)
            assert await stores.engine.write(adding("after")) == "after"
            assert await stored(stores.engine) == ["after", "put after", "put there", "there"]

    asyncio.run(main())


def raising(error: BaseException, moment: str) -> Make:
    def failing() -> Script[Any]:
        yield from fetch(Scan(COUNTERS, limit=1))
        if moment == "later":
            yield from fetch(Scan(COUNTERS, limit=2))
        raise error

    def make() -> Script[Any]:
        if moment == "at once":
            raise error
        return failing()

    return make


ERRORS = (
    SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration(), MemoryError(),
    LookupError("x"),
)  # fmt: skip


@pytest.mark.parametrize("method", ["read", "write", "load"])
def test_a_script_that_raises_leaves_the_others(method: str, postgres_url: str) -> None:
    """Every task of the group ends, and all others have written or read."""

    async def raised(engine: Engine, error: BaseException, moment: str) -> object:
        names = [f"{type(error).__name__} {moment} {n}" for n in range(2)]
        others = [adding(name) for name in names]
        if method == "read":
            others = [read_script(Get(COUNTERS, (name,))) for name in names]
        kind = "write" if method == "load" else method
        first, result, last = await outcomes(
            engine, others[0], raising(error, moment), others[1], methods=(kind, method, kind)
        )
        assert [first, last] == ([None, None] if method == "read" else names)
        return result

    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            for moment in ("at once", "after its reads", "later"):
                for error in ERRORS:
                    result = await raised(stores.engine, error, moment)
                    if isinstance(error, StopIteration):  # cannot be raised by an awaitable
                        assert isinstance(result, (TypeError, RuntimeError))
                    else:
                        assert result is error
            assert await stores.engine.write(adding("c")) == "c"

    asyncio.run(main())


def writing(row: Any) -> Make:
    """Read something, and put a row."""
    return script((Get(COUNTERS, ("a",)),), writes=[Put(COUNTERS, (row,))])


ODD: dict[str, Make] = {
    "a number too large": writing(CounterRow("x", 2**63)),
    "a surrogate": writing(CounterRow("x\ud800", 1)),
    "a surrogate to find": script((Get(COUNTERS, ("x\ud800",)),)),
    "a bound of a scan": script((Scan(COUNTERS, after="x\ud800"),)),
    "a number to find later": script((ALL,), (Get(EVENTS, (2**63,)), Get(EVENTS, (1,)))),
}


@pytest.mark.parametrize("method", ["read", "write"])
def test_values_that_cannot_be_sent_fail_alone(method: str, postgres_url: str) -> None:
    async def main() -> None:
        async with PostgresMobStores.open(postgres_url) as stores:
            engine = stores.engine
            for odd in list(ODD.values())[2 if method == "read" else 0 :]:
                others = [script((ALL,)), script((FIRST_TWO,))]
                if method == "write":
                    others = [writing(CounterRow(name, 1)) for name in "ab"]
                first, error, last = await outcomes(
                    engine, others[0], odd, others[1], methods=[method] * 3
                )
                assert isinstance(error, (SerializationError, WriteFailedError, ReadFailedError))
                assert isinstance(first, list)
                assert isinstance(last, list)
            assert await engine.write(adding("c")) == "c"

    asyncio.run(main())
