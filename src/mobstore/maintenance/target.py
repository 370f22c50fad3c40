"""The store that a copy or an import fills."""

from __future__ import annotations

from collections.abc import Sequence

from mobstore.errors import InternalError
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENTS,
    META,
    NEXT_CURSOR,
    NEXT_EPOCH,
    NEXT_RUN,
    REALM_PROFILES,
    RUNS,
    SPECS,
    R,
    Table,
)
from mobstore.scripts.transaction import Add, Commit, Get, Put, Scan, Script


def check_empty() -> Script[None]:
    """Check that a store holds nothing but its identity, and has assigned no cursor.

    Raises:
        InternalError: the store is not empty.
    """
    found = yield (
        Get(COUNTERS, (NEXT_CURSOR,)),
        Get(COUNTERS, (NEXT_RUN,)),
        Get(COUNTERS, (NEXT_EPOCH,)),
        Scan(SPECS, limit=1),
        Scan(REALM_PROFILES, limit=1),
        Scan(EVENTS, limit=1),  # in case a damaged store has lost its counters
        Scan(RUNS, limit=1),
        Scan(CLAIMS, limit=1),
        Scan(CONSUMERS, limit=1),
    )
    if any(found):
        raise InternalError("the target store is not empty; name a new one")
    return Commit(None)


def add_rows(table: Table[R], rows: Sequence[R]) -> Add[R] | Put[R]:
    """Return the write of rows to an empty store; a moved identity replaces the store's own."""
    return Put(table, rows) if table is META else Add(table, rows)
