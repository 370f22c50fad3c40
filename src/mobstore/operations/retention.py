"""Scripts that remove runs with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from operator import attrgetter

from mobstore.tables import RUNS, RUNS_BY_END, TABLES, RunRow
from mobstore.transaction import Commit, Delete, DeleteRange, Get, Scan, Script, Write, fetch

_OF_RUNS = tuple(table for table in TABLES if table.key[0] == "run_id" and table is not RUNS)


def delete_run(run_id: str) -> Script[bool]:
    """Remove a run, whatever its status; False if there is none. Its events stay."""
    run = yield from fetch(Get(RUNS, (run_id,)))
    return Commit(False) if run is None else Commit(True, _removal((run_id,)))


def prune_runs(older_than: str, statuses: Collection[str], most: int | None = None) -> Script[int]:
    """Remove the runs that ended before a moment in one of these statuses; gives their number.

    Args:
        older_than: the moment.
        statuses: the statuses.
        most: remove at most so many, those that ended first; None: all.
    """
    # A run without an end has "" there, which `after` leaves out.
    found: tuple[Sequence[RunRow], ...] = yield tuple(
        Scan(RUNS_BY_END, (status,), after="", before=older_than, limit=most) for status in statuses
    )
    runs = sorted(chain.from_iterable(found), key=attrgetter("completed_at"))[:most]
    return Commit(len(runs), _removal([row.run_id for row in runs]))


def _removal(run_ids: Sequence[str]) -> tuple[Write, ...]:
    """The writes that remove runs; table by table, as many engines remove many rows fastest."""
    return tuple(
        Delete(table, (run_id,))
        if table.key == ("run_id",)
        else DeleteRange(Scan(table, (run_id,)))
        for table in (RUNS, *_OF_RUNS)
        for run_id in run_ids
    )
