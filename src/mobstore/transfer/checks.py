"""What the rows of a whole store are to each other.

Rows come table by table, in the order of the file: many need no more memory than few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from mobstore.errors import SerializationError
from mobstore.operations.events import NEXT_CURSOR
from mobstore.operations.runs import NEXT_RUN
from mobstore.rows.runs import MAX_ITERATION_GAP
from mobstore.tables import (
    COUNTERS,
    EVENTS,
    LOOP_OUTPUTS,
    LOOP_STEP_OUTPUTS,
    LOOP_STEP_OUTPUTS_BY_POSITION,
    ROOT_STEP_OUTPUTS,
    ROOT_STEP_OUTPUTS_BY_POSITION,
    RUN_STATES,
    RUNS,
    TABLES,
    Index,
    Key,
    LoopOutputRow,
    LoopStepOutputRow,
    Row,
    Table,
)

_BY_POSITION = {
    ROOT_STEP_OUTPUTS: ROOT_STEP_OUTPUTS_BY_POSITION,
    LOOP_STEP_OUTPUTS: LOOP_STEP_OUTPUTS_BY_POSITION,
}
FILE_ORDER: tuple[Index[Any], ...] = tuple(
    cast("dict[Table[Any], Index[Any]]", _BY_POSITION).get(table, table) for table in TABLES
)
"""The tables in the order of the file; each as the index in whose order its rows come."""

Rows: TypeAlias = dict[Table[Any], int]
"""How many rows each table has."""


class Checks:
    """Sees every row of a store, in the order of the file.

    Attributes:
        rows: how many rows of each table were seen.
    """

    def __init__(self, expected: Rows) -> None:
        """Begin.

        Args:
            expected: how many rows of each table there will be.
        """
        self._expected = expected
        self.rows: Rows = dict.fromkeys(TABLES, 0)
        self._next = {NEXT_CURSOR: 1, NEXT_RUN: 1}
        self._index: Index[Any] | None = None
        self._key: Callable[[Row], Key]
        self._last: Key | None = None
        self._of_loop = 0  # outputs seen of the loop that the last row belongs to
        self._short_loops = 0

    def row(self, index: Index[Any], row: Row, loop: LoopOutputRow | None = None) -> None:
        """See the next row.

        Args:
            index: which one of `FILE_ORDER`.
            row: the row.
            loop: the loop that an output of a loop's step belongs to.

        Raises:
            SerializationError: the row does not go with those before it.
        """
        table = index.table
        last = self._in_order(index, row)
        if table is COUNTERS:
            name, value = cast("tuple[str, int]", row)
            self._next[name] = value
        elif table is EVENTS:
            self._counted(NEXT_CURSOR, row[0])
        elif table is RUNS:
            self._counted(NEXT_RUN, row[1])
        elif table is LOOP_OUTPUTS:
            self._loop(cast("LoopOutputRow", row))
        elif table is LOOP_STEP_OUTPUTS:
            self._output(cast("LoopStepOutputRow", row), loop, last)
        self.rows[table] += 1

    def end(self) -> None:
        """See that nothing is missing.

        Raises:
            SerializationError: something is.
        """
        for table, rows in self.rows.items():
            if rows != self._expected[table]:
                raise SerializationError(f"table {table.name}: some rows belong to nothing")
        if self.rows[RUN_STATES] != self.rows[RUNS]:
            raise SerializationError("table run_states: a run has no state")
        if self._short_loops:
            raise SerializationError("table loop_outputs: a loop has too few outputs")

    def _in_order(self, index: Index[Any], row: Row) -> Key | None:
        """Check a row's place in its table; give the place of the row before it."""
        if index is not self._index:
            self._index, self._last = index, None
            self._key = index.table.getter(index.prefix + index.order)
        key, last = self._key(row), self._last
        if last is not None and key <= last:
            raise SerializationError("it stands there twice, or not in its order")
        if index.order == ("position",):
            expected = 0
            if last is not None and last[:-1] == key[:-1]:
                expected = cast("int", last[-1]) + 1
            if key[-1] != expected:
                raise SerializationError(f"its position is not {expected}")
        self._last = key
        return last

    def _counted(self, counter: str, given: object) -> None:
        if cast("int", given) >= self._next[counter]:
            raise SerializationError(f"the counter {counter} is not ahead of it")

    def _loop(self, row: LoopOutputRow) -> None:
        due = _outputs_due(row)
        if due > self._expected[LOOP_STEP_OUTPUTS]:
            raise SerializationError("it has too few outputs")
        self._short_loops += due > 0

    def _output(self, row: LoopStepOutputRow, loop: LoopOutputRow | None, last: Key | None) -> None:
        if loop is None or row.iteration >= loop.iterations:
            raise SerializationError("its loop has no such iteration")
        if last is None or last[:2] != (row.run_id, row.loop_id):
            self._of_loop = 0
        self._of_loop += 1
        self._short_loops -= self._of_loop == _outputs_due(loop)


def _outputs_due(loop: LoopOutputRow) -> int:
    """How many outputs a loop must have at least for its number of iterations to be plausible."""
    return max(0, (loop.iterations - 1) // MAX_ITERATION_GAP)
