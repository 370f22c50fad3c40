"""Verification of a whole store: a search for rows that mobstore could not have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from mobstore.codec.arguments import check_flags
from mobstore.errors import ReadFailedError
from mobstore.maintenance.consistency import (
    FILE_ORDER,
    TOO_FEW_OUTPUTS,
    UNCLAIMABLE,
    ConsistencyCheck,
    parents_of,
)
from mobstore.maintenance.dependent_rows import DEPENDENT, DependentRow, mismatch
from mobstore.maintenance.progress import Meter, Progress, cancellable
from mobstore.maintenance.repair import NUMBERED, read_counter, repair_rows
from mobstore.maintenance.row_check import are_sound, check_row, is_well_typed
from mobstore.model.run import is_terminal
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, page, size_of
from mobstore.scripts.tables import (
    COUNTERS,
    IDENTITY,
    LOOP_STEP_OUTPUTS,
    META,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    RUNS_BY_NUMBER,
    TABLES,
    CounterRow,
    Index,
    Key,
    MetaRow,
    Row,
    RunRow,
    Table,
)
from mobstore.scripts.transaction import (
    Commit,
    Count,
    Engine,
    Get,
    Scan,
    Script,
    ScriptPart,
    fetch,
)
from mobstore.stores.mob_stores import MobStores, check_stores


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a store that mobstore could not have written.

    Attributes:
        table: the table; "" for a problem of the medium beneath the tables.
        key: the values of the row's key columns; () if the problem is not of one row.
        what: what is wrong. It quotes nothing of what is stored.
        repairable: whether it can be repaired without guessing.
        repaired: whether it was repaired.
    """

    table: str
    key: Key
    what: str
    repairable: bool = False
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`.

    Attributes:
        rows: the number of rows of each table, by its name; empty if the medium is too damaged.
        problems: what is wrong, by table and key; at most 10,000. If there are more, the last
            problem says how many. Repair those that are listed, and verify again.
    """

    rows: Mapping[str, int]
    problems: tuple[Problem, ...]

    @property
    def left(self) -> tuple[Problem, ...]:
        """The problems that were not repaired; a store without any is sound."""
        return tuple(problem for problem in self.problems if not problem.repaired)


# Runs that share a number come one after the other in the order of their numbers.
_ORDER = tuple(RUNS_BY_NUMBER if index is RUNS else index for index in FILE_ORDER)

_MOST_PROBLEMS = 10_000
_MOST_CHARACTERS = 2**24  # of all their keys, which in a corrupt store may be of any length


async def verify(
    stores: MobStores, *, repair: bool = False, progress: Progress | None = None
) -> Verification:
    """Check a snapshot of the whole store for rows mobstore could not have written.

    Each row must be in its canonical form. Counters must be above the numbers they have assigned,
    and ledgers must have no gaps. Each part of a run must have its run, and each run its state;
    workers must find each run that has not ended. On SQLite the file itself is checked, too.

    Memory is needed for about a thousand rows, and for the 10,000 problems that are listed. If
    more than a thousand rows share one position of a run, the others are not checked.

    Args:
        stores: the store to check, on any engine. Other writers may continue; those of IndexedDB
            wait until it has been read.
        repair: whether to repair what needs no guess: counters that are too low; an identity that
            is missing or unreadable, which is replaced by a new one; columns that do not match the
            JSON they repeat; JSON that is not in canonical form; runs that no worker finds; rows
            of claims that differ from their run, and keys of events that differ from their event
            or have lost it. Each transaction repairs a few rows, and reads them again first.
        progress: called during the check, every few hundred rows.

    Raises:
        ReadFailedError: the store's medium failed, and reports no damage.
        WriteFailedError: the store's medium failed a repair. Earlier repairs are kept.
        UsageError: an argument is of another type.
    """
    import asyncio  # already loaded by async callers; importing the package does not need it

    check_stores(stores)
    check_flags(repair=repair)
    # SQLite checks its pages without holding Python's lock, so rows are checked at the same time.
    checking = asyncio.ensure_future(_damage(stores.engine))
    try:
        try:
            with cancellable(progress) as report:
                found = await stores.engine.read(lambda: verify_script(report))
        except ReadFailedError:
            damage = await checking
            if not damage:
                raise
            return Verification({}, damage)
        damage = await checking
    finally:
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
    problems = damage + found.problems
    if repair:
        tables = {table.name: table for table in TABLES}
        rows = dict.fromkeys((tables[p.table], p.key) for p in problems if p.repairable)
        await repair_rows(stores.engine, list(rows))
        problems = tuple(replace(p, repaired=p.repairable) for p in problems)
    return Verification(found.rows, problems)


async def _damage(engine: Engine) -> tuple[Problem, ...]:
    return tuple(Problem("", (), what) for what in await engine.faults())


def verify_script(progress: Progress) -> Script[Verification]:
    """Check all tables."""
    counts = yield tuple(Count(Scan(table)) for table in TABLES)
    verifier = _Verifier(Meter(progress, sum(counts)))
    for index in _ORDER:
        yield from verifier.check_table(index)
    rows = {table.name: count for table, count in zip(TABLES, counts, strict=True)}
    return Commit(Verification(rows, verifier.problems()))


class _Verifier:
    """One attempt to verify a store. An engine that runs the script again makes a new one."""

    def __init__(self, meter: Meter) -> None:
        self._problems: list[Problem] = []
        self._characters = 0
        self._unlisted = 0
        self._meter = meter
        self._consistency = ConsistencyCheck()

    def problems(self) -> tuple[Problem, ...]:
        """Return the problems found; if not all are listed, the last one says how many more."""
        if self._unlisted:
            what = f"there are {self._unlisted:,} more problems than are listed"
            return (*self._problems, Problem("", (), what))
        return tuple(self._problems)

    def check_table(self, index: Index[Any]) -> ScriptPart[None]:
        """Check a table, after those before it in `_ORDER`."""
        place = index.table.getter(index.sorted_by)
        after: Key | None = None
        limit = FIRST_LIMIT
        if index.table is META:
            yield from self._check_identity()
        elif index.table is COUNTERS:
            yield from self._check_counters()
        while rows := (yield from page(index, after, limit)):
            after, limit = place(rows[-1]), next_limit(limit, len(rows), size_of(rows))
            yield from self._check_rows(index, rows)
            self._meter.add(len(rows))
        if index.table is LOOP_STEP_OUTPUTS:
            for run_id in self._consistency.missing_outputs:
                self._list(Problem(RUNS.name, (run_id,), TOO_FEW_OUTPUTS))

    def _check_rows(self, index: Index[Any], rows: Sequence[Row]) -> ScriptPart[None]:
        table = index.table
        if table in DEPENDENT:
            yield from self._check_dependent(table, rows)
            return
        if are_sound(table, rows):
            yield from self._check_consistency(index, rows)
            return
        sound: list[Row] = []
        for row in rows:
            # An unreadable identity is replaced, as a missing one is.
            replaceable = table is META and row[0] == IDENTITY
            faults = check_row(table, row).faults
            for fault in faults:
                self._add(table, row, fault.what, repairable=fault.repairable or replaceable)
            if all(fault.repairable for fault in faults):
                sound.append(row)
        rows = [row for row in rows if is_well_typed(table, row)]
        if table is COUNTERS:
            return  # `_check_counters` has compared them with the rows they number
        yield from self._check_consistency(index, rows)
        if table is RUNS:
            yield from self._check_states(rows)
            yield from self._check_claimable(cast("Sequence[RunRow]", sound))

    def _check_consistency(self, index: Index[Any], rows: Sequence[Row]) -> ScriptPart[None]:
        inconsistent = yield from self._consistency.faults(index, rows)
        for place in sorted(inconsistent):
            self._add(index.table, rows[place], inconsistent[place])

    def _check_dependent(self, table: Table[Any], rows: Sequence[Row]) -> ScriptPart[None]:
        """Check rows that repeat others. If the other is unreadable, what is right is unknown."""
        typed = [row for row in rows if is_well_typed(table, row)]
        parents = dict(zip(typed, (yield from parents_of(table, typed)) or (), strict=True))
        for row in rows:
            repaired: Row | None = row
            if row in parents:
                found = mismatch(cast("DependentRow", row), parents[row])
                if found is not None:
                    self._add(table, row, found.what, repairable=True)
                    repaired = found.repaired
            if repaired is not None:
                for fault in check_row(table, repaired).faults:
                    self._add(table, row, fault.what)

    def _add(self, table: Table[Any], row: Row, what: str, *, repairable: bool = False) -> None:
        self._list(Problem(table.name, table.getter(table.key)(row), what, repairable))

    def _list(self, problem: Problem) -> None:
        characters = sum(len(part) for part in problem.key if isinstance(part, str | bytes))
        characters += self._characters
        if len(self._problems) < _MOST_PROBLEMS and characters <= _MOST_CHARACTERS:
            self._problems.append(problem)
            self._characters = characters
        else:
            self._unlisted += 1

    def _check_identity(self) -> ScriptPart[None]:
        """Check that the store has an identity. Its value is checked with the other rows."""
        if (yield from fetch(Get(META, (IDENTITY,)))) is None:
            what = "it is missing, so that cursors cannot be matched with this store"
            self._add(META, MetaRow(IDENTITY, ""), what, repairable=True)

    def _check_counters(self) -> ScriptPart[None]:
        """Check that counters are high enough.

        The consistency check continues with repaired counters. With a low one, it would report
        every row above it.
        """
        counters: list[CounterRow] = []
        for name, column in NUMBERED.items():
            counter, repaired = yield from read_counter(name)
            counters.append(repaired)
            if counter != repaired:
                what = f"it is not above the last {column}"
                self._add(COUNTERS, repaired, what, repairable=True)
        yield from self._consistency.faults(COUNTERS, counters)

    def _check_claimable(self, runs: Sequence[RunRow]) -> ScriptPart[None]:
        """Check that workers find the runs that have not ended."""
        going = [(run.run_id,) for run in runs if not is_terminal(run.status)]
        claims = yield tuple(Get(RUN_CLAIMS, key) for key in going)
        for key, claim in zip(going, claims, strict=True):
            if claim is None:
                self._list(Problem(RUN_CLAIMS.name, key, UNCLAIMABLE, repairable=True))

    def _check_states(self, runs: Sequence[Row]) -> ScriptPart[None]:
        keys = list(map(RUNS.getter(RUNS.key), runs))
        states = yield tuple(Get(RUN_STATES, key) for key in keys)
        for key, state in zip(keys, states, strict=True):
            if state is None:
                what = "it is missing, and the run cannot be read without it"
                self._list(Problem(RUN_STATES.name, key, what))
