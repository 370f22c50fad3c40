"""Repairs that need no guess: counters, the identity, and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast
from uuid import uuid4

from mobstore.maintenance.row_check import check_row
from mobstore.model.json import I64_MAX
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    IDENTITY,
    META,
    NEXT_CURSOR,
    NEXT_RUN,
    RUNS_BY_NUMBER,
    CounterRow,
    Index,
    Key,
    MetaRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Engine, Get, Put, Scan, Script, ScriptPart, fetch

_ROWS = 64  # of a transaction

NUMBERED: Mapping[str, tuple[Index[Any], str]] = {
    NEXT_CURSOR: (EVENTS, "cursor"),
    NEXT_RUN: (RUNS_BY_NUMBER, "number"),
}
"""The rows that each counter numbers, as an index in the order of the numbers, and their column."""


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
    puts: list[Put[Any]] = []
    for (table, key), row in zip(rows, found, strict=True):
        if table is META and not _has_identity(row):
            puts.append(Put(META, (MetaRow(IDENTITY, identity),)))
        elif table is COUNTERS:
            counter, repaired = yield from read_counter(cast("str", key[0]))
            if counter != repaired:
                puts.append(Put(COUNTERS, (repaired,)))
        elif row is not None:
            puts.append(Put(table, (check_row(table, row).repaired,)))
    return Commit(None, tuple(puts))


def _has_identity(row: MetaRow | None) -> bool:
    """Return whether the row holds an identity, if necessary after a repair."""
    return row is not None and not check_row(META, check_row(META, row).repaired).faults


def read_counter(name: str) -> ScriptPart[tuple[CounterRow, CounterRow]]:
    """Return a counter as it is stored, and as it should be: above all numbers in use."""
    index, column = NUMBERED[name]
    counter, last = yield from fetch(
        Get(COUNTERS, (name,)), Scan(index, before=I64_MAX, limit=1, backwards=True)
    )
    least = CounterRow(name, 1)
    if last:
        least = CounterRow(name, getattr(last[0], column) + 1)
    if counter is None:
        return CounterRow(name, 1), least
    if type(counter.value) is not int:
        return least, least  # its value is unknown, so it cannot be compared
    return counter, max(counter, least)
