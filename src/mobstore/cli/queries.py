"""What the command line asks that the stores' interfaces do not offer: counts."""

from __future__ import annotations

from typing import NamedTuple

from mobstore.model.run import RunHeader
from mobstore.operations.identity import parse_identity
from mobstore.operations.run_reading import Selection, run_headers
from mobstore.scripts.tables import (
    COUNTERS,
    EVENTS,
    FAILURE_LEDGER,
    IDENTITY,
    META,
    NEXT_CURSOR,
    REALM_PROFILES,
    RUNS,
    SPECS,
    STEP_LEDGER,
)
from mobstore.scripts.transaction import Commit, Count, Get, Scan, Script, fetch


class Inventory(NamedTuple):
    """How much a store holds."""

    identity: str | None
    events: int
    next_cursor: int
    runs: int
    specs: int
    realm_profiles: int


class RunLine(NamedTuple):
    """A run in a list: its head, and how long its ledgers are."""

    header: RunHeader
    steps: int
    failures: int


def inventory() -> Script[Inventory]:
    """Count everything."""
    meta, counter = yield from fetch(Get(META, (IDENTITY,)), Get(COUNTERS, (NEXT_CURSOR,)))
    identity = parse_identity(meta)
    events, runs = yield from fetch(Count(Scan(EVENTS)), Count(Scan(RUNS)))
    specs, profiles = yield from fetch(Count(Scan(SPECS)), Count(Scan(REALM_PROFILES)))
    return Commit(
        Inventory(
            None if identity is None else str(identity),
            events,
            1 if counter is None else counter.value,
            runs,
            specs,
            profiles,
        )
    )


def run_lines(of: Selection) -> Script[list[RunLine]]:
    """Runs for a list; without their parameters, which may be huge."""
    headers = (yield from run_headers(of)).result
    lines: list[RunLine] = []
    for header in headers:
        of_run = (str(header.run_id),)
        steps, failures = yield from fetch(
            Count(Scan(STEP_LEDGER, of_run)), Count(Scan(FAILURE_LEDGER, of_run))
        )
        shorter = header.model_copy(update={"activation_params": None})
        lines.append(RunLine(shorter, steps, failures))
    return Commit(lines)
