"""An error at any instruction leaves all of a commit or none in the memory engine."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeAlias, cast

import pytest

from mobstore import MobStores, WriteFailedError
from mobstore.engines import memory
from mobstore.engines.memory import MemoryEngine
from mobstore.scripts import memory_tables, sorted_rows
from mobstore.scripts.tables import (
    EVENTS,
    EVENTS_BY_TIME,
    META,
    SPECS,
    STEP_LEDGER,
    TABLES,
    SpecRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import Add, Delete, DeleteRange, Get, Put, Scan, Write
from mobstore.testing.samples import event, make_run, run_id, step, timestamp
from mobstore.testing.scripts import load_script, read_script, write_script

pytestmark = pytest.mark.slow

State: TypeAlias = dict[str, object]
Change: TypeAlias = Callable[[MobStores], Coroutine[Any, Any, object]]

# Who holds the lock in a `with` is left out: what is raised while that ends, which no signal can
# do, leaves it locked.
_OURS = {memory_tables.__file__, sorted_rows.__file__}
_HELPERS = {"_apply", "_recover", "_begin", "_run_at_once", "_slice", "answer", "make"}


@contextmanager
def interrupted(at: int, *, unit: str = "opcode") -> Generator[list[str]]:
    """Raise KeyboardInterrupt at the n-th instruction or line; note the place in the list."""
    left, where = at, list[str]()

    def trace(frame: FrameType, happened: str, _: object) -> Any:
        nonlocal left
        code = frame.f_code
        if code.co_filename not in _OURS and not (
            code.co_filename == memory.__file__ and code.co_name in _HELPERS
        ):
            return None
        frame.f_trace_opcodes = unit == "opcode"
        if happened == unit and not where:
            left -= 1
            if left < 0:
                where.append(f"{code.co_name}:{frame.f_lineno}")
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield where
    finally:
        sys.settrace(None)


def held(stores: MobStores) -> memory_tables.MemoryTables:
    return cast("memory_tables.MemoryTables", vars(stores.engine)["_tables"])


def state(stores: MobStores) -> State:
    """Return the contents of an engine, index by index, and of its caches."""
    asyncio.run(stores.engine.read(read_script(Get(SPECS, ("",)))))  # undoes an interrupted commit
    found: State = {}
    for table in TABLES:
        rows = held(stores).rows(table)
        if rows is None or not rows.by_key or table is META:  # each store has another one
            continue
        found[table.name] = dict(rows.by_key)
        for index in (table, *table.indexes):
            kept: Any = rows.index(index)
            assert kept._prefixes in (None, sorted(kept._lists))
            assert all(kept._lists.values()), "a list is empty"
            found[f"{table.name} {index.name}"] = {k: [*v] for k, v in kept._lists.items()}
    assert not held(stores).changes
    return found


async def prepared() -> MobStores:
    stores = MobStores(MemoryEngine(), clock=lambda: timestamp(0))
    await stores.events.append_batch([event(f"mob {n % 2}", at=timestamp(n % 4)) for n in range(9)])
    ledger = tuple(step(f"{n % 2}") for n in range(4))
    await stores.runs.create_run(make_run(1, step_ledger=ledger))
    await stores.runs.create_run(make_run(2, step_ledger=ledger))
    await stores.engine.read(read_script(Scan(EVENTS_BY_TIME)))  # has its prefixes sorted
    return stores


def rewriting(*writes: Write) -> Change:
    return lambda stores: stores.engine.write(write_script(*writes))


def a_step(position: int, step_id: str) -> StepLedgerRow:
    return StepLedgerRow(str(run_id(1)), position, step_id, "m", "failed", "null", "t")


CHANGES: dict[str, Change] = {
    "append": lambda stores: stores.events.append(event("new", at=timestamp(2))),
    "batch": lambda stores: stores.events.append_batch([event(at=timestamp(n)) for n in range(3)]),
    "delete": lambda stores: stores.runs.delete_run(run_id(1)),
    "range": lambda stores: stores.events.prune(timestamp(2)),
    "clear": lambda stores: stores.events.clear(),
    "step": lambda stores: stores.runs.append_step_entry(run_id(1), step("new")),
    "moved, twice, and gone": rewriting(
        Put(STEP_LEDGER, (a_step(1, "x"), a_step(1, "y"), a_step(3, "x"))),
        Delete(STEP_LEDGER, (str(run_id(1)), 1)),
        Delete(STEP_LEDGER, (str(run_id(1)), 2)),
        Put(STEP_LEDGER, (a_step(1, "z"),)),
    ),
    "load": lambda stores: stores.engine.load(
        load_script(Add(SPECS, (SpecRow("m", 1, "{}"),)), DeleteRange(Scan(EVENTS)))
    ),
}


@pytest.mark.parametrize(
    ("name", "unit", "many"),
    [
        *((name, "line", 10**9) for name in CHANGES),
        *((name, "line", 2) for name in CHANGES),
        *((name, "opcode", 10**9) for name in ("append", "step", "moved, twice, and gone")),
    ],
)
def test_all_or_nothing(name: str, unit: str, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MANY", many)
    monkeypatch.setattr(memory, "_PART", many)
    monkeypatch.setattr(memory, "_SLICE", 1e9)  # tracing is slow; do not yield meanwhile
    change, outcomes = CHANGES[name], set[str]()
    stores = asyncio.run(prepared())
    before = state(stores)
    asyncio.run(change(stores))
    after = state(stores)
    assert before != after
    for n in itertools.count():
        stores = asyncio.run(prepared())
        with interrupted(n, unit=unit) as where, suppress(KeyboardInterrupt):
            drive(change(stores))
        found = state(stores)
        assert found in (before, after), where
        outcomes.add("before" if found == before else "after")
        if not where:
            assert n > 25, "it was interrupted"
            break
    assert outcomes == {"before", "after"}


def test_an_undoing_that_is_interrupted_and_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_SLICE", 1e9)
    clashing = rewriting(
        Put(STEP_LEDGER, (a_step(1, "x"), a_step(9, "y"))),
        DeleteRange(Scan(EVENTS_BY_TIME, before=timestamp(2).sortable)),
        Add(STEP_LEDGER, (a_step(1, "z"),)),
    )
    stores = asyncio.run(prepared())
    before = state(stores)
    recoveries = 0
    for n in itertools.count():
        stores = asyncio.run(prepared())
        with (
            interrupted(n, unit="line") as where,
            suppress(KeyboardInterrupt, WriteFailedError),
        ):
            drive(clashing(stores))
        if held(stores).changes:  # the undo was interrupted; interrupt the next one, too
            recoveries += 1
            with interrupted(recoveries, unit="line") as again, suppress(KeyboardInterrupt):
                drive(stores.engine.read(read_script(Get(SPECS, ("",)))))
            assert again or not held(stores).changes
        assert state(stores) == before, where
        if not where:
            break
    assert recoveries > 30


def drive(call: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that never waits, or only yields, without an event loop."""
    try:
        while True:
            call.send(None)
    except StopIteration:
        return
    finally:
        call.close()
