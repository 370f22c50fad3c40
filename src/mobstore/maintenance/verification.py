"""Verify a whole store: find what no store would have written, and repair what can be repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mobstore.errors import ReadFailedError
from mobstore.maintenance.consistency import FILE_ORDER, TOO_FEW_OUTPUTS, ConsistencyCheck
from mobstore.maintenance.progress import Meter, Progress, cancellable
from mobstore.maintenance.repair import COUNTED, counter_and_least, repair_rows
from mobstore.maintenance.row_check import check_row, is_well_typed
from mobstore.scripts.paging import FIRST_LIMIT, Asking, next_limit, page, size_of
from mobstore.scripts.tables import (
    COUNTERS,
    IDENTITY,
    LOOP_STEP_OUTPUTS,
    META,
    RUN_STATES,
    RUNS,
    RUNS_BY_NUMBER,
    TABLES,
    CounterRow,
    Index,
    Key,
    MetaRow,
    Row,
    Table,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, fetch
from mobstore.stores.mob_stores import MobStores, check_stores


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a store that no store would have written.

    Attributes:
        table: where; "" for what lies beneath the tables, in the medium.
        key: which row, by the columns of its key; () for none alone.
        what: what is wrong, in words that hold nothing of what was stored.
        repairable: whether it can be mended without guessing.
        repaired: whether it was mended.
    """

    table: str
    key: Key
    what: str
    repairable: bool = False
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        rows: how many rows each table has, by its name; empty if the medium is too damaged.
        problems: what is wrong, by table and key; at most 10,000. If there are more, the last one
            says how many: mend those, and look again.
    """

    rows: Mapping[str, int]
    problems: tuple[Problem, ...]

    @property
    def left(self) -> tuple[Problem, ...]:
        """The problems that were not mended; the store is sound if there are none."""
        return tuple(problem for problem in self.problems if not problem.repaired)


# By their numbers, runs that share one come one after the other.
_ORDER = tuple(RUNS_BY_NUMBER if index is RUNS else index for index in FILE_ORDER)


_MOST_PROBLEMS = 10_000
_MOST_CHARACTERS = 2**24  # of all their keys, which in a damaged store may be of any length


async def verify(
    stores: MobStores, *, repair: bool = False, progress: Progress | None = None
) -> Verification:
    """Look for what no store would have written, in a whole store as it stands at one moment.

    Every row must be what a store would have written; counters must be ahead, ledgers without
    gaps; all that belongs to a run must have that run, and every run its state. In SQLite the file
    itself is looked through as well.

    It needs memory for about a thousand rows, and for the 10,000 problems that it lists. Of more
    than a thousand rows at one position of a run the others are not looked at.

    Args:
        stores: what to look through; on any engine. Others may go on writing to it.
        repair: whether to mend what can be mended without guessing: counters that are behind,
            an identity that is missing or cannot be read, which is made anew, columns that do not
            repeat what the row's JSON says, JSON in another form than that in which a store
            writes it. Some rows at a time, each time in one transaction, in which they are
            looked at anew.
        progress: told how far the looking is, every few hundred rows.

    Raises:
        ReadFailedError: the store's medium failed, and does not know of any damage.
        WriteFailedError: the medium refused a repair. What was mended before stays mended.
        InternalError: an argument is of another type.
    """
    check_stores(stores)
    damages = tuple(Problem("", (), what) for what in await stores.engine.faults())
    try:
        with cancellable(progress) as report:
            found = await stores.engine.read(lambda: verify_script(report))
    except ReadFailedError:
        if not damages:
            raise
        return Verification({}, damages)
    problems = damages + found.problems
    if repair:
        tables = {table.name: table for table in TABLES}
        rows = dict.fromkeys((tables[p.table], p.key) for p in problems if p.repairable)
        await repair_rows(stores.engine, list(rows))
        problems = tuple(replace(p, repaired=p.repairable) for p in problems)
    return Verification(found.rows, problems)


def verify_script(progress: Progress) -> Script[Verification]:
    """Look through everything."""
    counts = yield tuple(Count(Scan(table)) for table in TABLES)
    looking = _Looking(Meter(progress, sum(counts)))
    for index in _ORDER:
        yield from looking.table(index)
    rows = {table.name: count for table, count in zip(TABLES, counts, strict=True)}
    return Commit(Verification(rows, looking.problems()))


class _Looking:
    """One attempt at looking through a store; an engine that begins anew makes another one."""

    def __init__(self, meter: Meter) -> None:
        self._problems: list[Problem] = []
        self._characters = 0
        self._more = 0
        self._meter = meter
        self._checks = ConsistencyCheck()

    def problems(self) -> tuple[Problem, ...]:
        """All that was found, or as much as may be listed and how many more there are."""
        if self._more:
            what = f"there are {self._more:,} more problems than are listed"
            return (*self._problems, Problem("", (), what))
        return tuple(self._problems)

    def table(self, index: Index[Any]) -> Asking[None]:
        """Look through a table, after those before it."""
        place = index.table.getter(index.sorted_by)
        after: Key | None = None
        limit = FIRST_LIMIT
        if index.table is META:
            yield from self._identity()
        elif index.table is COUNTERS:
            yield from self._counters()
        while rows := (yield from page(index, after, limit)):
            after, limit = place(rows[-1]), next_limit(limit, len(rows), size_of(rows))
            yield from self._rows(index, rows)
            self._meter.add(len(rows))
        if index.table is LOOP_STEP_OUTPUTS:
            for run_id in self._checks.short:
                self._list(Problem(RUNS.name, (run_id,), TOO_FEW_OUTPUTS))

    def _rows(self, index: Index[Any], rows: Sequence[Row]) -> Asking[None]:
        table = index.table
        for row in rows:
            for what, repairable in check_row(table, row).faults:
                self._found(table, row, what, repairable=repairable or _is_identity(table, row))
        rows = [row for row in rows if is_well_typed(table, row)]
        if table is COUNTERS:
            return  # seen with what they number
        found = yield from self._checks.faults(index, rows)
        for place in sorted(found):
            self._found(table, rows[place], found[place])
        if table is RUNS:
            yield from self._states(rows)

    def _found(self, table: Table[Any], row: Row, what: str, *, repairable: bool = False) -> None:
        self._list(Problem(table.name, table.getter(table.key)(row), what, repairable))

    def _list(self, problem: Problem) -> None:
        characters = sum(len(part) for part in problem.key if isinstance(part, str | bytes))
        characters += self._characters
        if len(self._problems) < _MOST_PROBLEMS and characters <= _MOST_CHARACTERS:
            self._problems.append(problem)
            self._characters = characters
        else:
            self._more += 1

    def _identity(self) -> Asking[None]:
        """See that the store has an identity; what it is comes with the other rows."""
        if (yield from fetch(Get(META, (IDENTITY,)))) is None:
            what = "it is missing, and no cursor can be known to be of this store"
            self._found(META, MetaRow(IDENTITY, ""), what, repairable=True)

    def _counters(self) -> Asking[None]:
        """See that counters are ahead; take those that are not for mended, or all rows are told."""
        mended: list[CounterRow] = []
        for name in COUNTED:
            counter, due = yield from counter_and_least(name)
            mended.append(due)
            if counter != due:
                what = f"it is not above the last {COUNTED[name][1]}"
                self._found(COUNTERS, due, what, repairable=True)
        yield from self._checks.faults(COUNTERS, mended)

    def _states(self, runs: Sequence[Row]) -> Asking[None]:
        keys = list(map(RUNS.getter(RUNS.key), runs))
        states = yield tuple(Get(RUN_STATES, key) for key in keys)
        for key, state in zip(keys, states, strict=True):
            if state is None:
                what = "it is missing, and the run cannot be read without it"
                self._list(Problem(RUN_STATES.name, key, what))


def _is_identity(table: Table[Any], row: Row) -> bool:
    """Whether a row may be made anew: an identity that cannot be read is as good as none."""
    return table is META and row[0] == IDENTITY
