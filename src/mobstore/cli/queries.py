"""What the command line asks that the stores' interfaces do not offer: counts and headers."""

from __future__ import annotations

from typing import NamedTuple

from mobstore.model.timestamp import Timestamp
from mobstore.operations.events import NEXT_CURSOR
from mobstore.tables import (
    COUNTERS,
    EVENTS,
    FAILURE_LEDGER,
    REALM_PROFILES,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    RUNS_BY_MOB,
    SPECS,
    STEP_LEDGER,
    RunRow,
)
from mobstore.transaction import Commit, Count, Get, Scan, Script, fetch


class Inventory(NamedTuple):
    """How much a store holds."""

    events: int
    next_cursor: int
    runs: int
    specs: int
    realm_profiles: int


class RunHeader(NamedTuple):
    """A run without its content."""

    run_id: str
    mob_id: str
    flow_id: str
    status: str
    created_at: Timestamp
    completed_at: Timestamp | None
    steps: int
    failures: int


def inventory() -> Script[Inventory]:
    """Count everything."""
    counter, events, runs = yield from fetch(
        Get(COUNTERS, (NEXT_CURSOR,)), Count(Scan(EVENTS)), Count(Scan(RUNS))
    )
    specs, profiles = yield from fetch(Count(Scan(SPECS)), Count(Scan(REALM_PROFILES)))
    return Commit(Inventory(events, 1 if counter is None else counter.value, runs, specs, profiles))


def run_headers(mob_id: str | None, flow_id: str | None) -> Script[list[RunHeader]]:
    """The runs of all mobs, of one, or of one flow, in the order of their creation."""
    scan: Scan[RunRow] = Scan(RUNS)
    if mob_id is not None:
        scan = Scan(RUNS_BY_MOB, (mob_id,))
        if flow_id is not None:
            scan = Scan(RUNS_BY_FLOW, (mob_id, flow_id))
    found = yield from fetch(scan)
    headers: list[RunHeader] = []
    for row in sorted(found, key=lambda run: run.number):
        if flow_id not in {None, row.flow_id}:
            continue
        of_run = (row.run_id,)
        state, steps, failures = yield from fetch(
            Get(RUN_STATES, of_run),
            Count(Scan(STEP_LEDGER, of_run)),
            Count(Scan(FAILURE_LEDGER, of_run)),
        )
        ended = state.completed_at if state else None
        headers.append(
            RunHeader(
                row.run_id,
                row.mob_id,
                row.flow_id,
                state.status if state else "missing",
                Timestamp.from_sortable(row.created_at),
                None if ended is None else Timestamp.from_sortable(ended),
                steps,
                failures,
            )
        )
    return Commit(headers)
