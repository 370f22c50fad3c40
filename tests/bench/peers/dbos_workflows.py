"""DBOS: writes of workflows, one workflow per task, each in a thread.

The nearest to an event log is a workflow's stream. The nearest to a run's state is a workflow's
event, which a later one with the same key replaces.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from threading import Barrier
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

from bench.peers import load
from bench.postgres.stage import Stage
from bench.turns import Contestant, Stopwatch, Turn

STREAM, EVENT = "DBOS, write_stream", "DBOS, set_event"
ABOUT = (
    "each task is a workflow in a thread. write_stream adds a value to the workflow's stream,"
    " set_event replaces the value of a key; both record a step in the same transaction"
)


class _Work(NamedTuple):
    """The writes of one turn; the workflows begin together.

    Attributes:
        write: writes a value.
        shares: the values of each task.
        barrier: where the workflows wait for each other.
        ends: when each of them ended.
    """

    write: Callable[[str, Any], None]
    shares: Sequence[Sequence[Any]]
    barrier: Barrier
    ends: list[float]


_turns: dict[str, _Work] = {}
"""By the argument of their workflows: arguments are stored, and the values must not be."""


@cache
def _workflow() -> Any:
    """Return the workflow; the library keeps a registry of them."""

    def write_all(turn: str, task: int) -> None:
        work = _turns[turn]
        work.barrier.wait()
        for value in work.shares[task]:
            work.write("bench", value)
        work.ends.append(perf_counter())

    return load("dbos").DBOS.workflow()(write_all)


def writing(
    stage: Stage, name: str, prepare: Callable[[int], Sequence[Any]], tasks: int
) -> Contestant:
    """Return the contestant that writes values to a stream or as an event."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        dbos = load("dbos").DBOS
        workflow = _workflow()
        place = stage.place()
        dbos(
            config={
                "name": "bench",
                "system_database_url": place.database,
                "dbos_system_schema": place.schema,
                "max_executor_threads": 2 * tasks,
                "log_level": "ERROR",
            }
        )
        dbos.launch()
        try:
            write = dbos.write_stream if name == STREAM else dbos.set_event

            async def turn(count: int) -> float:
                values = prepare(count)
                turn_id, barrier = str(uuid4()), Barrier(tasks + 1)
                work = _turns[turn_id] = _Work(
                    write, [values[n::tasks] for n in range(tasks)], barrier, []
                )
                with Stopwatch():
                    handles = [dbos.start_workflow(workflow, turn_id, n) for n in range(tasks)]
                    barrier.wait()
                    start = perf_counter()
                    for handle in handles:
                        handle.get_result()
                del _turns[turn_id]
                return max(work.ends) - start

            yield turn
        finally:
            dbos.destroy()

    return Contestant(name, opened)
