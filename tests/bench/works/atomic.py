"""Two operations in one commit, compared with each alone.

Plain sqlite3 makes the same reads and writes. Where commits are quick, most of what it pays is for
rows and pages too, so it shows how much an atomic call could save.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import cache
from itertools import count as counting
from pathlib import Path
from time import sleep
from typing import NamedTuple, TypeAlias
from unittest.mock import patch

from bench import samples
from bench.logs import INSERT_EVENT, connect, event_row, now_text
from bench.outcome import Outcome, cost, speed
from bench.turns import Contestant, Measured, Opener, Settings, Stopwatch, Turn, compete
from mobstore import FrameSnapshot, MobStores, RunId, Stores, open_stores
from mobstore.engines.sqlite.rows import Rows
from mobstore.model.json import JsonInput
from mobstore.scripts.transaction import Durability

STEP, EVENT = "complete a step", "append its event"
ATOMIC, FOLLOWING = "both in one commit", "both, one after the other"
RAW = "raw sqlite3"

_Operation: TypeAlias = Callable[[Stores[bool], RunId, int], Awaitable[object]]
_RawOperation: TypeAlias = Callable[[sqlite3.Connection, int], None]
_Open: TypeAlias = Callable[[Path], AbstractAsyncContextManager[MobStores]]


_OUTPUT: JsonInput = {"words": 400, "text": "The tide is high at noon."}


class _Disk(NamedTuple):
    """The commits of SQLite.

    Attributes:
        durability: see `open_stores`.
        delay: seconds that a commit takes longer than on this machine.
    """

    durability: Durability
    delay: float = 0


def atomic(settings: Settings) -> Iterator[Outcome]:
    """Complete a step of a loop's iteration, a frame of 5 KB, and append its event."""
    yield _outcome("memory", compete(_contestants(lambda _: open_stores("memory:")), settings))
    for title, disk in (
        ("SQLite, normal", _Disk("normal")),
        ("SQLite, full", _Disk("full")),
        ("SQLite, full, commits 3 ms slower", _Disk("full", 0.003)),
    ):
        with patch.object(Rows, "commit", _slower(disk.delay)):
            ours, raw = _contestants(_sqlite(disk.durability)), _raw_contestants(disk)
            found = compete([*ours, *raw], settings, least=50, most=5_000)
        outcome = _outcome(title, found)
        step, event, both = (found[one.name] for one in raw)
        outcome.checks += [cost(both, _dearer(step, event)), speed(found[ATOMIC], both)]
        yield outcome


def _outcome(engine: str, found: dict[str, Measured]) -> Outcome:
    both = found[ATOMIC]
    dearer = _dearer(found[STEP], found[EVENT])
    return Outcome(
        f"{engine}: {STEP} and {EVENT}",
        "calls/s",
        list(found.values()),
        [cost(both, dearer, 1.2), cost(both, found[FOLLOWING])],
    )


def _dearer(*alone: Measured) -> Measured:
    return max(alone, key=lambda one: one.cost)


def _contestants(open_: _Open) -> list[Contestant]:
    return [
        Contestant(STEP, _doing(open_, _complete)),
        Contestant(EVENT, _doing(open_, _append)),
        Contestant(ATOMIC, _doing(open_, _together)),
        Contestant(FOLLOWING, _doing(open_, _both)),
    ]


def _raw_contestants(disk: _Disk) -> list[Contestant]:
    return [
        Contestant(f"{RAW}, {STEP}", _doing_raw(disk, _complete_raw)),
        Contestant(f"{RAW}, {EVENT}", _doing_raw(disk, _append_raw)),
        Contestant(f"{RAW}, {ATOMIC}", _doing_raw(disk, _complete_raw, _append_raw)),
    ]


def _slower(delay: float) -> Callable[[Rows], None]:
    """Return a commit that takes so many seconds longer, as on a slow disk."""
    commit = Rows.commit

    def committing(rows: Rows) -> None:
        commit(rows)
        if delay:
            sleep(delay)

    return committing


def _sqlite(durability: Durability) -> _Open:
    return lambda path: open_stores(f"sqlite:{path}", durability=durability)


