"""Scripts that count the contents of a store."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from mobstore.model.ids import MobId
from mobstore.model.overview import ConsumerOverview, MobOverview, Overview
from mobstore.model.run import RunHeader
from mobstore.operations.identity import parse_identity
from mobstore.operations.run_reading import run_headers
from mobstore.operations.run_selection import Selection
from mobstore.scripts.tables import (
    CLAIMS,
    CONSUMERS,
    COUNTERS,
    EVENTS,
    EVENTS_BY_MOB,
    FAILURE_LEDGER,
    IDENTITY,
    IMPORTED_FROM,
    META,
    NEXT_CURSOR,
    REALM_PROFILES,
    RUN_CLAIMS_BY_HOLDER,
    RUNS,
    RUNS_BY_MOB,
    SPECS,
    STEP_LEDGER,
    EventRow,
    Index,
    RunRow,
    Table,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, ScriptPart, fetch

R = TypeVar("R", EventRow, RunRow)

_ROWS_AT_ONCE = 1000
_ROWS_OF_A_JUMP = 16  # rows of one mob may be far apart, and most pages hold only one mob


def count_all() -> Script[Overview]:
    """Count everything, by mob."""
    meta, mark, counter = yield from fetch(
        Get(META, (IDENTITY,)), Get(META, (IMPORTED_FROM,)), Get(COUNTERS, (NEXT_CURSOR,))
    )
    specs, profiles = yield from fetch(Scan(SPECS), Count(Scan(REALM_PROFILES)))
    consumers = yield from fetch(Scan(CONSUMERS))
    claims = yield from count_claims()
    revisions = {spec.mob_id: spec.revision for spec in specs}
    events = yield from counts_by_mob(EVENTS, EVENTS_BY_MOB, list(revisions))
    runs = yield from counts_by_mob(RUNS, RUNS_BY_MOB, list(events))
    mobs = tuple(
        MobOverview(
            mob_id=MobId(mob_id),
            revision=revisions.get(mob_id),
            events=events.get(mob_id, 0),
            runs=runs.get(mob_id, 0),
        )
        for mob_id in sorted({*events, *runs})
    )
    return Commit(
        Overview(
            identity=parse_identity(meta),
            events=sum(events.values()),
            next_cursor=1 if counter is None else counter.value,
            runs=sum(runs.values()),
            specs=len(specs),
            realm_profiles=profiles,
            claims=claims,
            imported_from=None if mark is None else mark.value,
            consumers=tuple(ConsumerOverview(name=c.name, cursor=c.cursor) for c in consumers),
            mobs=mobs,
        )
    )


def count_claims() -> ScriptPart[int]:
    """Count the claims that are held. Rows without a holder only put a claim off."""
    held = yield from fetch(Count(Scan(RUN_CLAIMS_BY_HOLDER, after="")))
    last: str | None = None
    while rows := (yield from fetch(Scan(CLAIMS, after=last, limit=_ROWS_AT_ONCE))):
        held += sum(row.holder != "" for row in rows)
        last = rows[-1].name
    return held


def counts_by_mob(
    table: Table[R], by_mob: Index[R], known: list[str]
) -> ScriptPart[dict[str, int]]:
    """Count the rows of each mob, for the known mobs and those found in the table.

    No index lists the mobs. Most are found by their specs, or in the first rows of the table.
    Then the index is read, with a jump over the further rows of the last mob of each page.
    """
    total = yield from fetch(Count(Scan(table)))
    counts: dict[str, int] = {}
    found = known
    page: Scan[R] = Scan(table, limit=_ROWS_AT_ONCE)
    while True:
        answers = yield tuple(Count(Scan(by_mob, (mob_id,))) for mob_id in found)
        counts.update(zip(found, answers, strict=True))
        if sum(counts.values()) >= total:
            return counts
        rows = yield from fetch(page)
        found = list(dict.fromkeys(row.mob_id for row in rows if row.mob_id not in counts))
        last = None if page.index is table else rows[-1].mob_id
        page = Scan(by_mob, after=last, limit=_ROWS_OF_A_JUMP)


class RunSummary(NamedTuple):
    """A run's header without its parameters, which may be huge, and the sizes of its ledgers."""

    header: RunHeader
    steps: int
    failures: int


def run_summaries(selection: Selection) -> Script[list[RunSummary]]:
    """Return the headers of runs, and how many entries their ledgers have."""
    headers = (yield from run_headers(selection)).result
    keys = [(str(header.run_id),) for header in headers]
    steps = yield tuple(Count(Scan(STEP_LEDGER, key)) for key in keys)
    failures = yield tuple(Count(Scan(FAILURE_LEDGER, key)) for key in keys)
    without = [header.model_copy(update={"activation_params": None}) for header in headers]
    return Commit(list(map(RunSummary, without, steps, failures)))
