"""Scripts that remove runs with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mobstore.tables import RUNS, RUNS_BY_END, TABLES, RunRow
from mobstore.transaction import Commit, Delete, DeleteRange, Get, Scan, Script, Write, fetch

_OF_RUNS = tuple(table for table in TABLES if table.key[0] == "run_id" and table is not RUNS)


def delete_run(run_id: str) -> Script[bool]:
    """Remove a run, whatever its status; False if there is none. Its events stay."""
    run = yield from fetch(Get(RUNS, (run_id,)))
    return Commit(False) if run is None else Commit(True, _removal((run_id,)))


def prune_runs(older_than: str, statuses: Collection[str]) -> Script[int]:
    """Remove the runs that ended before a moment in one of these statuses; gives their number."""
    # A run without an end has "" there, which `after` leaves out.
    found: tuple[Sequence[RunRow], ...] = yield tuple(
        Scan(RUNS_BY_END, (status,), after="", before=older_than) for status in statuses
    )
    doomed = [row.run_id for rows in found for row in rows]
    return Commit(len(doomed), _removal(doomed))


def _removal(run_ids: Iterable[str]) -> tuple[Write, ...]:
    return tuple(
        write
        for run_id in run_ids
        for write in (
            Delete(RUNS, (run_id,)),
            *(
                Delete(table, (run_id,))
                if table.key == ("run_id",)
                else DeleteRange(Scan(table, (run_id,)))
                for table in _OF_RUNS
            ),
        )
    )
