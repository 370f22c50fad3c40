"""Tabs with a mobstore of format 1, and what an upgrade makes of its rows."""

from __future__ import annotations

import sys
from typing import Any

from browser.inside.handles import held
from mobstore.scripts import tables
from mobstore.scripts.transaction import Put, Scan
from mobstore.testing.samples import run_id, timestamp
from mobstore.testing.scripts import read_script, write_script

_LATER = {tables.EVENT_KEYS, tables.CONSUMERS, tables.RUN_CLAIMS, tables.CLAIMS}
_STATUSES = ("pending", "running", "completed", "failed", "canceled")
_NAMES = ("mob", "", "\uffff\U00010000\0", "\U0001f600")
_NUMBERS = (1, 2**53 - 1, 2**53, 2**63 - 2)
FUTURE = "9000-01-01T00:00:00.000000000Z"


def become() -> None:
    """Know no later format than 1, in a tab that has not opened a store yet."""
    assert "mobstore.engines.indexeddb" not in sys.modules
    tables.FORMAT = 1
    tables.TABLES = tuple(table for table in tables.TABLES if table not in _LATER)
    tables.EVENTS.indexes.remove(tables.EVENTS_BY_TYPE)


def runs(number: int) -> list[tables.RunRow]:
    """Return runs of every status with odd names and numbers, one of the future, and others."""
    odd = [(mob, status) for mob in _NAMES for status in _STATUSES]
    found = [
        tables.RunRow(
            str(run_id(n)), _NUMBERS[n] if n < len(_NUMBERS) else 10 + n, mob, f"{mob}\uffff",
            status, "null", timestamp(-n).sortable, "", 4,
        )
        for n, (mob, status) in enumerate([*odd, *([("mob", "pending")] * number)])
    ]  # fmt: skip
    return [found[0]._replace(created_at=FUTURE), *found[1:]]


async def fill(name: str, number: int) -> None:
    """Write runs into a database of format 1."""
    rows = runs(number)
    states = [tables.RunStateRow(row.run_id, '{"phase":"x"}') for row in rows]
    engine = held(name).engine
    await engine.write(write_script(Put(tables.RUNS, rows), Put(tables.RUN_STATES, states)))


async def rows(name: str, table: str) -> list[Any]:
    """Return all rows of a table."""
    (found,) = (one for one in tables.TABLES if one.name == table)
    return [list(row) for row in await held(name).engine.read(read_script(Scan(found)))]


async def by_type(name: str, kind: str) -> list[int]:
    """Find events by the index that format 1 lacks; return their cursors."""
    scan = Scan(tables.EVENTS_BY_TYPE, (kind,))
    return [row.cursor for row in await held(name).engine.read(read_script(scan))]
