"""What the rows of a whole store are to each other.

Rows come table by table, in the order of the file, in pages: many need no more memory than few.
Conditions are looked at for a whole page at once, which takes a third of the time of one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import ge
from typing import Any, TypeAlias, cast

from mobstore.codec.runs import outputs_needed
from mobstore.errors import SerializationError
from mobstore.model.text import brief
from mobstore.scripts.paging import Asking
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    NEXT_CURSOR,
    NEXT_RUN,
    ROOT_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_STATES,
    RUNS,
    TABLES,
    CounterRow,
    EventRow,
    Index,
    Key,
    LoopOutputRow,
    Row,
    RunRow,
    Table,
)
from mobstore.scripts.transaction import Get

_BY_POSITION = {
    ROOT_STEP_OUTPUTS: ROOT_STEP_OUTPUTS_BY_POSITION,
    LOOP_STEP_OUTPUTS: LOOP_STEP_OUTPUTS_BY_POSITION,
}
FILE_ORDER: tuple[Index[Any], ...] = tuple(
    cast("dict[Table[Any], Index[Any]]", _BY_POSITION).get(table, table) for table in TABLES
)
"""The tables in the order of the file; each as the index in whose order its rows come."""

_PARENTS: Mapping[Table[Any], Table[Any]] = {
    **{table: RUNS for table in TABLES if table.key[0] == "run_id" and table is not RUNS},
    LOOP_STEP_OUTPUTS: LOOP_OUTPUTS,
}
"""Where the row lies that a row belongs to, under the columns of that table's key."""

RowCounts: TypeAlias = dict[Table[Any], int]
"""How many rows each table has."""

RowNamer: TypeAlias = Callable[[int], str]
"""Tells how to call the row at a place in a page."""

TOO_FEW_OUTPUTS = "its loops have more iterations than their outputs allow"

_Wrong: TypeAlias = Iterator[tuple[int, str]]
"""The places of rows that are wrong, and why."""


