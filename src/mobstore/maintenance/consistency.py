"""Consistency checks across rows.

Rows come table by table, in `FILE_ORDER`, in pages, so that a large store needs no more memory
than a small one. Conditions are checked for a whole page at once, which takes a third of the time
of checking row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import ge
from typing import Any, TypeAlias, cast

from mobstore.codec.runs import outputs_needed
from mobstore.errors import SerializationError
from mobstore.maintenance.dependent_rows import DEPENDENT, DependentRow, is_missing, mismatch
from mobstore.model.run import is_terminal
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENTS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    NEXT_CURSOR,
    NEXT_EPOCH,
    NEXT_RUN,
    ROOT_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_CLAIMS,
    RUN_STATES,
    RUNS,
    TABLES,
    ClaimRow,
    ConsumerRow,
    CounterRow,
    EventRow,
    Index,
    Key,
    LoopOutputRow,
    Row,
    RunClaimRow,
    RunRow,
    Table,
)
from mobstore.scripts.transaction import Get, ScriptPart

_BY_POSITION = {
    ROOT_STEP_OUTPUTS: ROOT_STEP_OUTPUTS_BY_POSITION,
    LOOP_STEP_OUTPUTS: LOOP_STEP_OUTPUTS_BY_POSITION,
}
FILE_ORDER: tuple[Index[Any], ...] = tuple(
    cast("dict[Table[Any], Index[Any]]", _BY_POSITION).get(table, table) for table in TABLES
)
"""The tables in the order of an archive, each as the index that orders its rows."""

_PARENTS: Mapping[Table[Any], Table[Any]] = {
    **{table: RUNS for table in TABLES if table.key[0] == "run_id" and table is not RUNS},
    LOOP_STEP_OUTPUTS: LOOP_OUTPUTS,
    **DEPENDENT,
}
"""The table of the row that a row belongs to. A row holds the columns of its parent's key."""

RowCounts: TypeAlias = dict[Table[Any], int]
"""The number of rows of each table."""

RowNamer: TypeAlias = Callable[[int], str]
"""A function that returns the name of the row at a place in a page, for messages."""

UNCLAIMABLE = "a run that has not ended is not there, so that no worker finds it"
TOO_FEW_OUTPUTS = "its loops have more iterations than their outputs allow"

_Faults: TypeAlias = Iterator[tuple[int, str]]
"""The places of faulty rows in a page, and what is wrong with each."""


