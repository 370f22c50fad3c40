"""The examples of the console's menu. Each runs on any store, also on an empty one."""

from typing import Final

EXAMPLES: Final = {
    "Append and poll": """\
# Append an event, then read the newest ones. The page and other tabs show them at once.
from mobstore import Listing, NewMobEvent, TaskCreated

task = TaskCreated(task_id="t1", subject="Read the tides", description="", blocked_by=())
event = await stores.events.append(NewMobEvent(mob_id="console", kind=task))
print("appended event", event.cursor)

Listing(await stores.events.poll(limit=10, newest_first=True))
""",
    "A compare-and-swap that loses": """\
# Two workers start the same run. Each swap expects "pending", and the second one loses.
import asyncio
from mobstore import KernelState, MobRun

run = MobRun.pending("console", "daily", KernelState("Pending"))
await stores.runs.create_run(run)


async def start(worker):
    won = await stores.runs.cas_run_status(run.run_id, expected="pending", next="running")
    print(worker, "started the run" if won else "was too late")


await asyncio.gather(start("A"), start("B"))
await stores.runs.get_run(run.run_id)
""",
    "An atomic call": """\
# A change of status and its event are one commit: all or nothing.
from mobstore import FlowStarted, KernelState, MobRun, NewMobEvent, RefusedError

run = MobRun.pending("console", "daily", KernelState("Pending"))
await stores.runs.create_run(run)


async def start(at):
    kind = FlowStarted(run_id=run.run_id, flow_id=run.flow_id, params=None)
    event = await at.events.append(NewMobEvent(mob_id=run.mob_id, kind=kind))
    await at.runs.cas_run_status(run.run_id, expected="pending", next="running")
    return event.cursor


print("started with event", await stores.atomic(start))
latest = await stores.events.latest_cursor()
try:
    await stores.atomic(start)
except RefusedError as error:
    print(error)
print("events written by the refused call:", await stores.events.latest_cursor() - latest)
""",
    "A subscription beside other tabs": """\
# Follow the log for 30 seconds, or for three events. Press "Play a flow" meanwhile, here or in
# another tab: all of them commit to this store.
import asyncio

after = await stores.events.latest_cursor()
print("waiting for events after", after)
try:
    async with asyncio.timeout(30), stores.events.subscribe(after) as events:
        async for event in events:
            print(event.cursor, event.mob_id, event.kind.type)
            if event.cursor >= after + 3:
                break
except TimeoutError:
    print("no more events came")
""",
    "Claims": """\
# One holder at a time. A holder that slept too long is fenced off.
import asyncio
from mobstore import ClaimLostError, MobReset, NewMobEvent

old = await stores.claims.acquire("console-job", "worker-1", ttl=1)
print("worker-2 at once:", await stores.claims.acquire("console-job", "worker-2", ttl=30))
await asyncio.sleep(1.1)  # the claim expires
new = await stores.claims.acquire("console-job", "worker-2", ttl=30)
print("worker-2 later:", new.holder, "epoch", new.epoch)


async def reset(at):
    await at.events.append(NewMobEvent(mob_id="console", kind=MobReset()))


try:
    await stores.atomic(reset, claim=old)
except ClaimLostError as error:
    print(error)
print("released:", await stores.claims.release(new))
""",
    "Dicts for a data frame": """\
# Flat dicts with the same keys: pandas.DataFrame(rows), polars.DataFrame(rows) or csv.DictWriter.
from collections import Counter
from mobstore import to_dicts

rows = to_dicts(await stores.events.poll())
print(len(rows), "events by type:", dict(Counter(row["type"] for row in rows).most_common()))
rows[-1:]
""",
    "Verify": """\
# Read every row, and list those that mobstore could not have written.
found = await mobstore.verify(stores)
for problem in found.problems:
    print(problem.table, problem.key, problem.what)
print("problems:", len(found.problems))
found.rows
""",
    "Export": """\
# Export the store to a file in memory, import it into another store, and compare the two.
# To save the file, use the button of the page "Store".
import io

file = io.BytesIO()
print(await mobstore.export_stores(stores, file))
print("bytes:", file.tell())
file.seek(0)
async with mobstore.open_stores("memory:") as other:
    await mobstore.import_stores(file, other)
    print("differences:", [found async for found in mobstore.diff(stores, other)])
await stores.overview()
""",
}
"""Titles and sources."""
