"""Which locks a transaction takes, from its reads and writes alone.

PostgreSQL's advisory locks belong to the database, and end with the transaction. A lock is named by
a *space* and a value:

* `run` and its id, for the tables whose first column is `run_id`: all of a run's rows;
* the table and the first column of the key, for the other tables;
* `counters` and `next_cursor` for all events and their keys, and for adding and removing runs and
  reading their numbers `counters` and `next_run`: new rows are numbered under the lock of their
  counter;
* `counters` and `next_epoch` for finding the first run to claim, and the runs of a holder: claims
  are made under it.

The last two kinds of scans find rows without their own locks, so they may miss what another
transaction commits meanwhile. A script that claims a run reads it again by its key, and starts
afresh if it has changed. Other scans of claims on runs lock the whole store.

Numbers of runs are read by counting runs, and by finding the last ones. The latter answers with
whole runs, but scripts use only their numbers. A script never puts a run that does not exist.

Whatever else a transaction reads, such as all runs, locks the whole store. Every transaction takes
the lock of the store first, shared or exclusively, and then its other locks in order. It holds them
until it ends, and takes them before it reads what they cover. So transactions are serializable,
also for rows that do not exist yet, and none has to be repeated.

A lock that a transaction needs later, after its first reads, is never waited for, because waiting
might deadlock. If it is not free, the transaction begins again with all locks it is known to need.

Processes with different versions of mobstore share a store, so other locks, or other names of them,
need a new format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

from mobstore.scripts.tables import (
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    NEXT_CURSOR,
    NEXT_EPOCH,
    NEXT_RUN,
    RUN_CLAIMS,
    RUN_CLAIMS_BY_HOLDER,
    RUNS,
    RUNS_BY_NUMBER,
    Index,
    Key,
    Row,
    Table,
    Value,
)
from mobstore.scripts.transaction import (
    Add,
    Count,
    Delete,
    DeleteRange,
    Get,
    Now,
    Put,
    Read,
    Scan,
    Write,
)

Lock: TypeAlias = tuple[str, Value]
"""A space and a value."""

STORE: Lock = ("store", "")
"""The lock that covers all others, if it is exclusive."""

_CURSORS: Lock = (COUNTERS.name, NEXT_CURSOR)
_EPOCHS: Lock = (COUNTERS.name, NEXT_EPOCH)
_NUMBERS: Lock = (COUNTERS.name, NEXT_RUN)
_MOST = 200  # locks of one transaction; with more it locks the whole store


class Locks:
    """The locks of one transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._locks: set[Lock] = set()

    def add(self, asked: Iterable[Read | Write]) -> set[Lock]:
        """Add the locks that reads and writes need; return those that were missing."""
        if self.whole:
            return set()
        missing = {lock for one in asked for lock in _locks_of(one)} - self._locks
        self._locks |= missing
        if self.whole or len(self._locks) > _MOST:
            self.take_whole()
            return {STORE}
        return missing

    def take_whole(self) -> None:
        """Lock the whole store; then no other lock is needed."""
        self._locks = {STORE}

    @property
    def whole(self) -> bool:
        """True if the whole store is locked."""
        return STORE in self._locks

    @property
    def store(self) -> int:
        """The number of the store's lock."""
        return self.number(STORE)

    def others(self) -> list[int]:
        """Return the numbers of the other locks, in the order in which they are taken."""
        return sorted(self.number(lock) for lock in self._locks if lock != STORE)

    def number(self, lock: Lock) -> int:
        """Return a lock as PostgreSQL names it: 64 bits. A collision costs only time."""
        named = "\0".join((self._schema, *map(str, lock)))
        return _cached_hash(named) if len(named) <= _LONGEST_CACHED else _hash(named)


def _hash(named: str) -> int:
    return int.from_bytes(blake2b(named.encode(), digest_size=8).digest(), signed=True)


_cached_hash = lru_cache(4096)(_hash)
_LONGEST_CACHED = 256  # characters; an id may have 64 KiB


def _locks_of(asked: Read | Write) -> Iterator[Lock]:
    if isinstance(asked, (Add, Put)):
        yield from _locks_of_rows(asked)
    elif isinstance(asked, (Get, Delete)):
        table: Table[Any] = asked.table
        yield _lock_of_key(table, asked.key)
        if table is RUNS and isinstance(asked, Delete):
            yield _NUMBERS
    elif not isinstance(asked, Now):
        scan = asked if isinstance(asked, Scan) else asked.scan
        index: Index[Any] = scan.index
        if index.table is RUNS and isinstance(asked, DeleteRange):
            yield _NUMBERS
        if index.table in {EVENTS, EVENT_KEYS}:
            yield _CURSORS
        elif _finds_work(asked):
            yield _EPOCHS
        elif index is RUNS_BY_NUMBER and (isinstance(asked, Count) or _finds_last(asked)):
            yield _NUMBERS
        elif scan.prefix and index.sorted_by[0] == index.table.key[0]:
            yield _lock_of_key(index.table, scan.prefix)
        else:
            yield STORE


def _finds_last(asked: Read | DeleteRange) -> bool:
    return isinstance(asked, Scan) and asked.backwards and asked.limit is not None


def _finds_work(asked: Read | DeleteRange) -> bool:
    if not isinstance(asked, Scan) or asked.index.table is not RUN_CLAIMS:
        return False
    first = asked.limit == 1 and asked.index is not RUN_CLAIMS
    return first or (asked.index is RUN_CLAIMS_BY_HOLDER and bool(asked.prefix))


def _locks_of_rows(write: Add[Any] | Put[Any]) -> Iterator[Lock]:
    table: Table[Any] = write.table
    if table in {EVENTS, EVENT_KEYS}:
        yield _CURSORS
        return
    if table is RUNS and isinstance(write, Add):
        yield _NUMBERS
    key_of = table.getter(table.key)
    rows: Iterable[Row] = write.rows
    for row in rows:
        yield _lock_of_key(table, key_of(row))


def _lock_of_key(table: Table[Any], key: Key) -> Lock:
    if table in {EVENTS, EVENT_KEYS}:
        return _CURSORS
    space = "run" if table.key[0] == "run_id" else table.name
    return space, key[0]
