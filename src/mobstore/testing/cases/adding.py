"""Cases of rows that must be new: what was acknowledged is never overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mobstore.bundles import MobStores, Stores
from mobstore.errors import WriteFailedError
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.runs import NEXT_RUN
from mobstore.tables import (
    COUNTERS,
    EVENTS,
    SPECS,
    STEP_LEDGER,
    CounterRow,
    SpecRow,
    StepLedgerRow,
)
from mobstore.testing.kit import case, refused, same
from mobstore.testing.samples import event, make_run, run_id
from mobstore.testing.scripts import loading, reading, writing
from mobstore.testing.subject import Subject
from mobstore.transaction import Add, Delete, DeleteRange, Engine, Put, Scan, Write


def _spec(name: str, revision: int = 1) -> SpecRow:
    return SpecRow(name, revision, "{}")


def _step(position: int, status: str = "failed") -> StepLedgerRow:
    return StepLedgerRow("run", position, "step", "ann", status, "null", "t")


async def _rows(engine: Engine) -> tuple[object, ...]:
    specs = await engine.read(reading(Scan(SPECS)))
    return list(specs), list(await engine.read(reading(Scan(STEP_LEDGER))))


async def _in_use(call: Awaitable[object], table: str, key: str, what: str) -> None:
    error = await refused(WriteFailedError, call, what)
    for name in (f"table {table} ", f" {key},", "nothing was written"):
        assert name in str(error), f"{what}: the error says {name.strip()!r}; it is {error}"


@case("engine.add.clash")
async def adds_new_rows_only(subject: Subject) -> None:
    """Adding a row whose key is taken fails the whole commit, by an error that names the key."""
    engine = (await subject.open()).engine
    first = (Add(SPECS, (_spec("a"), _spec("b"))), Add(STEP_LEDGER, [_step(0), _step(1)]))
    await engine.write(writing(*first))
    want = ([_spec("a"), _spec("b")], [_step(0), _step(1)])
    same(await _rows(engine), want, "rows that were added")
    clashes: dict[str, tuple[Write, ...]] = {
        "alone": (Add(SPECS, (_spec("b", 2),)),),
        "the very same row": (Add(SPECS, (_spec("b"),)),),
        "after others": (
            Put(SPECS, (_spec("a", 5),)), Delete(STEP_LEDGER, ("run", 0)),
            DeleteRange(Scan(STEP_LEDGER, ("run",))), Add(STEP_LEDGER, (_step(9),)),
            Add(SPECS, (_spec("c"), _spec("b", 2), _spec("d"))),
        ),
        "before others": (Add(SPECS, (_spec("b", 2),)), Put(SPECS, (_spec("c"),))),
        "put in the same commit": (Put(SPECS, (_spec("b", 2),)), Add(SPECS, (_spec("b", 3),))),
    }  # fmt: skip
    for what, writes in clashes.items():
        await _in_use(engine.write(writing(*writes)), "specs", "b", f"a clash, {what}")
        same(await _rows(engine), want, f"rows after a clash, {what}")
    twice = Add(SPECS, (_spec("c"), _spec("d"), _spec("c", 2)))
    await _in_use(engine.write(writing(twice)), "specs", "c", "the same key twice")
    await _in_use(
        engine.write(writing(Add(STEP_LEDGER, (_step(1, "completed"),)))),
        "step_ledger", "run, 1", "a clash of a key of two columns",
    )  # fmt: skip
    same(await _rows(engine), want, "rows in the end")


@case("engine.add.in-order")
async def adds_what_was_removed(subject: Subject) -> None:
    """What was removed before, also in the same commit, can be added, and is found everywhere."""
    engine = (await subject.open()).engine
    await engine.write(writing(Add(SPECS, (_spec("a"),)), Add(STEP_LEDGER, [_step(0), _step(1)])))
    await engine.write(
        writing(
            Delete(SPECS, ("a",)),
            Add(SPECS, (_spec("a", 2),)),
            DeleteRange(Scan(STEP_LEDGER, ("run",), after=0)),
            Add(STEP_LEDGER, (_step(1, "completed"),)),
            Put(SPECS, (_spec("a", 3),)),
        )
    )
    want = ([_spec("a", 3)], [_step(0), _step(1, "completed")])
    same(await _rows(engine), want, "rows that took the place of others")
    await engine.write(writing(Add(SPECS, ())))
    same(await _rows(engine), want, "rows after none was added")


@case("engine.add.alone")
async def fails_alone(subject: Subject) -> None:
    """Of commits that are made together only the one fails that adds what is there."""
    engine = (await subject.open()).engine
    await engine.write(writing(Add(SPECS, (_spec("taken"),))))
    calls = [
        engine.write(
            writing(
                Put(SPECS, (_spec(f"{n}"),)),
                Add(SPECS, (_spec("taken" if n % 3 == 1 else f"{n} more"),)),
            )
        )
        for n in range(12)
    ]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for n, end in enumerate(ended):
        kind = WriteFailedError if n % 3 == 1 else type(None)
        assert isinstance(end, kind), f"commit {n} of a group: want {kind.__name__}, got {end!r}"
    specs, _ = await _rows(engine)
    names = [f"{n}{more}" for n in range(12) if n % 3 != 1 for more in ("", " more")]
    same(specs, sorted(map(_spec, [*names, "taken"])), "rows of a group")


@case("engine.add.in-load")
async def loads_new_rows_only(subject: Subject) -> None:
    """A loading script that adds what is there is undone as a whole."""
    engine = (await subject.open()).engine
    await engine.write(writing(Add(SPECS, (_spec("b"),))))
    first = Add(SPECS, [_spec(f"a {n}") for n in range(50)])
    clash = loading(first, Add(STEP_LEDGER, (_step(0),)), Add(SPECS, (_spec("b", 2),)))
    await _in_use(engine.load(clash), "specs", "b", "a load with a clash")
    same(await _rows(engine), ([_spec("b")], []), "rows after it")
    twice = loading(first, Add(SPECS, (_spec("a 7", 2),)))
    await _in_use(engine.load(twice), "specs", "a 7", "a load that adds a row of its own again")
    same(await _rows(engine), ([_spec("b")], []), "rows after that")


# Counters that are behind ----------------------------------------------------------------------


async def _put_back(stores: MobStores, counter: str, value: int) -> None:
    await stores.engine.write(writing(Put(COUNTERS, (CounterRow(counter, value),))))


async def _appends(at: Stores) -> None:
    await at.runs.create_run(make_run(7))
    await at.events.append(event("again"))


@case("events.counter-behind")
async def keeps_events(subject: Subject) -> None:
    """Where the counter of cursors is behind, appending fails and overwrites nothing."""
    stores = await subject.open()
    await stores.events.append_batch([event(f"{n}") for n in range(1, 5)])
    log = await stores.events.replay_all()
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "append": lambda: stores.events.append(event("again")),
        "append_batch": lambda: stores.events.append_batch([event("again")] * 3),
        "an atomic call": lambda: stores.atomic(_appends),
    }
    for behind in (1, 2, 4):
        await _put_back(stores, NEXT_CURSOR, behind)
        for what, call in calls.items():
            await _in_use(call(), "events", f"{behind}", f"{what} at {behind}")
    await _put_back(stores, NEXT_CURSOR, 3)
    await _in_use(calls["append_batch"](), "events", "3", "a batch whose first cursor is taken")
    await stores.engine.write(writing(Delete(EVENTS, (3,))))
    await _in_use(calls["append_batch"](), "events", "4", "a batch whose second cursor is taken")
    same(await stores.events.replay_all(), [*log[:2], log[3]], "the log")
    same(await stores.runs.run_headers("mob"), [], "the runs of an atomic call that failed")
    await _put_back(stores, NEXT_CURSOR, 5)
    same((await stores.events.append(event())).cursor, 5, "a cursor after the counter was mended")


@case("runs.counter-behind")
async def keeps_runs_apart(subject: Subject) -> None:
    """Where the counter of runs is behind, creating a run fails: no two have one number."""
    stores = await subject.open()
    for n in (1, 2, 3):
        await stores.runs.create_run(make_run(n))
    for behind in (1, 3):
        await _put_back(stores, NEXT_RUN, behind)
        error = await refused(WriteFailedError, stores.runs.create_run(make_run(4)), "create_run")
        for name in ("table runs ", "the number 3", "nothing was written"):
            assert name in str(error), f"the error says {name!r}; it is {error}"
        await refused(WriteFailedError, stores.atomic(_appends), "an atomic call")
    same([one.run_id for one in await stores.runs.run_headers("mob")], [*map(run_id, (1, 2, 3))],
         "the runs")  # fmt: skip
    same(await stores.events.latest_cursor(), 0, "the log of an atomic call that failed")
    await _put_back(stores, NEXT_RUN, 4)
    await stores.runs.create_run(make_run(4))
    same(len(await stores.runs.run_headers("mob")), 4, "runs after the counter was mended")