class ConsistencyCheck:
    """A check of all rows of a store against each other.

    Attributes:
        rows: the number of rows checked so far, by table.
        missing_outputs: the number of loop outputs that must still come, by run. Runs with few
            iterations need no outputs, and are not in it.
    """

    def __init__(self) -> None:
        self.rows: RowCounts = dict.fromkeys(TABLES, 0)
        self.missing_outputs: dict[str, int] = {}
        self._next = {NEXT_CURSOR: 1, NEXT_RUN: 1, NEXT_EPOCH: 1}
        self._going = 0  # runs that have not ended
        self._claimable = 0  # rows of claims of such runs
        self._index: Index[Any] | None = None
        self._key: Callable[[Row], Key]
        self._last: Key = ()
        self._loop_run, self._iterations = "", 0  # of LOOP_OUTPUTS: the last run, its iterations

    def check(self, index: Index[Any], rows: Sequence[Row], name: RowNamer) -> ScriptPart[None]:
        """Check the next rows of a table.

        Raises:
            SerializationError: a row does not go with those before it; `name` names it.
        """
        if faults := (yield from self.faults(index, rows)):
            place = min(faults)
            raise SerializationError(f"{name(place)}: {faults[place]}")

    def faults(self, index: Index[Any], rows: Sequence[Row]) -> ScriptPart[dict[int, str]]:
        """Check the next rows of a table, and return all faults.

        Args:
            index: the index of the table that orders its rows.
            rows: the rows.

        Returns:
            By place in `rows`, why the row does not go with those before it.
        """
        if index is not self._index:
            self._index, self._last = index, ()
            self._key = index.table.getter(index.sorted_by)
        parents = yield from parents_of(index.table, rows)
        keys = list(map(self._key, rows))
        before = [self._last, *keys]
        self._last = before[-1]
        self.rows[index.table] += len(rows)
        first: dict[int, str] = {}
        for place, why in self._faults(index, rows, keys, before, parents):
            first.setdefault(place, why)
        return first

    def check_complete(self) -> None:
        """Check that no row is missing, after the last table.

        Raises:
            SerializationError: a run has no state, cannot be claimed, or has loops with too few
                outputs.
        """
        if self.rows[RUN_STATES] != self.rows[RUNS]:
            raise SerializationError("table run_states: a run has no state")
        if self._claimable != self._going:
            raise SerializationError(f"table run_claims: {UNCLAIMABLE}")
        for run_id in self.missing_outputs:
            raise SerializationError(f"table loop_outputs, run {brief(run_id)}: {TOO_FEW_OUTPUTS}")

    def _faults(
        self,
        index: Index[Any],
        rows: Sequence[Row],
        keys: Sequence[Key],
        before: Sequence[Key],
        parents: Sequence[Row | None] | None,
    ) -> _Faults:
        table = index.table
        if parents is not None:
            orphans = [parent is None for parent in parents]
            yield from _where(orphans, is_missing(_PARENTS[table]))
            if table in DEPENDENT:
                yield from _mismatches(cast("Sequence[DependentRow]", rows), parents)
        yield from _where(map(ge, before, keys), "duplicate or out-of-order row")
        if index.order == ("position",):
            yield from _gaps(keys, before)
        if table is COUNTERS:
            self._next.update(cast("Sequence[CounterRow]", rows))
        elif table is EVENTS:
            cursors = [row.cursor for row in cast("Sequence[EventRow]", rows)]
            yield from self._not_below(NEXT_CURSOR, cursors)
        elif table is RUNS:
            numbers = [row.number for row in cast("Sequence[RunRow]", rows)]
            yield from self._not_below(NEXT_RUN, numbers)
            self._going += sum(not is_terminal(row.status) for row in cast("Any", rows))
        elif table is RUN_CLAIMS:
            claims = cast("Sequence[RunClaimRow]", rows)
            yield from self._not_below(NEXT_EPOCH, [claim.epoch for claim in claims])
            self._claimable += sum(not is_terminal(claim.status) for claim in claims)
        elif table is CLAIMS:
            epochs = [row.epoch for row in cast("Sequence[ClaimRow]", rows)]
            yield from self._not_below(NEXT_EPOCH, epochs)
        elif table is CONSUMERS:
            cursors = [row.cursor for row in cast("Sequence[ConsumerRow]", rows)]
            yield from self._not_below(NEXT_CURSOR, cursors)
        elif table is LOOP_OUTPUTS:
            self._add_loops(cast("Sequence[LoopOutputRow]", rows))
        elif table is LOOP_STEP_OUTPUTS:
            yield from self._outputs(keys, cast("Sequence[LoopOutputRow | None]", parents))

    def _not_below(self, counter: str, numbers: Iterable[int]) -> _Faults:
        next_number = self._next[counter]
        wrong = [number >= next_number for number in numbers]
        return _where(wrong, f"the counter {counter} is not above it")

    def _add_loops(self, loops: Sequence[LoopOutputRow]) -> None:
        for loop in loops:
            if loop.run_id != self._loop_run:
                self._loop_run, self._iterations = loop.run_id, 0
            self._iterations += max(0, loop.iterations)
            if needed := outputs_needed(self._iterations):
                self.missing_outputs[loop.run_id] = needed

    def _outputs(self, keys: Sequence[Key], loops: Sequence[LoopOutputRow | None]) -> _Faults:
        for place, (key, loop) in enumerate(zip(keys, loops, strict=True)):
            run_id = cast("str", key[0])
            if run_id in self.missing_outputs:
                self.missing_outputs[run_id] -= 1
                if not self.missing_outputs[run_id]:
                    del self.missing_outputs[run_id]
            if loop is not None and cast("int", key[2]) >= loop.iterations:
                yield place, "its loop has no such iteration"


def row_name(table: Table[Any], row: Row) -> str:
    """Return the name of a stored row for messages."""
    key = ", ".join(brief(str(value)) for value in table.getter(table.key)(row))
    return f"table {table.name}, key {key}"


def parents_of(table: Table[Any], rows: Sequence[Row]) -> ScriptPart[Sequence[Row | None] | None]:
    """Return the parent of each row; None if the rows of this table have no parents."""
    parent = _PARENTS.get(table)
    if parent is None:
        return None
    keys = list(map(table.getter(parent.key), rows))
    distinct = list(dict.fromkeys(keys))
    found = yield tuple(Get(parent, key) for key in distinct)
    by_key: dict[Key, Row | None] = dict(zip(distinct, found, strict=True))
    return [by_key[key] for key in keys]


def _mismatches(rows: Sequence[DependentRow], parents: Sequence[Row | None]) -> _Faults:
    for place, (row, parent) in enumerate(zip(rows, parents, strict=True)):
        if found := mismatch(row, parent):
            yield place, found.what


def _gaps(keys: Sequence[Key], before: Sequence[Key]) -> _Faults:
    for place, (last, key) in enumerate(zip(before, keys, strict=False)):
        expected = 0
        if last[:-1] == key[:-1]:
            expected = cast("int", last[-1]) + 1
        if key[-1] != expected:
            yield place, f"its position is not {expected}"


def _where(wrong: Iterable[bool], why: str) -> _Faults:
    return ((place, why) for place, is_wrong in enumerate(wrong) if is_wrong)
