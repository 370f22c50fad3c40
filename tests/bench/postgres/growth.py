"""Growth: processes, stores on one server, the length of the log, and the time of a commit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from bench import samples
from bench.outcome import Outcome, cost, speed
from bench.postgres import pgbench
from bench.postgres.appending import OURS, by_64, by_one
from bench.postgres.children import Job, working
from bench.postgres.stage import (
    DELAY,
    FAST,
    SLOW,
    Place,
    Stage,
    commit_time,
    create_tables,
    open_mobstore,
)
from bench.turns import Contestant, Measured, Opener, Settings, Turn, by_tasks, compete
from mobstore.scripts.tables import NEXT_CURSOR

TASKS = 16
"""Tasks of each process where stores or slow commits are compared."""
_JOBS: tuple[tuple[Job, str, str, float], ...] = (
    ("append", "append", "appends/s", 1.3),
    ("cas", "CAS of 5 KB flow states, a run per task", "swaps/s", 1.8),
)
_FILL = """
    INSERT INTO {s}.events (cursor, mob_id, timestamp, type, run_id, kind)
    SELECT n, 'mob-' || mod(n, 50),
        to_char(to_timestamp(1577836800 + n) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
            || '.000000000Z',
        'step_completed', '24ede6a4-6b4c-4242-8a23-d5962217bead',
        '{"type":"step_completed","run_id":"24ede6a4-6b4c-4242-8a23-d5962217bead",'
        || '"step_id":"step-' || n || '"}'
    FROM generate_series(1, %(last)s::bigint) n
"""
_COUNT = """
    INSERT INTO {s}.counters (name, value) VALUES (%(name)s, %(next)s)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


def processes(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure one, two and four processes on one store."""
    for job, title, unit, target in _JOBS:
        for tasks, goal in ((1, None), (pgbench.MOST, target)):
            found = _by_processes(stage, settings, job, tasks)
            one, two, four = found.values()
            yield Outcome(
                f"{title}; processes with {tasks} task{'s' if tasks > 1 else ''} each, one store",
                unit,
                list(found.values()),
                [speed(two, one), speed(four, one, goal)],
                ["all processes share the cores with the server"],
            )


def _by_processes(
    stage: Stage, settings: Settings, job: Job, tasks: int, database: str = FAST
) -> dict[str, Measured]:
    def place() -> list[Place]:
        return [stage.place(database)]

    return compete(
        [
            Contestant(f"{number} process{'es' if number > 1 else ''}",
                       working(job, number, tasks, place))
            for number in (1, 2, 4)
        ],
        settings,
        least=8 * tasks,
    )  # fmt: skip


def stores(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure four processes on one, four and sixteen stores."""
    for job, title, unit, _ in _JOBS:
        found = compete(
            [
                Contestant(
                    f"{number} store{'s' if number > 1 else ''}",
                    working(job, 4, TASKS, partial(_places, stage, number)),
                )
                for number in (1, 4, 16)
            ],
            settings,
            least=16 * TASKS,
        )
        one, four, sixteen = found.values()
        yield Outcome(
            f"{title}; four processes with {TASKS} tasks each, stores on one server",
            unit,
            list(found.values()),
            [speed(four, one), speed(sixteen, one)],
            ["a store is a schema; with 4 stores each process has one, with 16 it has four"],
        )


def _places(stage: Stage, number: int) -> list[Place]:
    return [stage.place() for _ in range(number)]


def long_log(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure appends to logs of different length: the cost must not grow."""
    sizes = (1_000, 100_000, *(() if settings.quick else (2_000_000,)))
    found = compete(
        [Contestant(f"{OURS}, {size:,} events", _appending(stage, size)) for size in sizes],
        settings,
        least=50,
    )
    shortest, *longer = found.values()
    yield Outcome(
        "append to a long log, one task",
        "appends/s",
        list(found.values()),
        [cost(one, shortest, 1.3) for one in longer],
    )


def _appending(stage: Stage, size: int) -> Opener:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        place = stage.place()
        await create_tables(place)
        place.execute(_FILL, last=size)
        place.execute(_COUNT, name=NEXT_CURSOR, next=size + 1)
        place.execute("VACUUM ANALYZE {s}.events")
        async with open_mobstore(place) as opened_stores:

            async def turn(count: int) -> float:
                return await by_tasks(1, samples.events(count), opened_stores.events.append)

            yield turn

    return opened


def slow_commit(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure a server whose commits take 3 ms longer.

    Raises:
        RuntimeError: the server does not delay them, or a contestant does not wait for them.
    """
    fast, slow = (commit_time(stage.place(database)) for database in (FAST, SLOW))
    if slow - fast < DELAY * 0.9:
        raise RuntimeError(f"a commit takes {slow * 1e3:.2f} ms instead of {fast * 1e3:.2f} ms")
    notes = [
        f"median time of a small INSERT: {slow * 1e3:.2f} ms, without the delay {fast * 1e3:.2f} ms"
        f" (commit_delay = {DELAY * 1e6:.0f}, commit_siblings = 0)"
    ]
    found = compete(by_one(stage, SLOW), settings, least=16)
    for one in found.values():
        if one.cost < DELAY * 0.9:
            raise RuntimeError(f"{one.name} does not wait for its commits: {one.cost * 1e3:.2f} ms")
    ours = found[OURS]
    others = [one for name, one in found.items() if name != OURS]
    yield Outcome(
        "append, one task, commits 3 ms slower",
        "appends/s",
        list(found.values()),
        [speed(ours, other) for other in others],
        notes,
    )
    found = compete(by_64(stage, SLOW), settings, least=pgbench.MOST * 5)
    ours = found[OURS]
    yield Outcome(
        f"append, {pgbench.MOST} tasks, commits 3 ms slower",
        "appends/s",
        list(found.values()),
        [
            speed(ours, found[pgbench.COUNTER_AND_INSERT.named(pgbench.MOST)]),
            speed(ours, found[pgbench.PLAIN.named(pgbench.MOST)]),
        ],
    )
    for tasks in (1, TASKS):
        found = _by_processes(stage, settings, "cas", tasks, SLOW)
        one, two, four = found.values()
        yield Outcome(
            f"CAS of 5 KB flow states, a run per task; processes with {tasks}"
            f" task{'s' if tasks > 1 else ''} each, commits 3 ms slower",
            "swaps/s",
            list(found.values()),
            [speed(two, one), speed(four, one)],
        )
