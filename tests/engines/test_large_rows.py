"""Large reads run on a thread, small ones on the event loop."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.support import RUN, new_run
from mobstore import open_stores
from mobstore.codec.events import MODELS
from mobstore.engines.clock import machine_time
from mobstore.engines.sqlite.connections import connect
from mobstore.engines.sqlite.interruption import Interruption
from mobstore.engines.sqlite.reads import DEFERRED, read, read_at_once
from mobstore.engines.sqlite.rows import Rows
from mobstore.operations import events as event_log, run_reading, run_selection
from mobstore.operations.event_queries import Span
from mobstore.scripts.transaction import PartsScript
from mobstore.testing.samples import step, tagged_event

pytestmark = pytest.mark.slow

KEY = str(RUN)
WHOLE_RUN = lambda: run_reading.get_run(KEY)  # noqa: E731
LIST = lambda: run_reading.list_runs(run_selection.Selection())  # noqa: E731
EVENTS = lambda: event_log.poll(MODELS, Span(0), 1000)  # noqa: E731


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


async def _fill(path: Path, *, output: int = 0, events: int = 0, each: int = 0) -> None:
    async with open_stores(f"sqlite:{path}", durability="normal") as stores:
        await stores.runs.create_run(new_run(step_ledger=[step("s", output="x" * output)]))
        await stores.events.append_batch([tagged_event("e", "x" * each)] * events)


@pytest.mark.parametrize(
    ("content", "make", "elsewhere"),
    [
        ({"output": 10_000}, WHOLE_RUN, False),
        ({"output": 10_000}, LIST, False),
        ({"output": 5_000_000}, WHOLE_RUN, True),
        ({"output": 5_000_000}, LIST, True),
        ({"output": 5_000_000}, lambda: run_reading.get_run_header(KEY), False),
        ({"output": 5_000_000}, lambda: run_reading.step_entries(KEY, 0, 1), True),
        ({"events": 900, "each": 10}, EVENTS, False),
        ({"events": 900, "each": 5_000}, EVENTS, True),
        ({"events": 900, "each": 5_000}, lambda: event_log.poll(MODELS, Span(0), 100), False),
        ({"events": 1000, "each": 1}, lambda: event_log.poll(MODELS, Span(0), 9999), False),
        ({"events": 3, "each": 3_000_000}, EVENTS, True),
        ({"events": 1100, "each": 1}, lambda: event_log.poll(MODELS, Span(0), 1100), True),
    ],
)
def test_large_reads_run_on_a_thread(
    path: Path, content: dict[str, int], make: Callable[[], PartsScript[Any]], elsewhere: bool
) -> None:
    ended: list[int] = []

    def noted() -> PartsScript[Any]:
        commit = yield from make()
        ended.append(threading.get_ident())
        return commit

    async def main() -> None:
        await _fill(path, **content)
        async with open_stores(f"sqlite:{path}") as stores:
            for _ in range(3):  # and the connection still reads
                ended.clear()
                await stores.engine.read_parts(noted)
                assert (threading.get_ident() not in ended) is elsewhere
                assert len(ended) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content", "make"),
    [
        ({"output": 50_000_000}, WHOLE_RUN),
        ({"output": 50_000_000}, lambda: run_reading.step_entries(KEY, 0, 1)),
        ({"events": 900, "each": 50_000}, EVENTS),
    ],
)
def test_reading_stops_before_it_has_read_much(
    path: Path, content: dict[str, int], make: Callable[[], PartsScript[Any]]
) -> None:
    asyncio.run(_fill(path, **content))
    with closing(Rows(connect(path, "rw"))) as rows:
        tracemalloc.start()
        try:
            assert read_at_once(rows, make, machine_time) is DEFERRED
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4_000_000
        assert read(rows, make, machine_time, Interruption())
