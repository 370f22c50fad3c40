"""A projector: it counts the events of each type, every event exactly once.

    python -m runner.projector URL

The counts are the flow state of a run of its own, which no worker executes. Counts and position are
one commit, so a projector that is killed continues where it was.
"""

import asyncio
import sys
from collections import Counter
from typing import Any
from uuid import UUID

import mobstore
from mobstore import KernelState, MobRun, MobStores, Stores

COUNTS = UUID(int=1)  # the run


async def project(stores: MobStores) -> None:
    """Count events until the process is ended."""
    if await stores.runs.get_run_header(COUNTS) is None:
        run = MobRun.pending("projections", "counts", KernelState("Counting"))
        await stores.runs.create_run(run.model_copy(update={"run_id": COUNTS}))
    async for batch in stores.events.follow("counts"):

        async def count(at: Stores, batch: Any = batch) -> None:
            run = await at.runs.get_run(COUNTS)
            if run is None:
                raise LookupError("the run of counts was deleted")
            before: Any = run.flow_state.fields
            counts: Counter[str] = Counter(before)
            counts.update(event.kind.type for event in batch.events)
            await at.runs.cas_flow_state(
                COUNTS, expected=run.flow_state, next=KernelState("Counting", counts)
            )
            await batch.done(at)

        await stores.atomic(count)


async def main(url: str) -> None:
    """Open the store and count."""
    async with mobstore.open_stores(url) as stores:
        await project(stores)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
