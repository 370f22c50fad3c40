"""Exported stores for the page to import."""

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
    export_stores,
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

MANY = 8_000
MARKUP = "<img src=x onerror=\"document.title='stolen'\">"
"""Harmless if it is shown as text."""
KEY = "__proto__"
"""A name that every object of JavaScript has."""
HIDDEN = (
    "pay \u202e\u2066\u200b\u00ad\u3164\U000e0041\x1b[2J\x9b\x7f\u2028\xa0\r\n\tend \u2714\ufe0f"
)
"""Bidirectional, invisible and control characters."""
SEEN = {
    HIDDEN: r"pay \u202e\u2066\u200b\xad\u3164\U000e0041\x1b[2J\x9b\x7f\u2028\xa0\r\n\tend "
    "\u2714\ufe0f"
}
"""The displayed form of texts that are escaped."""


async def long_log(stores: MobStores) -> None:
    """Append many events, each with another member."""
    pairs = (PeersWired(a=MeerkatId(f"member-{n}"), b=MeerkatId("hub")) for n in range(1, MANY + 1))
    await stores.events.append_batch([event("long", kind=pair) for pair in pairs])


async def hostile(stores: MobStores, text: str) -> None:
    """Write a hostile text to all places of a store that take text."""
    run = full_run(
        mob=text,
        flow=text,
        activation_params={text: text},
        step_ledger=(step(text, text, "completed", text),),
        failure_ledger=(failure(text, text),),
        loop_iteration_ledger=(iteration(0, text, text),),
        root_step_outputs={text: text},
        loop_iteration_outputs={text: ({text: text},)},
    )
    await stores.runs.create_run(run)
    await stores.specs.put_spec(text, definition(text))
    await stores.realm_profiles.create(text, profile(text))
    for kind in (
        PeersWired(a=MeerkatId(text), b=MeerkatId(text)),
        FlowStarted(run_id=run_id(1), flow_id=run.flow_id, params={text: text}),
        StepFailed(run_id=run_id(1), step_id=StepId(text), reason=text),
        TaskCreated(task_id=TaskId(text), subject=text, description=text, blocked_by=()),
    ):
        await stores.events.append(event(text, kind=kind))


def export(fill: Callable[[MobStores], Awaitable[None]], folder: Path) -> Path:
    """Export a store that `fill` has filled."""

    async def write(path: Path) -> None:
        async with open_stores("memory:") as stores:
            await fill(stores)
            with path.open("wb") as file:
                await export_stores(stores, file)

    path = folder / "store.zip"
    with ThreadPoolExecutor(1) as thread:  # Playwright uses the event loop of this thread
        thread.submit(asyncio.run, write(path)).result()
    return path
