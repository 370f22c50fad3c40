"""Scripts that count runs by mob, flow and status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias, get_args

from mobstore.codec.decoding import naming_unreadable_rows, stored_text
from mobstore.model.run import MobRunStatus
from mobstore.operations.run_selection import runs_of
from mobstore.scripts.tables import RUNS_BY_FLOW_STATUS
from mobstore.scripts.transaction import Commit, Count, Scan, Script, ScriptPart, fetch

_COLUMNS = ("mob_id", "flow_id", "status")
_STATUSES: tuple[str, ...] = get_args(MobRunStatus)
_COUNTED_AT_ONCE = 256

_Group: TypeAlias = tuple[str | None, str | None, str | None]
"""The mob, flow and status of some runs; None: any."""


def count_runs(by: Sequence[str], mob_id: str | None) -> Script[dict[tuple[str, ...], int]]:
    """Count runs by an index; of each mob and flow that it lists, one run is read.

    Args:
        by: columns, in the order of the keys.
        mob_id: only runs of this mob; None: of all mobs.

    Returns:
        The counts, sorted by key; groups without runs are left out.
    """
    mobs: list[str | None] = [mob_id]
    if mob_id is None and not {"mob_id", "flow_id"}.isdisjoint(by):
        mobs = [*(yield from _distinct(()))]
    flows: list[tuple[str | None, str | None]] = []
    for mob in mobs:
        if "flow_id" in by and mob is not None:
            flows += [(mob, flow) for flow in (yield from _distinct((mob,)))]
        else:
            flows.append((mob, None))
    statuses = _STATUSES if "status" in by else (None,)
    groups: list[_Group] = [(*flow, status) for flow in flows for status in statuses]
    places = [_COLUMNS.index(column) for column in by]
    found: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for start in range(0, len(groups), _COUNTED_AT_ONCE):
        some = groups[start : start + _COUNTED_AT_ONCE]
        counts: tuple[int, ...] = yield tuple(Count(runs_of(*group)) for group in some)
        for group, count in zip(some, counts, strict=True):
            if count:  # flows of several mobs may have one key
                found[tuple(str(group[place]) for place in places)] += count
    return Commit(dict(sorted(found.items())))


def _distinct(prefix: tuple[str, ...]) -> ScriptPart[list[str]]:
    """Return the mobs that have runs, or the flows of one mob, each found by skipping its runs."""
    found: list[str] = []
    column = len(prefix)
    while rows := (
        yield from fetch(
            Scan(RUNS_BY_FLOW_STATUS, prefix, after=found[-1] if found else None, limit=1)
        )
    ):
        (row,) = rows
        with naming_unreadable_rows("run", row.run_id):  # None would start at the beginning
            found.append(stored_text((row.mob_id, row.flow_id)[column]))
    return found
