"""The cost of reads grows with what is found, not with the size of the store."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from core.runs import NOW, RUN
from mobstore.operations.claims import Work, claim_next
from mobstore.operations.run_counts import count_runs
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.sorted_rows import SortedRows
from mobstore.scripts.tables import RUN_CLAIMS, RUNS, RUNS_BY_FLOW_STATUS, RunClaimRow
from mobstore.scripts.transaction import Add, Scan, drive

MANY = 20_000


@pytest.mark.parametrize("backwards", [False, True])
def test_a_limited_scan_copies_no_more_values_than_it_needs(backwards: bool) -> None:
    rows = SortedRows(RUNS_BY_FLOW_STATUS)
    for n in range(MANY):
        rows.add(RUN._replace(mob_id=f"{n:05}", number=n), (f"{n:05}",))
    first = Scan(RUNS_BY_FLOW_STATUS, after="00500", limit=1, backwards=backwards)
    assert rows.find(first) == [("19999" if backwards else "00501",)]  # sorts all values
    tracemalloc.start()
    try:
        assert rows.find(first) == [("19999" if backwards else "00501",)]
        assert tracemalloc.get_traced_memory()[1] < MANY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("mobs", "flows"), [(2000, 1), (1, 2000), (40, 50)])
def test_counts_of_many_mobs_and_flows_need_few_round_trips(mobs: int, flows: int) -> None:
    tables = MemoryTables()
    runs = [
        RUN._replace(run_id=f"{n}", number=n, mob_id=f"{n % mobs}", flow_id=f"{n // mobs}")
        for n in range(mobs * flows)
    ]
    tables.write((Add(RUNS, runs),))
    read = trips = 0

    def answer(asked: Any) -> object:
        nonlocal read
        found = tables.answer(asked)
        read += len(found) if isinstance(asked, Scan) else 0  # type: ignore[arg-type]
        return found

    def counted() -> Any:
        nonlocal trips
        script: Any = count_runs(("mob_id", "flow_id"), None)
        asked = next(script)
        try:
            while True:
                trips += 1
                asked = script.send((yield asked))
        except StopIteration as end:
            return end.value

    assert len(drive(counted(), answer, str).result) == 2000
    assert trips < 30
    assert read <= 2 * len(runs) + 4


@pytest.mark.parametrize("holder", ["idle", "busy"])
def test_claim_next_reads_no_more_rows_if_many_runs_are_held(holder: str) -> None:
    tables = MemoryTables()
    held = [
        RunClaimRow(f"{n:04}", n, "desk", "daily", "running", "9999", "busy", n, 1)
        for n in range(1, 1000)
    ]
    free = RunClaimRow(RUN.run_id, RUN.number, "desk", "daily", "running", "", "", 0, 0)
    tables.write((Add(RUN_CLAIMS, [*held, free]), Add(RUNS, [RUN])))
    read = 0

    def answer(asked: Any) -> object:
        nonlocal read
        found = tables.answer(asked)
        read += len(found) if isinstance(asked, Scan) else 1  # type: ignore[arg-type]
        return found

    claim = drive(claim_next(Work(holder, 10**6, ("running",), most=1)), answer, lambda: NOW).result
    assert (claim is None) == (holder == "busy")
    assert read <= 5
