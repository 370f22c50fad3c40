"""Concurrent writes until the tab or the browser ends, and the check of what is stored then."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from typing import Any

from browser.inside.calls import send
from mobstore import (
    FrameId,
    MeerkatId,
    MobStores,
    NewMobEvent,
    PeersWired,
    Stores,
    open_stores,
)
from mobstore.scripts.transaction import Durability
from mobstore.testing.samples import event, frame, make_run, number_of, run_id, state, step

COUNTER, STEPS = run_id(1), run_id(2)

_tasks: dict[str, asyncio.Task[Any]] = {}


async def forever(name: str, durability: Durability, tag: str) -> None:
    """Write to a database, and send a message for each acknowledged write.

    Args:
        name: the database.
        durability: of the store.
        tag: tag of the events; differs from those of earlier calls.
    """
    task = asyncio.current_task()
    assert task is not None
    _tasks[name] = task
    async with open_stores(f"indexeddb:{name}", durability=durability) as stores:
        if await stores.runs.get_run(COUNTER) is None:
            await stores.runs.create_run(make_run(1))
        if await stores.runs.get_run(STEPS) is None:
            await stores.runs.create_run(make_run(2, frames={"f": frame(0)}))
        async with asyncio.TaskGroup() as group:
            for n in range(3):
                group.create_task(_append(stores, f"{tag}-{n}"))
                group.create_task(_append_batches(stores, f"{tag}-batch-{n}"))
            for _ in range(2):
                group.create_task(_increment(stores))
            group.create_task(_complete_steps(stores))


async def stop(name: str) -> None:
    """Cancel `forever`, and wait until it has closed the database."""
    task = _tasks.pop(name)
    task.cancel()
    await asyncio.wait([task])


def _tagged(tag: str) -> NewMobEvent:
    return event(kind=PeersWired(a=MeerkatId(tag), b=MeerkatId("x" * 200)))


async def _append(stores: MobStores, tag: str) -> None:
    for n in count():
        stored = await stores.events.append(_tagged(f"{tag}-{n}"))
        send({"event": f"{tag}-{n}", "cursor": stored.cursor})


async def _append_batches(stores: MobStores, tag: str) -> None:
    for n in count():
        batch = [_tagged(f"{tag}-{n}:{part}/5") for part in range(5)]
        first, *_ = await stores.events.append_batch(batch)
        send({"event": f"{tag}-{n}:0/5", "cursor": first.cursor})


async def _increment(stores: MobStores) -> None:
    while True:
        run = await stores.runs.get_run(COUNTER)
        assert run is not None
        value = number_of(run.flow_state) + 1
        if await stores.runs.cas_flow_state(COUNTER, expected=run.flow_state, next=state(value)):
            send({"count": value})


async def _complete_steps(stores: MobStores) -> None:
    """Write a frame, an output, a ledger entry and an event in one commit, again and again."""
    run = await stores.runs.get_run(STEPS)
    assert run is not None

    async def complete(n: int, at: Stores) -> None:
        await at.runs.cas_complete_step_and_record_output(
            STEPS,
            frame_id="f",
            expected_frame=frame(n),
            next_frame=frame(n + 1),
            step_output_key=f"s{n}",
            step_output=n,
        )
        await at.runs.append_step_entry(STEPS, step(f"s{n}"))
        await at.events.append(_tagged(f"step s{n}"))

    for n in count(number_of(run.frames[FrameId("f")].kernel_state)):
        await stores.atomic(partial(complete, n))
        send({"step": n})


async def check(name: str, acknowledged: list[dict[str, Any]]) -> None:
    """Check that no acknowledged write is lost and no operation is half done.

    Args:
        name: the database.
        acknowledged: the messages of all calls of `forever`; the last ones may be missing.
    """
    async with open_stores(f"indexeddb:{name}", create=False) as stores:
        log = await stores.events.replay_all()
        counter, steps = [await stores.runs.get_run(run) for run in (COUNTER, STEPS)]
    assert counter is not None
    assert steps is not None

    assert [one.cursor for one in log] == list(range(1, len(log) + 1)), "cursors have gaps"
    cursors = {str(one.kind.a): one.cursor for one in log if isinstance(one.kind, PeersWired)}
    assert len(cursors) == len(log), "an event was stored twice"
    for tag, cursor in cursors.items():
        if tag.endswith(":0/5"):
            rest = [cursors.get(f"{tag.removesuffix('0/5')}{n}/5") for n in range(5)]
            assert rest == list(range(cursor, cursor + 5)), f"half a batch: {tag} at {rest}"
    for one in acknowledged:
        if "event" in one:
            assert cursors.get(one["event"]) == one["cursor"], f"lost: {one}"

    won = [one["count"] for one in acknowledged if "count" in one]
    assert len(set(won)) == len(won), "two tasks won the same increment"
    assert max(won, default=0) <= number_of(counter.flow_state), "an increment is lost"

    done = number_of(steps.frames[FrameId("f")].kernel_state)
    outputs = {f"s{n}": n for n in range(done)}
    assert steps.root_step_outputs == outputs, "frame and outputs disagree"
    assert [entry.step_id for entry in steps.step_ledger] == list(outputs), "half a step"
    logged = [tag.removeprefix("step ") for tag in cursors if tag.startswith("step ")]
    assert logged == list(outputs), "a step without its event, or the other way round"
    assert max((one["step"] for one in acknowledged if "step" in one), default=-1) < done
