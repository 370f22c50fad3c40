"""Cases of tasks that are cancelled while they wait for a store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from mobstore.scripts.tables import COUNTERS, STEP_LEDGER, CounterRow, StepLedgerRow
from mobstore.scripts.transaction import Add, Commit, Count, Get, LoadingScript, Put, Scan
from mobstore.testing.cases.wrappers import BODY_FRAME
from mobstore.testing.kit import case, same
from mobstore.testing.samples import event, failure
from mobstore.testing.scripts import read_script, write_script
from mobstore.testing.subject import Subject

TASKS = 50


@case("cancel.batch.all-or-none")
async def cancelled_batch(subject: Subject) -> None:
    """A batch of a cancelled task is in the log as a whole or not at all."""
    stores = await subject.open()
    for waits in range(8):
        mob = f"cancelled {waits}"
        await _cancelled(stores.events.append_batch([event(mob), event(mob), event(mob)]), waits)
        await stores.events.append(event("after"))  # cancelled calls have ended by then
        log = await stores.events.replay_all()
        same([one.cursor for one in log], list(range(1, len(log) + 1)), "cursors of the log")
        stored = sum(one.mob_id == mob for one in log)
        assert stored in {0, 3}, f"none or three events of a cancelled batch: got {stored}"


@case("cancel.run.all-or-none")
async def cancelled_change(subject: Subject) -> None:
    """A change of several parts by a cancelled task is made as a whole or not at all."""
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
async def cancelling_spares_others(subject: Subject) -> None:
    """Tasks beside cancelled ones get their results, and the store keeps working."""
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


@case("cancel.load.all-or-none")
async def cancelled_load(subject: Subject) -> None:
    """A load that is cancelled at any of its steps writes everything or nothing.

    The store keeps working afterwards.
    """
    engine = (await subject.open()).engine
    steps = 6
    for step in range(steps + 1):
        run = f"cancelled {step}"
        task = asyncio.ensure_future(engine.load(partial(_cancelling, run, steps, step)))
        _loading[run] = task
        await asyncio.gather(task, return_exceptions=True)
        del _loading[run]
        # Cancelled calls have ended by then.
        await engine.write(write_script(Put(COUNTERS, (CounterRow("after", step),))))
        ended = await engine.read(read_script(Count(Scan(STEP_LEDGER, (run,)))))
        counter = await engine.read(read_script(Get(COUNTERS, (run,))))
        same((ended, counter is None), (0, True) if ended == 0 else (2 * steps + 1, False), run)
    same(
        await engine.read(read_script(Get(COUNTERS, ("after",)))),
        CounterRow("after", steps),
        "after",
    )


_loading: dict[str, asyncio.Task[None]] = {}


def _cancelling(run: str, steps: int, at: int) -> LoadingScript[None]:
    """Write some rows in some steps, not counting the commit; cancel the task in one of them."""

    def cancel() -> None:
        task = _loading[run]
        loop = task.get_loop()
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:  # engines may run scripts on a thread of their own
            here = False
        if here:
            task.cancel()
        else:
            loop.call_soon_threadsafe(task.cancel)

    def row(position: int) -> StepLedgerRow:
        return StepLedgerRow(run, position, "step", "ann", "failed", "null", "t")

    for step in range(steps):
        if step == at:
            cancel()
        yield Add(STEP_LEDGER, (row(2 * step), row(2 * step + 1))), Count(Scan(STEP_LEDGER))
    if at == steps:
        cancel()
    writes = Add(STEP_LEDGER, (row(2 * steps),)), Put(COUNTERS, (CounterRow(run, 1),))
    return Commit(None, writes)


async def _cancelled(call: Coroutine[Any, Any, object], waits: int) -> None:
    """Start a call, run the event loop for some turns, then cancel the call."""
    task = asyncio.ensure_future(call)
    for _ in range(waits):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
