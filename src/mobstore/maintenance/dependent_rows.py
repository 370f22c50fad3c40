"""Rows that repeat columns of another row: claims on runs, and keys of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from mobstore.maintenance.row_check import is_readable
from mobstore.model.run import is_terminal
from mobstore.scripts.tables import (
    EVENT_KEYS,
    EVENTS,
    RUN_CLAIMS,
    RUNS,
    EventKeyRow,
    EventRow,
    Row,
    RunClaimRow,
    RunRow,
    Table,
)

DependentRow: TypeAlias = RunClaimRow | EventKeyRow

DEPENDENT: Mapping[Table[Any], Table[Any]] = {RUN_CLAIMS: RUNS, EVENT_KEYS: EVENTS}
"""Tables of such rows, and those of the rows that they repeat."""


class Mismatch(NamedTuple):
    """A row that does not go with the row that it repeats.

    Attributes:
        what: what is wrong.
        repaired: the row as it should be; None if it should not exist.
    """

    what: str
    repaired: DependentRow | None


def is_missing(table: Table[Any]) -> str:
    """Return what is wrong with a row whose row in this table is missing."""
    return f"its row in {table.name} is missing"


def mismatch(row: DependentRow, parent: Row | None) -> Mismatch | None:
    """Compare a row with the row that it repeats.

    Args:
        row: a row of one of the tables in `DEPENDENT`.
        parent: the row that it repeats; None if it is missing.

    Returns:
        The mismatch; None if there is none, or if the parent itself cannot be read, so that it is
        unknown what is right.
    """
    if isinstance(row, RunClaimRow):
        table: Table[Any] = RUNS
        found = _claim_mismatch(row, cast("RunRow | None", parent))
    else:
        table = EVENTS
        found = _key_mismatch(row, cast("EventRow | None", parent))
    if found is None or (parent is not None and not is_readable(table, parent)):
        return None
    return found


def _claim_mismatch(claim: RunClaimRow, run: RunRow | None) -> Mismatch | None:
    if run is None:
        return Mismatch(is_missing(RUNS), None)
    if is_terminal(run.status) and not claim.holder:
        return Mismatch("its run has ended, and is not held", None)
    repaired = claim._replace(
        number=run.number, mob_id=run.mob_id, flow_id=run.flow_id, status=run.status
    )
    return None if claim == repaired else Mismatch("it differs from its run", repaired)


def _key_mismatch(key: EventKeyRow, event: EventRow | None) -> Mismatch | None:
    if event is None:
        return Mismatch(is_missing(EVENTS), None)
    repaired = key._replace(timestamp=event.timestamp)
    return None if key == repaired else Mismatch("its time differs from its event's", repaired)
