"""Exported stores that are made to be shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mobstore import (
    FlowStarted,
    MeerkatId,
    MobStores,
    PeersWired,
    StepFailed,
    StepId,
    TaskCreated,
    TaskId,
    open_stores,
)
from mobstore.testing.samples import (
    definition,
    event,
    failure,
    full_run,
    iteration,
    profile,
    run_id,
    step,
)
from mobstore.transfer import export_stores

MANY = 20_000
HOSTILE = "<img src=x onerror=\"document.title='stolen'\">"
"""Shown as text it does no harm."""


async def long_log(stores: MobStores) -> None:
    """Many events, each with a member of its own."""
    pairs = (PeersWired(a=MeerkatId(f"member-{n}"), b=MeerkatId("hub")) for n in range(1, MANY + 1))
    await stores.events.append_batch([event("long", kind=pair) for pair in pairs])


async def hostile(stores: MobStores) -> None:
    """The hostile text wherever a store takes text."""
    run = full_run(
        mob=HOSTILE,
        flow=HOSTILE,
        activation_params={HOSTILE: HOSTILE},
        step_ledger=(step(HOSTILE, HOSTILE, "completed", HOSTILE),),
        failure_ledger=(failure(HOSTILE, HOSTILE),),
        loop_iteration_ledger=(iteration(0, HOSTILE, HOSTILE),),
        root_step_outputs={HOSTILE: HOSTILE},
        loop_iteration_outputs={HOSTILE: ({HOSTILE: HOSTILE},)},
    )
    await stores.runs.create_run(run)
    await stores.specs.put_spec(HOSTILE, definition(HOSTILE))
    await stores.realm_profiles.create(HOSTILE, profile(HOSTILE))
    for kind in (
        PeersWired(a=MeerkatId(HOSTILE), b=MeerkatId(HOSTILE)),
        FlowStarted(run_id=run_id(1), flow_id=run.flow_id, params={HOSTILE: HOSTILE}),
        StepFailed(run_id=run_id(1), step_id=StepId(HOSTILE), reason=HOSTILE),
        TaskCreated(task_id=TaskId(HOSTILE), subject=HOSTILE, description=HOSTILE, blocked_by=()),
    ):
        await stores.events.append(event(HOSTILE, kind=kind))


def export(fill: Callable[[MobStores], Awaitable[None]], folder: Path) -> Path:
    """The file of a store that was filled so."""

    async def write(path: Path) -> None:
        async with open_stores("memory:") as stores:
            await fill(stores)
            with path.open("wb") as file:
                await export_stores(stores, file)

    path = folder / "store.zip"
    with ThreadPoolExecutor(1) as thread:  # Playwright has this thread's event loop
        thread.submit(asyncio.run, write(path)).result()
    return path
