"""Selections of runs: by creation, by end, and those that no worker holds.

A selection from several indexes is merged page by page. Of each index a page of one size is read.
Rows beyond the last row of a full page may be incomplete, so they are left for the next page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from mobstore.codec.decoding import naming_unreadable_rows, stored_number, stored_text
from mobstore.codec.runs import TERMINAL_STATUSES, UNFINISHED_STATUSES
from mobstore.errors import NotFoundError, UsageError
from mobstore.model.run import is_terminal
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, size_of
from mobstore.scripts.tables import (
    RUN_CLAIMS,
    RUNS,
    RUNS_BY_END,
    RUNS_BY_FLOW,
    RUNS_BY_FLOW_STATUS,
    RUNS_BY_MOB,
    RUNS_BY_MOB_STATUS,
    RUNS_BY_NUMBER,
    RUNS_BY_STATUS,
    Index,
    RunClaimRow,
    RunRow,
)
from mobstore.scripts.transaction import Get, Now, Scan, ScriptPart, fetch


class Selection(NamedTuple):
    """A selection of runs, in the order of their creation, or of their end with `ended_since`.

    Attributes:
        mob_id: the mob; None: all mobs.
        flow_id: the flow, only with a mob; None: all flows.
        status: the status; None: any.
        after: only runs after this one, in the order of the selection.
        limit: the maximum number of runs.
        newest_first: reverse the order.
        ended_since: only runs that ended at this time or later.
        unclaimed: only runs that have not ended and are not held.
    """

    mob_id: str | None = None
    flow_id: str | None = None
    status: str | None = None
    after: str | None = None
    limit: int | None = None
    newest_first: bool = False
    ended_since: str | None = None
    unclaimed: bool = False

    def statuses(self, of: Iterable[str]) -> list[str]:
        """Return those of some statuses that are selected."""
        return [status for status in sorted(of) if self.status in {None, status}]

    def wants_more(self, found: Sequence[object]) -> bool:
        """Return whether there may be more runs than those found."""
        return self.limit is None or len(found) < self.limit


_INDEXES: dict[tuple[bool, bool, bool], Index[RunRow]] = {
    (False, False, False): RUNS_BY_NUMBER,
    (False, False, True): RUNS_BY_STATUS,
    (True, False, False): RUNS_BY_MOB,
    (True, False, True): RUNS_BY_MOB_STATUS,
    (True, True, False): RUNS_BY_FLOW,
    (True, True, True): RUNS_BY_FLOW_STATUS,
}
"""Keys: whether a mob, a flow and a status are selected."""


def runs_of(mob_id: str | None, flow_id: str | None, status: str | None) -> Scan[RunRow]:
    """Return the scan of the runs of a mob, a flow and a status, as far as they are given."""
    given = tuple(part for part in (mob_id, flow_id, status) if part is not None)
    index = _INDEXES[mob_id is not None, flow_id is not None, status is not None]
    return Scan(index, given)


def select(of: Selection) -> ScriptPart[list[RunRow]]:
    """Return the rows of the selected runs.

    Raises:
        NotFoundError: the run `after` does not exist.
        UsageError: the run `after` has not ended, in a selection by end.
    """
    last = None if of.after is None else (yield from _run_after(of.after))
    if of.ended_since is not None:
        return (yield from _by_end(of, of.ended_since, last))
    after = None if last is None else _number(last)
    if of.unclaimed:
        return (yield from _unclaimed(of, after))
    return list((yield from fetch(_by_creation(of, of.status, after, of.limit))))


def _run_after(run_id: str) -> ScriptPart[RunRow]:
    run = yield from fetch(Get(RUNS, (run_id,)))
    if run is None:
        raise NotFoundError(f"`after` names a run that does not exist: {run_id}")
    return run


def _by_creation(
    of: Selection, status: str | None, after: int | None, limit: int | None
) -> Scan[RunRow]:
    scan = runs_of(of.mob_id, of.flow_id, status)
    scan.limit, scan.backwards = limit, of.newest_first
    if of.newest_first:
        scan.before = after
    else:
        scan.after = after
    return scan


def _unclaimed(of: Selection, after: int | None) -> ScriptPart[list[RunRow]]:
    """Return runs that have not ended and are not held; held ones are read and left out."""
    found: list[RunRow] = []
    statuses, limit = of.statuses(UNFINISHED_STATUSES), FIRST_LIMIT
    while statuses and of.wants_more(found):
        pages: tuple[Sequence[RunRow], ...] = yield tuple(
            _by_creation(of, status, after, limit) for status in statuses
        )
        rows = sorted(chain.from_iterable(pages), key=_number, reverse=of.newest_first)
        ends = [_number(page[-1]) for page in pages if len(page) == limit]
        if ends:
            after = max(ends) if of.newest_first else min(ends)
            place = [_number(row) for row in rows].index(after)
            rows = rows[: place + 1]
        now: str
        claims: list[RunClaimRow | None]
        now, *claims = yield (Now(), *(Get(RUN_CLAIMS, (row.run_id,)) for row in rows))
        found += [row for row, claim in zip(rows, claims, strict=True) if not _is_held(claim, now)]
        if not ends:
            break
        limit = next_limit(limit, len(rows), size_of(rows))
    return found[: of.limit]


def _is_held(claim: RunClaimRow | None, now: str) -> bool:
    return claim is not None and claim.holder != "" and now < claim.due_at


def _by_end(of: Selection, since: str, last: RunRow | None) -> ScriptPart[list[RunRow]]:
    """Return runs that ended since a time, in the order of their end, then of their creation.

    Runs of other mobs and flows that ended since then are read and left out.
    """
    found: list[RunRow] = []
    statuses, limit = of.statuses(() if of.unclaimed else TERMINAL_STATUSES), FIRST_LIMIT
    earliest = since[:-1]  # bounds are exclusive; it sorts just before the time
    after, before = earliest, None
    if last is not None:
        if not (is_terminal(last.status) and last.completed_at):
            raise UsageError(f"`after` names a run that has not ended: {last.run_id}")
        time, _ = place = _end(last)
        ties = yield from _ended_at(time, statuses)
        found = [
            row for row in _matching(of, since, ties) if (_end(row) < place) == of.newest_first
            and row.run_id != last.run_id
        ]  # fmt: skip
        after, before = (after, time) if of.newest_first else (max(after, time), None)
    while statuses and of.wants_more(found):
        pages: tuple[Sequence[RunRow], ...] = yield tuple(
            Scan(RUNS_BY_END, (status,), after, before, limit, of.newest_first)
            for status in statuses
        )
        rows = list(chain.from_iterable(pages))
        ends = [_end(page[-1])[0] for page in pages if len(page) == limit]
        if not ends:
            found += _matching(of, since, rows)
            break
        limit = next_limit(limit, len(rows), size_of(rows))
        if of.newest_first:
            before = time = max(ends)
            rows = [row for row in rows if row.completed_at > time]
        else:
            after = time = min(ends)
            rows = [row for row in rows if row.completed_at < time]
        ties = yield from _ended_at(time, statuses)
        found += _matching(of, since, [*rows, *ties])
    return found[: of.limit]


def _ended_at(time: str, statuses: Iterable[str]) -> ScriptPart[list[RunRow]]:
    """Return the runs that ended at one time; an index returns them in any order."""
    found: tuple[Sequence[RunRow], ...] = yield tuple(
        Scan(RUNS_BY_END, (status, time)) for status in statuses
    )
    return list(chain.from_iterable(found))


def _matching(of: Selection, since: str, rows: Iterable[RunRow]) -> list[RunRow]:
    """Return the runs of the mob and flow that ended since a time, in order."""
    found = [
        row
        for row in rows
        if of.mob_id in {None, row.mob_id}
        and of.flow_id in {None, row.flow_id}
        and since <= row.completed_at
    ]
    return sorted(found, key=_end, reverse=of.newest_first)


def _number(row: RunRow) -> int:
    """Return a run's number; without it, no page could continue after the run."""
    with naming_unreadable_rows("run", row.run_id):
        return stored_number(row.number)


def _end(row: RunRow) -> tuple[str, int]:
    with naming_unreadable_rows("run", row.run_id):
        return stored_text(row.completed_at), stored_number(row.number)
