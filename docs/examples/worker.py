"""Completes the pending runs of a store, beside any number of other workers."""

import asyncio
import sys
from functools import partial

import mobstore
from mobstore import FlowCompleted, NewMobEvent, RunHeader, Stores


async def complete(at: Stores, run: RunHeader) -> None:
    """Store the end of a run and its event."""
    await at.runs.cas_run_status(run.run_id, expected="running", next="completed")
    done = FlowCompleted(run_id=run.run_id, flow_id=run.flow_id)
    await at.events.append(NewMobEvent(mob_id=run.mob_id, kind=done))


async def main(url: str) -> None:
    """Take one run after the other, until none is left."""
    async with mobstore.open_stores(url) as stores:
        for run in await stores.runs.run_headers(status="pending"):
            # Of several workers, one succeeds.
            if await stores.runs.cas_run_status(run.run_id, expected="pending", next="running"):
                await asyncio.sleep(0.2)  # in place of the work
                await stores.atomic(partial(complete, run=run))
                print(f"{run.flow_id} is completed", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
