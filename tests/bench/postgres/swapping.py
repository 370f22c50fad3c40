"""Compare-and-swap of runs' flow states."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import TypeAlias

from bench import samples
from bench.outcome import Outcome, speed
from bench.peers import dbos_workflows, langgraph_postgres, named
from bench.postgres import pgbench, raw
from bench.postgres.stage import FAST, Stage, open_mobstore
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, by_tasks, compete
from mobstore import MobStores

OURS = "mobstore"
ONE_UPDATE = "raw psycopg, one UPDATE"
SIZE = 5_000
_READ = "SELECT flow_state FROM {s}.run_states WHERE run_id = %s"
_WRITE = "UPDATE {s}.run_states SET flow_state = %s WHERE run_id = %s"

Swap: TypeAlias = Callable[[int], Awaitable[None]]
"""Swaps the state of the run of one of the tasks."""


def cas_one(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure swaps by one task."""
    update = pgbench.swapping(SIZE)
    found = compete(
        [
            mobstore_swaps(stage, 1),
            Contestant(raw.BLOCKING, _raw(stage, at_once=False)),
            Contestant(ONE_UPDATE, _raw(stage, at_once=True)),
            update.at(stage, 1),
            _langgraph(stage, 1),
            _dbos(stage, 1),
        ],
        settings,
        least=50,
    )
    ours = found[OURS]
    yield Outcome(
        "CAS of a 5 KB flow state, one task",
        "swaps/s",
        list(found.values()),
        [
            speed(ours, found[raw.BLOCKING]),
            speed(ours, found[ONE_UPDATE]),
            speed(ours, found[update.named(1)]),
            speed(ours, found[langgraph_postgres.NAME]),
            speed(ours, found[dbos_workflows.EVENT]),
        ],
        _notes(),
    )


def cas_64(stage: Stage, settings: Settings) -> Iterator[Outcome]:
    """Measure swaps by 64 tasks, each on a run of its own."""
    tasks = pgbench.MOST
    update, smaller = pgbench.swapping(SIZE), pgbench.swapping(SIZE, compression="lz4")
    found = compete(
        [
            mobstore_swaps(stage, tasks),
            update.at(stage, tasks),
            smaller.at(stage, tasks),
            _langgraph(stage, tasks),
            _dbos(stage, tasks),
        ],
        settings,
        least=pgbench.least(settings),
    )
    ours = found[OURS]
    yield Outcome(
        f"CAS of 5 KB flow states, {tasks} tasks, a run each",
        "swaps/s",
        list(found.values()),
        [
            speed(ours, found[update.named(tasks)], 1.5),
            speed(ours, found[smaller.named(tasks)], 1.2),
            speed(ours, found[langgraph_postgres.NAME]),
            speed(ours, found[dbos_workflows.EVENT]),
        ],
        _notes(),
    )


def _notes() -> list[str]:
    return [
        f"the states have about {len(samples.states(SIZE)[0].to_json()):,} bytes of JSON and are"
        " built beforehand; pgbench's server keeps its two states in prepared statements",
        "mobstore asks for lz4, where the server has it; pgbench without it uses the server's"
        " default, pglz",
        f"{named(langgraph_postgres.NAME)} puts the text of a state as the only value of a"
        " checkpoint; it keeps all checkpoints. Its tasks share a connection",
        f"{named('dbos')}: {dbos_workflows.ABOUT}",
    ]


# mobstore --------------------------------------------------------------------------------------


async def swaps_of(stores: Sequence[MobStores], tasks: int) -> Swap:
    """Create a run for each task, in the stores in turn."""
    states = samples.states(SIZE)
    run_ids = list[str]()
    for task in range(tasks):
        run = samples.run().model_copy(update={"flow_state": states[0]})
        await stores[task % len(stores)].runs.create_run(run)
        run_ids.append(str(run.run_id))
    places = [0] * tasks

    async def swap(n: int) -> None:
        task = n % tasks
        current, following = places[task], (places[task] + 1) % len(states)
        runs = stores[task % len(stores)].runs
        assert await runs.cas_flow_state(
            run_ids[task], expected=states[current], next=states[following]
        )
        places[task] = following

    return swap


def mobstore_swaps(stage: Stage, tasks: int, database: str = FAST) -> Contestant:
    """Return the contestant that swaps through mobstore."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        async with open_mobstore(stage.place(database)) as stores:
            swap = await swaps_of([stores], tasks)

            async def turn(count: int) -> float:
                return await by_tasks(tasks, range(count), swap)

            yield turn

    return Contestant(OURS, opened)


# The others ------------------------------------------------------------------------------------


def _texts() -> list[str]:
    return [state.to_json() for state in samples.states(SIZE)]


def _raw(stage: Stage, *, at_once: bool) -> Opener:
    """Return the opener of raw psycopg: in a transaction, or with one UPDATE that compares."""

    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        place = stage.place()
        await raw.prepare(place)
        texts, last = _texts(), 0
        place.execute("INSERT INTO {s}.run_states VALUES ('run', %(text)s)", text=texts[0])
        read, write, both = map(place.sql, (_READ, _WRITE, f"{_WRITE} AND flow_state = %s"))
        with closing(place.connect()) as connection, ExitStack() as stack:
            running = raw.Transactions(connection, place)
            if not at_once:
                stack.enter_context(running)

            def swap(current: str, following: str) -> None:
                if at_once:
                    done = connection.execute(both, (following, "run", current), prepare=True)
                    assert done.rowcount == 1
                    return
                ((found,),) = running.read(read, ("run",))
                assert found == current
                running.commit((write, (following, "run")))

            async def turn(count: int) -> float:
                nonlocal last
                with Stopwatch() as watch:
                    for _ in range(count):
                        following = (last + 1) % len(texts)
                        swap(texts[last], texts[following])
                        last = following
                return watch.seconds

            yield turn

    return opened


def _langgraph(stage: Stage, tasks: int) -> Contestant:
    @asynccontextmanager
    async def opened(_: Path) -> AsyncGenerator[Turn]:
        texts = _texts()
        async with langgraph_postgres.open_saver(stage.place()) as checkpoints:

            async def put(n: int) -> None:
                await checkpoints.put(f"run-{n % tasks}", texts[n // tasks % len(texts)])

            async def turn(count: int) -> float:
                return await by_tasks(tasks, range(count), put)

            yield turn

    return Contestant(langgraph_postgres.NAME, opened)


def _dbos(stage: Stage, tasks: int) -> Contestant:
    texts = _texts()

    def prepare(count: int) -> list[str]:
        return [texts[n // tasks % len(texts)] for n in range(count)]

    return dbos_workflows.writing(stage, dbos_workflows.EVENT, prepare, tasks)
