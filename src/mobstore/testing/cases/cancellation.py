"""Cases of tasks that are cancelled while they wait for a store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from mobstore.testing.cases.wrappers import BODY_FRAME
from mobstore.testing.kit import case, same
from mobstore.testing.samples import event, failure
from mobstore.testing.subject import Subject

TASKS = 50


@case("cancel.batch.all-or-none")
async def cancelled_batch(subject: Subject) -> None:
    """A batch whose task is cancelled is in the log as a whole or not at all."""
    stores = await subject.open()
    for waits in range(8):
        mob = f"cancelled {waits}"
        await _cancelled(stores.events.append_batch([event(mob), event(mob), event(mob)]), waits)
        await stores.events.append(event("after"))  # what was cancelled is over before this is
        log = await stores.events.replay_all()
        same([one.cursor for one in log], list(range(1, len(log) + 1)), "cursors of the log")
        stored = sum(one.mob_id == mob for one in log)
        assert stored in {0, 3}, f"none or three events of a cancelled batch: got {stored}"


@case("cancel.run.all-or-none")
async def cancelled_change(subject: Subject) -> None:
    """A change of several parts whose task is cancelled is made as a whole or not at all."""
    stores = await subject.open()
    for waits in range(8):
        run = BODY_FRAME.run(10 + waits)
        await stores.runs.create_run(run)
        await _cancelled(BODY_FRAME.call(stores.runs, run.run_id), waits)
        await stores.runs.append_failure_entry(run.run_id, failure("after"))
        ledger = (*run.failure_ledger, failure("after"))
        before = run.model_copy(update={"failure_ledger": ledger})
        got = await stores.runs.get_run(run.run_id)
        whole = got in (before, BODY_FRAME.changed(before))
        assert whole, f"a cancelled change is made as a whole or not at all: got {got!r}"


@case("cancel.others.unharmed")
async def cancelling_harms_nobody(subject: Subject) -> None:
    """Tasks beside those that are cancelled get their results, and the store goes on."""
    stores = await subject.open()
    tasks = [asyncio.create_task(stores.events.append(event(f"{n % 2}"))) for n in range(TASKS)]
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await _cancelled(stores.events.replay_all(), 1)
    log = await stores.events.replay_all()
    kept = sorted(one.cursor for one in log if one.mob_id == "0")
    same(sorted(getattr(one, "cursor", 0) for one in results[::2]), kept, "cursors of the others")
    same([one.cursor for one in log], list(range(1, len(log) + 1)), "cursors of the log")
    same((await stores.events.append(event())).cursor, len(log) + 1, "cursor of one more")


async def _cancelled(call: Coroutine[Any, Any, object], waits: int) -> None:
    """Begin a call, let the event loop turn some times, cancel it."""
    task = asyncio.ensure_future(call)
    for _ in range(waits):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
