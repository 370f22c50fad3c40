"""Random rows, reads and writes on the real tables, with few values, so that scripts interact."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, cast

from mobstore.scripts.tables import (
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    FRAMES,
    LOOP_ITERATIONS,
    LOOP_STEP_OUTPUTS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    CounterRow,
    EventRow,
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
    Put,
    Read,
    Scan,
    Write,
)

T = TypeVar("T")

# Text that engines may order, cut or change: by UTF-16 U+10000 comes before U+E000 and U+FFFF.
TEXTS = (
    "", "a", "b", "a\0", "a\0b", "\0", "B", "a~", "\ue000", "\uffff", "\uffff\0", "\uffff\uffff",
    "\U00010000", "\U0010ffff", "a\U0001f600", "a\uff5e", "\uffff\U00010000", "\u00e9", "e\u0301",
    "'\"", "\u2028",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 3, 9, 10, 255, 2**31, 2**32, 2**53 - 2, 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2,
    2**62, 2**63 - 2, 2**63 - 1,
)  # fmt: skip
OTHERS = ("null", "{}", '"\uffff\U00010000"', "\uffff\0", "", "\U0001f600", "a\0b", '\\u0000"')
BATCH, LARGE_BATCH = 300, 4200  # rows; engines split batches at 256, 1000 and 4096

_TABLES: tuple[Table[Any], ...] = (
    EVENTS, RUNS, LOOP_STEP_OUTPUTS, STEP_LEDGER, ROOT_STEP_OUTPUTS, COUNTERS, RUN_STATES, FRAMES,
    LOOP_ITERATIONS, REALM_PROFILES, RUN_CLAIMS, EVENT_KEYS,
)  # fmt: skip


class Pool:
    """The values of one scenario."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(f"pool {seed}")
        self.texts = chance.sample(TEXTS, 4)
        self.numbers = chance.sample(NUMBERS, 4)
        first = chance.choice(
            (EVENTS, RUNS, LOOP_STEP_OUTPUTS, RUN_CLAIMS)
        )  # these have the most indexes
        others = [table for table in _TABLES if table is not first]
        self.tables: list[Table[Any]] = [first, *chance.sample(others, 3)]


