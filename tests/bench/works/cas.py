"""Compare-and-swap of a run's flow state, by one task."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bench import samples
from bench.logs import connect, open_mobstore
from bench.outcome import Outcome, speed
from bench.peers import langgraph_saver, named
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore import KernelState

RAW = "raw sqlite3, UPDATE"
BUILT = "mobstore, state built each time"
DUMPED = "raw sqlite3, json.dumps each time"
_UPDATE = "UPDATE run_states SET flow_state = ? WHERE run_id = ? AND flow_state = ?"
_compact = json.JSONEncoder(separators=(",", ":")).encode


def cas(settings: Settings) -> Iterator[Outcome]:
    """Measure swaps of two sizes."""
    for title, size in (("5 KB", 5_000), ("19 KB", 19_000)):
        found = compete(
            [
                Contestant("mobstore", _mobstore(size, build=False)),
                Contestant(RAW, _raw(size, dump=False)),
                Contestant(langgraph_saver.NAME, _langgraph(size)),
                Contestant(BUILT, _mobstore(size, build=True)),
                Contestant(DUMPED, _raw(size, dump=True)),
            ],
            settings,
            least=50,
        )
        ours = found["mobstore"]
        yield Outcome(
            f"CAS of a {title} flow state, one task",
            "swaps/s",
            list(found.values()),
            [
                speed(ours, found[RAW], 0.5),
                speed(ours, found[langgraph_saver.NAME], 1.6),
                speed(found[BUILT], found[DUMPED]),
            ],
            [
                f"the states have about {len(samples.states(size)[0].to_json()):,} bytes of JSON"
                " and differ everywhere; unless stated otherwise they are built beforehand",
                f"{named(langgraph_saver.NAME)} puts the text of a state as the only value of a"
                " checkpoint; it keeps all checkpoints",
            ],
        )


def _mobstore(size: int, *, build: bool) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        states = samples.states(size)
        values = [(state.phase, samples.plain_fields(state)) for state in states]
        run = samples.run().model_copy(update={"flow_state": states[0]})
        async with open_mobstore(path) as stores:
            await stores.runs.create_run(run)
            current, place = states[0], 0

            async def turn(count: int) -> float:
                nonlocal current, place
                with Stopwatch() as watch:
                    for _ in range(count):
                        place = (place + 1) % len(states)
                        following = KernelState(*values[place]) if build else states[place]
                        assert await stores.runs.cas_flow_state(
                            run.run_id, expected=current, next=following
                        )
                        current = following
                return watch.seconds

            yield turn

    return opened


def _raw(size: int, *, dump: bool) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        states = [state.to_json() for state in samples.states(size)]
        values = [json.loads(state) for state in states]
        with closing(connect(path)) as connection:
            connection.execute("INSERT INTO run_states VALUES ('run', ?)", (states[0],))
            current, place = states[0], 0

            async def turn(count: int) -> float:
                nonlocal current, place
                with Stopwatch() as watch:
                    for _ in range(count):
                        place = (place + 1) % len(states)
                        following = _compact(values[place]) if dump else states[place]
                        swapped = connection.execute(_UPDATE, (following, "run", current))
                        assert swapped.rowcount == 1
                        current = following
                return watch.seconds

            yield turn

    return opened


def _langgraph(size: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        states = [state.to_json() for state in samples.states(size)]
        async with langgraph_saver.open_saver(path) as put:
            place = 0

            async def turn(count: int) -> float:
                nonlocal place
                with Stopwatch() as watch:
                    for _ in range(count):
                        place = (place + 1) % len(states)
                        await put(states[place])
                return watch.seconds

            yield turn

    return opened