class ConsistencyCheck:
    """Sees every row of a store.

    Attributes:
        rows: how many rows of each table were seen.
        short: how many outputs of loops have still to come of each run; of those alone whose loops
            have more iterations than need none.
    """

    def __init__(self) -> None:
        self.rows: RowCounts = dict.fromkeys(TABLES, 0)
        self._next = {NEXT_CURSOR: 1, NEXT_RUN: 1}
        self._index: Index[Any] | None = None
        self._key: Callable[[Row], Key]
        self._last: Key = ()
        self._of_run = ("", 0)  # the run of the last row of LOOP_OUTPUTS, its iterations so far
        self.short: dict[str, int] = {}

    def see(self, index: Index[Any], rows: Sequence[Row], name: RowNamer) -> Asking[None]:
        """See the next rows of a table as `faults` does; refuse what is wrong.

        Raises:
            SerializationError: a row does not go with those before it; `name` names it.
        """
        if faults := (yield from self.faults(index, rows)):
            place = min(faults)
            raise SerializationError(f"{name(place)}: {faults[place]}")

    def faults(self, index: Index[Any], rows: Sequence[Row]) -> Asking[dict[int, str]]:
        """See the next rows of a table; the rows that they belong to are asked for.

        Args:
            index: an index of the table, in whose order all its rows come.
            rows: the rows.

        Returns:
            The places of rows that do not go with those before them, and why.
        """
        if index is not self._index:
            self._index, self._last = index, ()
            self._key = index.table.getter(index.sorted_by)
        parents = yield from _parents(index.table, rows)
        keys = list(map(self._key, rows))
        before = [self._last, *keys]
        self._last = before[-1]
        self.rows[index.table] += len(rows)
        first: dict[int, str] = {}  # of each row the first
        for place, why in self._wrong(index, rows, keys, before, parents):
            first.setdefault(place, why)
        return first

    def end(self) -> None:
        """See that nothing is missing.

        Raises:
            SerializationError: something is.
        """
        if self.rows[RUN_STATES] != self.rows[RUNS]:
            raise SerializationError("table run_states: a run has no state")
        for run_id in self.short:
            raise SerializationError(f"table loop_outputs, run {brief(run_id)}: {TOO_FEW_OUTPUTS}")

    def _wrong(
        self,
        index: Index[Any],
        rows: Sequence[Row],
        keys: Sequence[Key],
        before: Sequence[Key],
        parents: Sequence[Row | None] | None,
    ) -> _Wrong:
        table = index.table
        if parents is not None:
            orphans = [parent is None for parent in parents]
            yield from _where(orphans, f"it belongs to nothing in {_PARENTS[table].name}")
        unordered = map(ge, before, keys)
        yield from _where(unordered, "it stands there twice, or not in its order")
        if index.order == ("position",):
            yield from _gaps(keys, before)
        if table is COUNTERS:
            self._next.update(cast("Sequence[CounterRow]", rows))
        elif table is EVENTS:
            yield from self._uncounted(
                NEXT_CURSOR, [row.cursor for row in cast("Sequence[EventRow]", rows)]
            )
        elif table is RUNS:
            yield from self._uncounted(
                NEXT_RUN, [row.number for row in cast("Sequence[RunRow]", rows)]
            )
        elif table is LOOP_OUTPUTS:
            self._loops(cast("Sequence[LoopOutputRow]", rows))
        elif table is LOOP_STEP_OUTPUTS:
            yield from self._outputs(keys, cast("Sequence[LoopOutputRow | None]", parents))

    def _loops(self, loops: Sequence[LoopOutputRow]) -> None:
        run, iterations = self._of_run
        for loop in loops:
            if loop.run_id != run:
                run, iterations = loop.run_id, 0
            iterations += max(0, loop.iterations)
            if needed := outputs_needed(iterations):
                self.short[run] = needed
        self._of_run = run, iterations

    def _outputs(self, keys: Sequence[Key], loops: Sequence[LoopOutputRow | None]) -> _Wrong:
        for place, (key, loop) in enumerate(zip(keys, loops, strict=True)):
            run = cast("str", key[0])
            if run in self.short:
                self.short[run] -= 1
                if not self.short[run]:
                    del self.short[run]
            if loop is not None and cast("int", key[2]) >= loop.iterations:
                yield place, "its loop has no such iteration"

    def _uncounted(self, counter: str, given: Iterable[int]) -> _Wrong:
        following = self._next[counter]
        uncounted = [number >= following for number in given]
        return _where(uncounted, f"the counter {counter} is not ahead of it")


def row_name(table: Table[Any], row: Row) -> str:
    """How a row of a store is called in an error."""
    key = ", ".join(brief(str(value)) for value in table.getter(table.key)(row))
    return f"table {table.name}, key {key}"


def _parents(table: Table[Any], rows: Sequence[Row]) -> Asking[Sequence[Row | None] | None]:
    """The row that each row belongs to; None if those of this table belong to none."""
    parent = _PARENTS.get(table)
    if parent is None:
        return None
    keys = list(map(table.getter(parent.key), rows))
    distinct = list(dict.fromkeys(keys))
    found = yield tuple(Get(parent, key) for key in distinct)
    by_key: dict[Key, Row | None] = dict(zip(distinct, found, strict=True))
    return [by_key[key] for key in keys]


def _gaps(keys: Sequence[Key], before: Sequence[Key]) -> _Wrong:
    for place, (last, key) in enumerate(zip(before, keys, strict=False)):
        due = cast("int", last[-1]) + 1 if last[:-1] == key[:-1] else 0
        if key[-1] != due:
            yield place, f"its position is not {due}"


def _where(wrong: Iterable[bool], why: str) -> _Wrong:
    return ((place, why) for place, is_wrong in enumerate(wrong) if is_wrong)
