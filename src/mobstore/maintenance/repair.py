"""Repairs that need no guess: counters, the identity, and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast
from uuid import uuid4

from mobstore.codec.runs import unclaimed
from mobstore.maintenance.dependent_rows import DEPENDENT, DependentRow, mismatch
from mobstore.maintenance.row_check import check_row, is_readable
from mobstore.model.json import I64_MAX
from mobstore.scripts.paging import page
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENTS,
    IDENTITY,
    META,
    NEXT_CURSOR,
    NEXT_EPOCH,
    NEXT_RUN,
    RUN_CLAIMS,
    RUNS,
    RUNS_BY_NUMBER,
    CounterRow,
    Index,
    Key,
    MetaRow,
    Row,
    Table,
)
from mobstore.scripts.transaction import (
    Commit,
    Delete,
    Engine,
    Get,
    Now,
    Put,
    Scan,
    Script,
    ScriptPart,
    Write,
    fetch,
)

_ROWS = 64  # of a transaction
_PAGE = 256  # rows with short columns

NUMBERED: Mapping[str, str] = {NEXT_CURSOR: "cursor", NEXT_RUN: "number", NEXT_EPOCH: "epoch"}
"""The column of the numbers that each counter assigns."""

_BY_NUMBER: Mapping[str, Index[Any]] = {NEXT_CURSOR: EVENTS, NEXT_RUN: RUNS_BY_NUMBER}
"""Indexes in the order of the numbers."""
_IN_OTHER_ORDERS: Mapping[str, tuple[Table[Any], ...]] = {
    NEXT_CURSOR: (CONSUMERS,),  # a consumer skips events up to its cursor
    NEXT_EPOCH: (RUN_CLAIMS, CLAIMS),
}
"""Tables that hold the numbers in another order."""


async def repair_rows(engine: Engine, rows: Sequence[tuple[Table[Any], Key]]) -> None:
    """Repair rows as far as possible, a few in each transaction.

    Each transaction reads its rows again, since others may have changed them.
    """
    for start in range(0, len(rows), _ROWS):
        batch = rows[start : start + _ROWS]
        await engine.write(partial(_repair, batch, str(uuid4())))


def _repair(rows: Sequence[tuple[Table[Any], Key]], identity: str) -> Script[None]:
    """Repair rows; `identity` is for a store that has none."""
    found = yield tuple(Get(table, key) for table, key in rows)
    writes: list[Write] = []
    for (table, key), row in zip(rows, found, strict=True):
        if table is META and not _has_identity(row):
            writes.append(Put(META, (MetaRow(IDENTITY, identity),)))
        elif table is COUNTERS:
            counter, repaired = yield from read_counter(cast("str", key[0]))
            if counter != repaired:
                writes.append(Put(COUNTERS, (repaired,)))
        elif table in DEPENDENT:
            writes += yield from _repair_dependent(table, key, row)
        elif row is not None:
            writes.append(Put(table, (check_row(table, row).repaired,)))
    return Commit(None, tuple(writes))


def _repair_dependent(table: Table[Any], key: Key, row: Row | None) -> ScriptPart[Sequence[Write]]:
    """Return the writes that repair a row which repeats another, or add a missing row of claims."""
    if row is None:
        if table is not RUN_CLAIMS:
            return ()
        run, now = yield from fetch(Get(RUNS, key), Now())
        claim = None if run is None or not is_readable(RUNS, run) else unclaimed(run, now)
        return () if claim is None else (Put(RUN_CLAIMS, (claim,)),)
    parent = DEPENDENT[table]
    key_of_parent = table.getter(parent.key)(row)
    found = mismatch(cast("DependentRow", row), (yield from fetch(Get(parent, key_of_parent))))
    if found is None:
        return ()
    return (Delete(table, key) if found.repaired is None else Put(table, (found.repaired,)),)


def _has_identity(row: MetaRow | None) -> bool:
    """Return whether the row holds an identity, if necessary after a repair."""
    return row is not None and not check_row(META, check_row(META, row).repaired).faults


def read_counter(name: str) -> ScriptPart[tuple[CounterRow, CounterRow]]:
    """Return a counter as it is stored, and as it should be: above all numbers in use."""
    counter = yield from fetch(Get(COUNTERS, (name,)))
    least = CounterRow(name, 1 + (yield from _last_number(name)))
    if counter is None:
        return CounterRow(name, 1), least
    if type(counter.value) is not int:
        return least, least  # its value is unknown, so it cannot be compared
    return counter, max(counter, least)


def _last_number(name: str) -> ScriptPart[int]:
    """Return the last number that a counter has assigned, as far as rows show; 0: none."""
    column = NUMBERED[name]
    last = 0
    if name in _BY_NUMBER:
        rows = yield from fetch(Scan(_BY_NUMBER[name], before=I64_MAX, limit=1, backwards=True))
        last = max((getattr(row, column) for row in rows), default=0)
    for table in _IN_OTHER_ORDERS.get(name, ()):
        after: Key | None = None
        while rows := (yield from page(table, after, _PAGE)):
            after = table.getter(table.key)(rows[-1])
            numbers = [getattr(row, column) for row in rows]
            last = max(last, *(n for n in numbers if type(n) is int and n < I64_MAX), 0)
    return last
