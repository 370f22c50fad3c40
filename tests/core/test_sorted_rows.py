"""The cost of finding rows in memory: what a scan finds, not the size of the store."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from core.runs import RUN
from mobstore.operations.run_counts import count_runs
from mobstore.scripts.memory_tables import MemoryTables
from mobstore.scripts.sorted_rows import SortedRows
from mobstore.scripts.tables import RUNS, RUNS_BY_FLOW_STATUS
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
