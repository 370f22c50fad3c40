"""Appends of single events and of batches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import samples
from bench.logs import EventLog, MobstoreLog, OpenLog
from bench.outcome import Outcome, speed
from bench.peers import dbos_workflows, eventsourcing_postgres, named
from bench.postgres import pgbench, raw
from bench.postgres.stage import FAST, Stage, open_mobstore
from bench.turns import Contestant, Settings, compete
from bench.works.append import BATCH, appending, batching

OURS = "mobstore"


def mobstore_log(stage: Stage, database: str = FAST) -> OpenLog:
    """Return a function that opens mobstore's log in a new place."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[EventLog]:
        async with open_mobstore(stage.place(database)) as stores:
            yield MobstoreLog(stores)

    return opened


def append_one(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure appends by one task."""
    found = compete(
        [
            *by_one(stage),
            pgbench.PLAIN.at(stage, 1),
            appending(eventsourcing_postgres.NAME, eventsourcing_postgres.open_log(stage), 1),
            _dbos(stage, 1),
        ],
        settings,
        least=50,
    )
    ours = found[OURS]
    yield Outcome(
        "append, one task",
        "appends/s",
        list(found.values()),
        [
            speed(ours, found[raw.BLOCKING], 0.75),
            speed(ours, found[raw.ASYNC], 0.75),
            speed(ours, found[pgbench.COUNTER_AND_INSERT.named(1)]),
            speed(ours, found[pgbench.PLAIN.named(1)]),
            speed(ours, found[eventsourcing_postgres.NAME]),
            speed(ours, found[dbos_workflows.STREAM]),
        ],
        _notes(),
    )


def by_one(stage: Stage, database: str = FAST) -> list[Contestant]:
    """Return the contestants for appends by one task that use mobstore's tables."""
    return [
        appending(OURS, mobstore_log(stage, database), 1),
        appending(raw.BLOCKING, raw.open_log(stage, database), 1),
        appending(raw.ASYNC, raw.open_async_log(stage, database), 1),
        pgbench.COUNTER_AND_INSERT.at(stage, 1, database),
    ]


def append_64(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure appends by 64 concurrent tasks."""
    tasks = pgbench.MOST
    found = compete(
        [
            *by_64(stage),
            pgbench.ONE_STATEMENT.at(stage, tasks),
            appending(
                eventsourcing_postgres.NAME, eventsourcing_postgres.open_log(stage, tasks), tasks
            ),
            _dbos(stage, tasks),
        ],
        settings,
        least=pgbench.least(settings),
    )
    ours = found[OURS]
    yield Outcome(
        f"append, {tasks} tasks",
        "appends/s",
        list(found.values()),
        [
            speed(ours, found[pgbench.COUNTER_AND_INSERT.named(tasks)], 15),
            speed(ours, found[pgbench.PLAIN.named(tasks)], 1),
            speed(ours, found[pgbench.ONE_STATEMENT.named(tasks)]),
            speed(ours, found[eventsourcing_postgres.NAME]),
            speed(ours, found[dbos_workflows.STREAM]),
        ],
        _notes(),
    )


def by_64(stage: Stage, database: str = FAST) -> list[Contestant]:
    """Return the contestants for appends by 64 tasks that use mobstore's tables."""
    return [
        appending(OURS, mobstore_log(stage, database), pgbench.MOST),
        pgbench.COUNTER_AND_INSERT.at(stage, pgbench.MOST, database),
        pgbench.PLAIN.at(stage, pgbench.MOST, database),
    ]


def _dbos(stage: Stage, tasks: int) -> Contestant:
    return dbos_workflows.writing(stage, dbos_workflows.STREAM, samples.kinds, tasks)


def _notes() -> list[str]:
    return [
        "pgbench inserts a constant event; raw psycopg and the libraries encode theirs",
        f"{named('eventsourcing')} appends by its recorder, through its function in the database;"
        f" 64 tasks have 64 threads and {eventsourcing_postgres.CONNECTIONS} connections",
        f"{named('dbos')}: {dbos_workflows.ABOUT}",
    ]


def append_batch(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure a call that appends 10,000 events."""
    found = compete(
        [
            batching(OURS, mobstore_log(stage), BATCH),
            batching(raw.BLOCKING, raw.open_log(stage, FAST), BATCH),
            batching(eventsourcing_postgres.NAME, eventsourcing_postgres.open_log(stage), BATCH),
        ],
        settings,
        least=BATCH,
        most=4 * BATCH,
    )
    ours = found[OURS]
    yield Outcome(
        f"append_batch of {BATCH:,}, JSON encoding included",
        "events/s",
        list(found.values()),
        [speed(ours, found[raw.BLOCKING]), speed(ours, found[eventsourcing_postgres.NAME])],
        ["raw psycopg inserts from arrays, in the same two round trips"],
    )