class Choices:
    """Random choices of one script.

    Attributes:
        chance: the random generator.
        seen: rows of answers; their keys are likely to be chosen again.
    """

    def __init__(self, pool: Pool, seed: str) -> None:
        self.chance = random.Random(seed)
        self.pool = pool
        self.seen: list[tuple[Table[Any], Row]] = []
        self.missed: list[tuple[Table[Any], Key]] = []

    def odds(self, percent: int) -> bool:
        return self.chance.random() * 100 < percent

    def one(self, choices: Sequence[T]) -> T:
        return self.chance.choice(choices)

    def note(self, asked: Sequence[Read | Write], answers: Sequence[Any]) -> None:
        """Remember found rows and missing keys."""
        for read, answer in zip(asked, answers, strict=True):
            if isinstance(read, Get):
                if answer is None and read.key[0] != "number" and read.table is not SPECS:
                    self.missed.append((read.table, read.key))
                elif answer is not None:
                    self.seen.append((read.table, answer))
            elif isinstance(read, Scan):
                some: Sequence[Row] = [*answer[:2], *answer[-1:]]
                self.seen += [(read.index.table, row) for row in some]

    # Reads ---------------------------------------------------------------------------------------

    def reads(self, most: int = 4) -> list[Read]:
        return [self.read() for _ in range(self.chance.randint(0, most))]

    def read(self) -> Read:
        table = SPECS if self.odds(4) else self.one(self.pool.tables)
        kind = self.chance.randrange(10)
        if kind < 4:
            return Get(table, self.key(table))
        if kind < 5:
            return Count(self.scan(table))
        scan = self.scan(table)
        scan.limit = self.one((None, None, None, 0, 1, 1, 2, 2, 3, 4, 5, 7, 256, 5000))
        scan.backwards = self.odds(40)
        return scan

    def scan(self, table: Table[Any]) -> Scan[Any]:
        """Return a scan without a limit, with a prefix of any length."""
        index = self.one((table, *table.indexes))
        columns = index.sorted_by
        like = self.row(table)
        given = self.one((0, 0, *range(len(columns) + 1), len(index.prefix), len(index.prefix)))
        scan = Scan(index, table.getter(columns[:given])(like) if given else ())
        if given < len(columns):
            if self.odds(35):
                scan.after = self.value(table, columns[given])
            if self.odds(35):
                scan.before = self.value(table, columns[given])
        return scan

    # Values --------------------------------------------------------------------------------------

    def value(self, table: Table[Any], column: str) -> Value:
        """Return a value of a column; columns by which other scripts find rows have few values."""
        if table.types[table.columns.index(column)] is int:
            return self.one(self.pool.numbers)
        if column not in _finding(table):
            return self.one(OTHERS)
        text = self.one(self.pool.texts)
        return f"c{text}" if table is COUNTERS else text

    def row(self, table: Table[Any]) -> Row:
        seen = [row for of, row in self.seen if of is table]
        fields = {column: self.value(table, column) for column in table.columns}
        if seen and self.odds(50):
            like = self.one(seen)
            kept = table.key if self.odds(60) else table.columns[:-1]
            fields |= {column: getattr(like, column) for column in kept}
        return cast("Row", table.row(*fields.values()))

    def key(self, table: Table[Any]) -> Key:
        return table.getter(table.key)(self.row(table))

    # Writes --------------------------------------------------------------------------------------

    def writes(self, most: int = 4) -> list[Write]:
        writes: list[Write] = []
        for _ in range(self.chance.randint(0, most)):
            writes += self._write(self.one(self.pool.tables))
        return writes

    def _write(self, table: Table[Any]) -> list[Write]:
        kind = self.chance.randrange(12)
        if kind < 6:
            return [Put(table, self._rows(table))]
        if kind < 7:
            return [Delete(table, self._own_key(table))]
        if kind < 8:
            row = self._own_row(table)  # deleted by its key and added again
            return [Delete(table, table.getter(table.key)(row)), Add(table, (row,))]
        if kind < 10:
            fresh = [key for of, key in self.missed if of is table]
            return [self.add(table, self.one(fresh))] if fresh else []
        scan = self._removable(table)
        if kind < 11:
            return [DeleteRange(scan)]
        # Rows are put before their range is deleted, and keys of it are put again.
        again = [row for row in self._rows(table) if _within(scan, row)]
        before: list[Write] = [Put(table, (row,)) for row in again[:2]]
        after: list[Write] = [Put(table, tuple(again[1:]))] if again[1:] else []
        return [*before, DeleteRange(scan), *after]

    def add(self, table: Table[Any], key: Key) -> Write:
        """Add a row with a key."""
        fields = {column: self.value(table, column) for column in table.columns}
        fields |= dict(zip(table.key, key, strict=True))
        return Add(table, (cast("Row", table.row(*fields.values())),))

    def clash(self) -> list[Write]:
        """Return an `Add` of a row that was found, if there is one that may be written."""
        mine = [(t, row) for t, row in self.seen if t in self.pool.tables and _is_free(t, row)]
        if not mine:
            row = self._own_row(table := self.one(self.pool.tables))
            return [Put(table, (row,)), Add(table, (row,))]
        table, row = self.one(mine)
        if self.odds(30):
            other = self._own_row(table)
            return [Add(table, (other, row))]
        return [Add(table, (row,))]

    def batch(self, rows: int) -> list[Write]:
        """Return this many rows at once, all of a few runs and mobs."""
        start = self.one((100, 2**53 - rows // 2))
        texts = self.pool.texts
        return [
            Put(
                EVENTS,
                [
                    EventRow(start + n, self.one(texts), texts[n % 2], "t", texts[n % 3], "null")
                    for n in range(rows)
                ],
            )
        ]

    def _rows(self, table: Table[Any]) -> tuple[Row, ...]:
        return tuple(self._own_row(table) for _ in range(self.one((1, 1, 1, 2, 3, 5))))

    def _own_row(self, table: Table[Any]) -> Row:
        """Return a row that does not take part in numbering."""
        while True:
            row = self.row(table)
            if _is_free(table, row):
                return row

    def _own_key(self, table: Table[Any]) -> Key:
        return table.getter(table.key)(self._own_row(table))

    def _removable(self, table: Table[Any]) -> Scan[Any]:
        if table is not COUNTERS:
            return self.scan(table)
        after, before = (f"c{self.one(self.pool.texts)}" for _ in range(2))
        if self.odds(50):
            return Scan(COUNTERS, (after,))
        return Scan(COUNTERS, after=self.one(("c", after)), before=self.one(("d", before)))


@cache
def _finding(table: Table[Any]) -> set[str]:
    return {*table.key, *(column for index in table.indexes for column in index.sorted_by)}


def _is_free(table: Table[Any], row: Row) -> bool:
    if table is SPECS:
        return False
    return not isinstance(row, CounterRow) or row.name.startswith("c")


def _within(scan: Scan[Any], row: Row) -> bool:
    return all(
        getattr(row, column) == value
        for column, value in zip(scan.index.sorted_by, scan.prefix, strict=False)
    )
