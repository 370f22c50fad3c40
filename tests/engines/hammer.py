"""A program that makes all kinds of writes at once until it is killed, and prints the results."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from itertools import count
from typing import NoReturn
from uuid import UUID

from engines.support import new_run, say
from mobstore import FrameId, MobStores, RunId, open_stores
from mobstore.testing.samples import (
    definition,
    failure,
    frame,
    iteration,
    loop,
    number_of,
    state,
    step,
    tagged_event,
)

COUNTER = RunId(UUID(int=11))
LEDGER = RunId(UUID(int=12))
STEPS = RunId(UUID(int=13))


def hammer(path: str, seed: str, durability: str) -> None:
    """Write until killed."""
    say("ready")
    asyncio.run(_hammer(path, int(seed), durability))


async def _hammer(path: str, seed: int, durability: str) -> None:
    chance = random.Random(seed)
    stores = await open_stores(
        f"sqlite:{path}", durability="full" if durability == "full" else "normal"
    )
    for run_id in (COUNTER, LEDGER):
        if await stores.runs.get_run(run_id) is None:
            await stores.runs.create_run(new_run(run_id))
    if await stores.runs.get_run(STEPS) is None:
        await stores.runs.create_run(new_run(STEPS, frames={FrameId("f"): frame(0)}))
    say(json.dumps({"opened": True}))
    async with asyncio.TaskGroup() as group:
        for task in (
            *(_singles(stores, f"single-{seed}-{n}", chance) for n in range(3)),
            *(_batches(stores, f"batch-{seed}-{n}", chance) for n in range(2)),
            *(_increments(stores, chance) for _ in range(2)),
            *(_entries(stores, f"step-{seed}-{n}") for n in range(2)),
            _failures(stores, f"failure-{seed}"),
            _steps(stores),
            _loops(stores),
            _specs(stores),
        ):
            group.create_task(task)


async def _numbers() -> AsyncIterator[int]:
    for number in count():
        yield number
        await asyncio.sleep(0)


def _acknowledge(**facts: object) -> None:
    say(json.dumps(facts))


async def _singles(stores: MobStores, tag: str, chance: random.Random) -> NoReturn:
    async for n in _numbers():
        stored = await stores.events.append(
            tagged_event(f"{tag}-{n}", "x" * chance.choice((0, 9, 9000)))
        )
        _acknowledge(event=f"{tag}-{n}", cursor=stored.cursor)
    raise AssertionError


async def _batches(stores: MobStores, tag: str, chance: random.Random) -> NoReturn:
    async for n in _numbers():
        size = chance.randint(2, 40)
        padding = "x" * chance.choice((0, 500))
        batch = [tagged_event(f"{tag}-{n}:{i}/{size}", padding) for i in range(size)]
        first, *_ = await stores.events.append_batch(batch)
        _acknowledge(batch=f"{tag}-{n}", size=size, cursor=first.cursor)
    raise AssertionError


async def _increments(stores: MobStores, chance: random.Random) -> NoReturn:
    async for _ in _numbers():
        run = await stores.runs.get_run(COUNTER)
        assert run is not None
        value = number_of(run.flow_state) + 1
        following = state(value, "x" * chance.choice((0, 5000)))
        if await stores.runs.cas_flow_state(COUNTER, expected=run.flow_state, next=following):
            _acknowledge(count=value)
    raise AssertionError


async def _entries(stores: MobStores, tag: str) -> NoReturn:
    async for n in _numbers():
        await stores.runs.append_step_entry(LEDGER, step(f"{tag}-{n}"))
        _acknowledge(step=f"{tag}-{n}")
        await stores.runs.put_step_output(LEDGER, f"{tag}-{n}", n)
        _acknowledge(step=f"{tag}-{n}", output=n)
    raise AssertionError


async def _failures(stores: MobStores, tag: str) -> NoReturn:
    async for n in _numbers():
        await stores.runs.append_failure_entry(LEDGER, failure(f"{tag}-{n}"))
        _acknowledge(failure=f"{tag}-{n}")
    raise AssertionError


async def _steps(stores: MobStores) -> NoReturn:
    """Complete steps: each write changes a frame and an output of a root step or a loop's."""
    run = await stores.runs.get_run(STEPS)
    assert run is not None
    start = number_of(run.frames[FrameId("f")].kernel_state)
    async for n in _numbers():
        number = start + n
        assert await stores.runs.cas_complete_step_and_record_output(
            STEPS,
            frame_id="f",
            expected_frame=frame(number),
            next_frame=frame(number + 1),
            step_output_key=f"s{number}",
            step_output=number,
            # Every third output belongs to a loop, in the iteration `number // 3`.
            loop_context=("loop", number // 3) if number % 3 == 0 else None,
        )
        _acknowledge(frame=number + 1)
    raise AssertionError


async def _loops(stores: MobStores) -> NoReturn:
    run = await stores.runs.get_run(STEPS)
    assert run is not None
    start = len(run.loop_iteration_ledger)
    async for n in _numbers():
        number = start + n
        await stores.runs.upsert_loop_snapshot(
            STEPS,
            loop_instance_id="loop",
            snapshot=loop(number),
            ledger_entry=iteration(number),
        )
        _acknowledge(loop=number)
    raise AssertionError


async def _specs(stores: MobStores) -> NoReturn:
    async for _ in _numbers():
        _acknowledge(revision=await stores.specs.put_spec("mob", definition()))
    raise AssertionError