def _doing(open_: _Open, operation: _Operation) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        run, numbers = samples.run(frames=1), counting()
        _frames()
        async with open_(path) as stores:
            await stores.runs.create_run(run)

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        await operation(stores, run.run_id, next(numbers))
                return watch.seconds

            yield turn

    return opened


async def _complete(stores: Stores[bool], run_id: RunId, number: int) -> object:
    frames = _frames()
    return await stores.runs.cas_complete_step_and_record_output(
        run_id,
        frame_id="frame-0",
        expected_frame=frames[number % len(frames)],
        next_frame=frames[(number + 1) % len(frames)],
        step_output_key="step-0",
        step_output=_OUTPUT,
        loop_context=("loop-0", number),
    )


async def _append(stores: Stores[bool], _: RunId, number: int) -> object:
    events = samples.events(1_000)
    return await stores.events.append(events[number % len(events)])


async def _both(stores: Stores[bool], run_id: RunId, number: int) -> object:
    assert await _complete(stores, run_id, number)
    return await _append(stores, run_id, number)


async def _together(stores: Stores[bool], run_id: RunId, number: int) -> object:
    assert isinstance(stores, MobStores)
    return await stores.atomic(lambda at: _both(at, run_id, number))


@cache
def _frames() -> list[FrameSnapshot]:
    return [FrameSnapshot(kernel_state=state) for state in samples.states(5_000)]


# Plain sqlite3 ---------------------------------------------------------------------------------


def _doing_raw(disk: _Disk, *operations: _RawOperation) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        numbers = counting()
        with closing(connect(path)) as connection:
            connection.execute(f"PRAGMA synchronous = {disk.durability}")
            connection.execute("INSERT INTO counters VALUES ('next_cursor', 1)")
            connection.execute("INSERT INTO frames VALUES ('run', 'frame-0', ?)", _states()[:1])
            connection.execute("INSERT INTO loop_outputs VALUES ('run', 'loop-0', 0)")

            async def turn(count: int) -> float:
                with Stopwatch() as watch:
                    for _ in range(count):
                        _in_one_commit(connection, disk, operations, next(numbers))
                return watch.seconds

            yield turn

    return opened


def _in_one_commit(
    connection: sqlite3.Connection, disk: _Disk, operations: Iterable[_RawOperation], number: int
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for operation in operations:
        operation(connection, number)
    connection.execute("COMMIT")
    if disk.delay:
        sleep(disk.delay)


def _complete_raw(connection: sqlite3.Connection, number: int) -> None:
    states = _states()
    stored = connection.execute(
        "SELECT kernel_state FROM frames WHERE run_id = 'run' AND frame_id = 'frame-0'"
    ).fetchone()
    assert stored == (states[number % len(states)],)
    length = connection.execute(
        "SELECT iterations FROM loop_outputs WHERE run_id = 'run' AND loop_id = 'loop-0'"
    ).fetchone()
    assert length == (number,)
    connection.execute(
        "UPDATE frames SET kernel_state = ? WHERE run_id = 'run' AND frame_id = 'frame-0'",
        (states[(number + 1) % len(states)],),
    )
    connection.execute(
        "INSERT INTO loop_step_outputs VALUES ('run', 'loop-0', ?, 'step-0', 0, ?)",
        (number, json.dumps(_OUTPUT)),
    )
    connection.execute(
        "UPDATE loop_outputs SET iterations = ? WHERE run_id = 'run' AND loop_id = 'loop-0'",
        (number + 1,),
    )


def _append_raw(connection: sqlite3.Connection, number: int) -> None:
    kinds = samples.kinds(1_000)
    (cursor,) = connection.execute(
        "SELECT value FROM counters WHERE name = 'next_cursor'"
    ).fetchone()
    connection.execute(INSERT_EVENT, event_row(kinds[number % len(kinds)], now_text()))
    connection.execute("UPDATE counters SET value = ? WHERE name = 'next_cursor'", (cursor + 1,))


@cache
def _states() -> list[str]:
    return [state.to_json() for state in samples.states(5_000)]
