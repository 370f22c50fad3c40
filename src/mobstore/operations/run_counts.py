"""Scripts that count runs by mob, flow and status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias, get_args

from mobstore.codec.decoding import naming_unreadable_rows, stored_text
from mobstore.model.run import MobRunStatus
from mobstore.operations.run_selection import runs_of
from mobstore.scripts.paging import FIRST_LIMIT, next_limit, size_of
from mobstore.scripts.tables import RUNS_BY_FLOW_STATUS, RunRow
from mobstore.scripts.transaction import Commit, Count, Scan, Script, ScriptPart

_COLUMNS = ("mob_id", "flow_id", "status")
_STATUSES: tuple[str, ...] = get_args(MobRunStatus)
_COUNTED_AT_ONCE = 256
_RUNS_READ = 8  # of each mob or flow, about, while others follow

_Group: TypeAlias = tuple[str | None, str | None, str | None]
"""The mob, flow and status of some runs; None: any."""


def count_runs(by: Sequence[str], mob_id: str | None) -> Script[dict[tuple[str, ...], int]]:
    """Count runs by an index; of each mob and flow that it lists, a few runs are read.

    Args:
        by: columns, in the order of the keys.
        mob_id: only runs of this mob; None: of all mobs.

    Returns:
        The counts, sorted by key; groups without runs are left out.
    """
    given: tuple[str, ...] = () if mob_id is None else (mob_id,)
    selected = [given]
    if "flow_id" in by:
        selected = yield from _distinct(given, 2)
    elif "mob_id" in by and mob_id is None:
        selected = yield from _distinct((), 1)
    statuses = _STATUSES if "status" in by else (None,)
    groups: list[_Group] = []
    for mob, flow in [(*one, None, None)[:2] for one in selected]:
        groups += [(mob, flow, status) for status in statuses]
    places = [_COLUMNS.index(column) for column in by]
    found: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for start in range(0, len(groups), _COUNTED_AT_ONCE):
        some = groups[start : start + _COUNTED_AT_ONCE]
        counts: tuple[int, ...] = yield tuple(Count(runs_of(*group)) for group in some)
        for group, count in zip(some, counts, strict=True):
            if count:  # flows of several mobs may have one key
                found[tuple(str(group[place]) for place in places)] += count
    return Commit(dict(sorted(found.items())))


def _distinct(given: tuple[str, ...], columns: int) -> ScriptPart[list[tuple[str, ...]]]:
    """Return the mobs that have runs, or their flows, each with its mob.

    Each page starts after the last mob or flow of the page before, so that its other runs are
    skipped. Pages are short where mobs or flows have many runs, and long where they have few.

    Args:
        given: the mob whose flows are found; () for all mobs.
        columns: 1 to find mobs, 2 to find flows.
    """
    found: dict[tuple[str, ...], None] = {}
    limit = FIRST_LIMIT
    last: tuple[str, ...] = ()
    scans = [Scan(RUNS_BY_FLOW_STATUS, given, limit=limit)]
    while True:
        pages: tuple[Sequence[RunRow], ...] = yield tuple(scans)
        rows: list[RunRow] = []
        for page in pages:  # the next one follows if this one has the last flow of its mob
            rows += page
            if len(page) == limit:
                break
        before = len(found)
        for row in rows:
            with naming_unreadable_rows("run", row.run_id):  # None would start at the beginning
                last = tuple(map(stored_text, (row.mob_id, row.flow_id)[:columns]))
            found[last] = None
        if all(len(page) < limit for page in pages):
            return list(found)
        limit = min(next_limit(limit, len(rows), size_of(rows)), _RUNS_READ * (len(found) - before))
        scans = [
            Scan(RUNS_BY_FLOW_STATUS, last[:depth], after=last[depth], limit=limit)
            for depth in reversed(range(len(given), columns))
        ]
