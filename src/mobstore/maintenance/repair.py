"""Repair of what can be mended without guessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast
from uuid import uuid4

from mobstore.maintenance.row_check import check_row
from mobstore.model.json import I64_MAX
from mobstore.scripts.paging import Asking
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
from mobstore.scripts.transaction import Commit, Engine, Get, Put, Scan, Script, fetch

_ROWS = 64  # repaired at once

COUNTED: Mapping[str, tuple[Index[Any], str]] = {
    NEXT_CURSOR: (EVENTS, "cursor"),
    NEXT_RUN: (RUNS_BY_NUMBER, "number"),
}
"""What each counter numbers, and in which column."""


async def repair_rows(engine: Engine, rows: Sequence[tuple[Table[Any], Key]]) -> None:
    """Mend rows as far as they can be, some at a time, each time in one transaction."""
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        await engine.write(partial(_repair, some, str(uuid4())))


def _repair(rows: Sequence[tuple[Table[Any], Key]], identity: str) -> Script[None]:
    """Mend these rows as far as they can be; a store without identity gets this one."""
    found = yield tuple(Get(table, key) for table, key in rows)
    puts: list[Put[Any]] = []
    for (table, key), row in zip(rows, found, strict=True):
        if table is META and not _is_identity(row):
            puts.append(Put(META, (MetaRow(IDENTITY, identity),)))
        elif table is COUNTERS:
            counter, due = yield from counter_and_least(cast("str", key[0]))
            if counter != due:
                puts.append(Put(COUNTERS, (due,)))
        elif row is not None:
            puts.append(Put(table, (check_row(table, row).repaired,)))
    return Commit(None, tuple(puts))


def _is_identity(row: MetaRow | None) -> bool:
    """Whether a store has an identity that can be read, if need be after a repair."""
    return row is not None and not check_row(META, check_row(META, row).repaired).faults


def counter_and_least(name: str) -> Asking[tuple[CounterRow, CounterRow]]:
    """A counter, and what it must be at least for all numbers to be below it."""
    index, column = COUNTED[name]
    counter, last = yield from fetch(
        Get(COUNTERS, (name,)), Scan(index, before=I64_MAX, limit=1, backwards=True)
    )
    following = CounterRow(name, getattr(last[0], column) + 1 if last else 1)
    if counter is None:
        return CounterRow(name, 1), following
    if type(counter.value) is not int:
        return following, following  # which value it had cannot be known
    return counter, max(counter, following)
