"""Reads of whole runs and of the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg

from bench import samples
from bench.logs import OpenLog
from bench.outcome import Outcome, speed
from bench.peers import eventsourcing_postgres, langgraph_postgres
from bench.postgres import raw
from bench.postgres.appending import mobstore_log
from bench.postgres.stage import FAST, Place, Stage, open_mobstore
from bench.postgres.swapping import SIZE
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, by_tasks, compete
from bench.works.poll import LIMIT

OURS = "mobstore"
RAW = "raw psycopg, text"
RUNS = 100
_PARTS = ("step_ledger", "failure_ledger", "frames", "loops", "loop_iterations",
          "root_step_outputs", "loop_outputs", "loop_step_outputs")  # fmt: skip
_SELECTS = [f"SELECT * FROM {{s}}.{table} WHERE run_id = %s"
            for table in ("runs", "run_states", *_PARTS)]  # fmt: skip


def get_run(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure reads of runs with a state of 5 KB and ten entries in the ledger."""
    for tasks in (1, 64):
        found = compete(
            [
                Contestant(OURS, _mobstore(stage, tasks)),
                *([Contestant(RAW, _raw(stage))] if tasks == 1 else []),
                Contestant(langgraph_postgres.NAME, _langgraph(stage, tasks)),
            ],
            settings,
            least=50,
        )
        others = [one for name, one in found.items() if name != OURS]
        yield Outcome(
            f"get_run, {tasks} task{'s' if tasks > 1 else ''}",
            "runs/s",
            list(found.values()),
            [speed(found[OURS], other) for other in others],
            [
                "raw psycopg selects the rows of the ten tables from one snapshot, in one round"
                " trip; it decodes no JSON",
                f"{langgraph_postgres.NAME} reads the last checkpoint of a thread, with one text",
            ],
        )


async def _fill(place: Place) -> list[str]:
    """Create runs and return their ids."""
    states = samples.states(SIZE)
    async with open_mobstore(place) as stores:
        run_ids = list[str]()
        for n in range(RUNS):
            run = samples.run(entries=10).model_copy(update={"flow_state": states[n % len(states)]})
            await stores.runs.create_run(run)
            run_ids.append(str(run.run_id))
    return run_ids


def _mobstore(stage: Stage, tasks: int) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        place = stage.place()
        run_ids = await _fill(place)
        async with open_mobstore(place) as stores:

            async def get(n: int) -> None:
                assert await stores.runs.get_run(run_ids[n % RUNS]) is not None

            async def turn(count: int) -> float:
                return await by_tasks(tasks, range(count), get)

            yield turn

    return opened


def _raw(stage: Stage) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        place = stage.place()
        run_ids = await _fill(place)
        selects = list(map(place.sql, _SELECTS))
        with closing(place.connect()) as connection, connection.pipeline() as pipeline:

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for n in range(count):
                        head, state, ledger, *_ = _read(
                            connection, pipeline, selects, run_ids[n % RUNS]
                        )
                        assert (len(head), len(state), len(ledger)) == (1, 1, 10)
                return watch.seconds

            yield turn

    return opened


def _read(
    connection: psycopg.Connection[Any],
    pipeline: psycopg.Pipeline,
    selects: Sequence[bytes],
    run_id: str,
) -> list[list[Any]]:
    """Return the rows of one run from one snapshot, in one round trip."""
    connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    found = [connection.execute(select, (run_id,), prepare=True) for select in selects]
    connection.execute(b"COMMIT")
    pipeline.sync()
    return [cursor.fetchall() for cursor in found]


def _langgraph(stage: Stage, tasks: int) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        states = samples.states(SIZE)
        async with langgraph_postgres.open_saver(stage.place()) as checkpoints:
            for n in range(RUNS):
                await checkpoints.put(f"run-{n}", states[n % len(states)].to_json())

            async def get(n: int) -> None:
                assert await checkpoints.get(f"run-{n % RUNS}")

            async def turn(count: int) -> float:
                return await by_tasks(tasks, range(count), get)

            yield turn

    return opened


# The log ---------------------------------------------------------------------------------------


def poll(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure a poll of a whole log."""
    others = {
        raw.BLOCKING: raw.open_log(stage, FAST),
        eventsourcing_postgres.NAME: eventsourcing_postgres.open_log(stage),
    }
    logs = {OURS: mobstore_log(stage), **others}
    found = compete(
        [Contestant(name, _polling(log)) for name, log in logs.items()],
        settings,
        per_operation=LIMIT,
    )
    yield Outcome(
        f"poll of {LIMIT:,} into models",
        "events/s",
        list(found.values()),
        [speed(found[OURS], found[name]) for name in others],
        ["the others decode the JSON of each event into a dict, no models"],
    )


def _polling(open_log: OpenLog) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        async with open_log(path) as log:
            await log.append_batch(log.prepare(LIMIT))

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        assert len(await log.read(LIMIT)) == LIMIT
                return watch.seconds

            yield turn

    return opened
