"""The mobstore side of contests, run by Pyodide; each job has its counterpart in raw.js."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count as counting
from time import perf_counter
from typing import Any, TypeAlias
from uuid import uuid4

from bench import samples as made
from mobstore import FrameSnapshot, IndexedDbMobStores, MobStores, RunId, Stores, Timestamp
from mobstore.scripts.transaction import Durability

_START = datetime(2026, 3, 2, 8, tzinfo=UTC)

Play: TypeAlias = Callable[[int], Coroutine[Any, Any, float]]
"""Runs a number of operations and returns their seconds, without the preparation."""


class Player:
    """A contestant in the form required by turns.js."""

    def __init__(self, play: Play, least: int = 1) -> None:
        self.play, self.least = play, least


def samples(which: str, number: int) -> str:
    """Return the values for the other side, as JSON: "states" of a size, or a number of "kinds"."""
    if which == "states":
        return json.dumps([state.to_json() for state in made.states(number)])
    return json.dumps(made.kinds(number))


async def seat(job: str, options: str) -> Player:
    """Prepare a job with its options, JSON."""
    player: Player = await _JOBS[job](**json.loads(options))
    gc.collect()
    gc.freeze()  # the garbage collector does not scan prepared objects during a job
    return player


async def fill(name: str, events: int, entries: int) -> str:
    """Fill a store for the page with events and with a run that has a step ledger.

    Returns:
        The run's id.
    """
    steps = (made.step_entry(n).model_copy(update=_moment(n)) for n in range(entries))
    run, batch = made.run().model_copy(update={"step_ledger": tuple(steps)}), made.events(10_000)
    async with IndexedDbMobStores.open(name) as stores:
        await stores.runs.create_run(run)
        for _ in range(events // len(batch)):
            await stores.events.append_batch(batch)
    return str(run.run_id)


def _moment(n: int) -> dict[str, object]:
    """Return the time of an entry: one per second, a step is completed after its dispatch."""
    status = "completed" if n // 50 % 2 else "dispatched"
    return {"timestamp": Timestamp(_START + timedelta(seconds=n)), "status": status}


async def _open(durability: str) -> MobStores:
    ours: dict[str, Durability] = {"relaxed": "normal", "strict": "full"}
    return await IndexedDbMobStores.open(f"mobstore-{uuid4()}", durability=ours[durability])


def _repeatedly(
    operation: Callable[[int], Awaitable[object]], tasks: int, *, at_once: bool = False
) -> Player:
    """Run an operation repeatedly, in sequence or in tasks.

    Tasks are either gathered again and again, or live long."""

    async def work(task: int, count: int) -> None:
        for _ in range(count):
            await operation(task)

    async def play(count: int) -> float:
        start = perf_counter()
        if tasks == 1:
            await work(0, count)
        elif at_once:
            for _ in range(count // tasks):
                await asyncio.gather(*map(operation, range(tasks)))
        else:
            await asyncio.gather(*(work(task, count // tasks) for task in range(tasks)))
        return perf_counter() - start

    return Player(play, tasks)


async def _swap(durability: str, tasks: int, at_once: bool) -> Player:
    stores, states = await _open(durability), made.states(5_000)
    runs = [made.run().model_copy(update={"flow_state": states[0]}) for _ in range(tasks)]
    for run in runs:
        await stores.runs.create_run(run)
    keys, places = [run.run_id for run in runs], [0] * tasks

    async def swap(task: int) -> None:
        before = places[task]
        places[task] = after = (before + 1) % len(states)
        assert await stores.runs.cas_flow_state(
            keys[task], expected=states[before], next=states[after]
        )

    return _repeatedly(swap, tasks, at_once=at_once)


async def _complete(durability: str) -> Player:
    stores = await _open(durability)
    complete = await _completing(stores)
    return _repeatedly(lambda _: complete(stores), 1)


async def _both(durability: str, together: bool) -> Player:
    """Complete a step and append its event, in one commit or in sequence."""
    stores, events, places = await _open(durability), made.events(1_000), counting()
    complete = await _completing(stores)

    async def both(at: Stores[bool]) -> None:
        await complete(at)
        await at.events.append(events[next(places) % len(events)])

    return _repeatedly(lambda _: stores.atomic(both) if together else both(stores), 1)


async def _completing(stores: MobStores) -> Callable[[Stores[bool]], Awaitable[None]]:
    """Return a function that completes a step of a run, each time in a new iteration of a loop."""
    iterations = counting()
    frames = [FrameSnapshot(kernel_state=state) for state in made.states(5_000)]
    run = made.run(frames=1)
    await stores.runs.create_run(run)

    async def complete(at: Stores[bool]) -> None:
        iteration = next(iterations)
        assert await at.runs.cas_complete_step_and_record_output(
            run.run_id,
            frame_id="frame-0",
            expected_frame=frames[iteration % len(frames)],
            next_frame=frames[(iteration + 1) % len(frames)],
            step_output_key="step-0",
            step_output={"words": 400, "text": "The tide is high at noon."},
            loop_context=("loop-0", iteration),
        )

    return complete


async def _append(durability: str, tasks: int, at_once: bool) -> Player:
    stores, events, places = await _open(durability), made.events(1_000), counting()

    async def append(_: int) -> None:
        await stores.events.append(events[next(places) % len(events)])

    return _repeatedly(append, tasks, at_once=at_once)


async def _batch(durability: str, size: int) -> Player:
    stores, events = await _open(durability), made.events(size)

    async def batch(_: int) -> None:
        await stores.events.append_batch(events)

    return _repeatedly(batch, 1)


async def _poll(size: int, *, texts: bool = False) -> Player:
    stores, events = await _open("relaxed"), made.events(size)
    await stores.events.append_batch(events)
    await stores.events.append_batch(events)
    read = stores.events.poll_json if texts else stores.events.poll

    async def poll(_: int) -> None:
        assert len(await read(size // 2, size)) == size

    return _repeatedly(poll, 1)


async def _ledger(durability: str, entries: int) -> Player:
    """Append to step ledgers of this length; none grows beyond twice the length."""
    stores, entry = await _open(durability), made.step_entry(entries)

    async def new_run() -> RunId:
        run = made.run(entries=entries)
        await stores.runs.create_run(run)
        return run.run_id

    key, room = await new_run(), entries

    async def play(count: int) -> float:
        nonlocal key, room
        keys: list[RunId] = []
        for _ in range(count):
            if room == 0:
                key, room = await new_run(), entries
            keys.append(key)
            room -= 1
        start = perf_counter()
        for run_id in keys:
            await stores.runs.append_step_entry(run_id, entry)
        return perf_counter() - start

    return Player(play)


_JOBS: dict[str, Callable[..., Awaitable[Player]]] = {
    "swap": _swap,
    "complete": _complete,
    "both": _both,
    "append": _append,
    "batch": _batch,
    "poll": _poll,
    "poll_json": partial(_poll, texts=True),
    "ledger": _ledger,
}
