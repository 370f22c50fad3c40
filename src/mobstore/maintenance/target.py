"""The store that a copy or an import fills."""

from __future__ import annotations

from collections.abc import Sequence

from mobstore.errors import InternalError
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    META,
    NEXT_CURSOR,
    NEXT_RUN,
    REALM_PROFILES,
    RUNS,
    SPECS,
    R,
    Table,
)
from mobstore.scripts.transaction import Add, Commit, Get, Put, Scan, Script


def check_empty() -> Script[None]:
    """Refuse a store that holds anything but its identity, or whose cursors are not all free.

    Raises:
        InternalError: it does.
    """
    held = yield (
        Get(COUNTERS, (NEXT_CURSOR,)),
        Get(COUNTERS, (NEXT_RUN,)),
        Scan(SPECS, limit=1),
        Scan(REALM_PROFILES, limit=1),
        Scan(EVENTS, limit=1),  # for where the counters are missing
        Scan(RUNS, limit=1),
    )
    if any(held):
        raise InternalError("the target store is not empty; name a new one")
    return Commit(None)


def add_rows(table: Table[R], rows: Sequence[R]) -> Add[R] | Put[R]:
    """Add rows to an empty store; the identity takes the place of its own."""
    return Put(table, rows) if table is META else Add(table, rows)
