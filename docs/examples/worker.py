"""Completes the pending runs of a store, beside any number of other workers."""

import asyncio
import os
import platform
import sys

import mobstore
from mobstore import FlowCompleted, NewMobEvent, RunClaim

TTL = 30.0  # seconds after which the run of a killed worker goes to another


async def complete(stores: mobstore.MobStores, claim: RunClaim) -> None:
    """Do the work of a run, and store its end."""
    run = claim.run
    await asyncio.sleep(0.2)  # in place of the work
    done = NewMobEvent(
        mob_id=run.mob_id, kind=FlowCompleted(run_id=run.run_id, flow_id=run.flow_id)
    )
    await stores.runs.finish_run(run.run_id, "completed", done, claim=claim)


async def main(url: str) -> None:
    """Take one run after the other, until none is left."""
    name = f"{platform.node()}-{os.getpid()}"
    async with mobstore.open_stores(url) as stores:
        while claim := await stores.runs.claim_next(name, ttl=TTL):
            async with stores.claims.keep(claim):
                await complete(stores, claim)
            print(f"{claim.run.flow_id} is completed", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
