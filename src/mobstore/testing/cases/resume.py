"""Cases of resuming a runtime: headers, selections, pages; and of retention."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast
from uuid import UUID

from mobstore.errors import InternalError, NotFoundError, UsageError
from mobstore.model.event import FlowCompleted, FlowStarted, StepFailed
from mobstore.model.ids import FlowId, RunId, StepId
from mobstore.model.run import MobRun, MobRunStatus, RunHeader
from mobstore.stores.mob_stores import Stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    event,
    failure,
    full_run,
    iteration,
    make_run,
    run_id,
    step,
    timestamp,
)
from mobstore.testing.subject import Subject


@case("events.poll.subject")
async def polls_a_subject(subject: Subject) -> None:
    """A poll for a mob or a run returns only its events, within the bounds of any poll."""
    log = (await subject.open()).events
    flow, failed = FlowId("flow"), StepId("s")
    kinds = [
        FlowStarted(run_id=run_id(1), flow_id=flow, params=None),
        FlowStarted(run_id=run_id(2), flow_id=flow, params=None),
        StepFailed(run_id=run_id(1), step_id=failed, reason="why"),
        None,
        FlowCompleted(run_id=run_id(1), flow_id=flow),
    ]
    await log.append_batch([event(m, kind=k) for m, k in zip("abaab", kinds, strict=True)])

    async def cursors(after: int, limit: int, mob: str | None, run: UUID | None) -> list[int]:
        found = await log.poll(after, limit, mob_id=mob, run_id=run)
        return [one.cursor for one in found]

    same(await cursors(0, 9, "a", None), [1, 3, 4], "of a mob")
    same(await cursors(1, 1, "a", None), [3], "of a mob, with bounds")
    same(await cursors(0, 9, "", None), [], "of a mob without a name")
    same(await cursors(0, 9, None, run_id(1)), [1, 3, 5], "of a run")
    same(await cursors(3, 9, None, run_id(1)), [5], "of a run, after a cursor")
    same(await cursors(0, 9, None, run_id(3)), [], "of a run without events")
    await expect_error(InternalError, cursors(0, 9, "a", run_id(1)), "of a mob and a run")
    wrong = cast("UUID", "no uuid")
    await expect_error(UsageError, cursors(0, 9, None, wrong), "a run id that is none")


@case("events.latest-cursor")
async def knows_the_latest_cursor(subject: Subject) -> None:
    """The latest cursor is the last one assigned, even if its event was removed."""
    log = (await subject.open()).events
    same(await log.latest_cursor(), 0, "before the first event")
    await log.append_batch([event(at=timestamp(n)) for n in (5, 1)])
    same(await log.latest_cursor(), 2, "after two")
    await log.prune(timestamp(3))
    same(await log.latest_cursor(), 2, "after the last was pruned")
    await log.clear()
    same(await log.latest_cursor(), 2, "after a clear")


@case("runs.headers")
async def gives_headers(subject: Subject) -> None:
    """A header is a run without its states, ledgers and outputs."""
    runs = (await subject.open()).runs
    whole = full_run(1)
    await runs.create_run(whole)
    await runs.create_run(make_run(2, mob="other"))
    header = await runs.get_run_header(run_id(1))
    assert header is not None, "the header is there"
    for name in RunHeader.model_fields.keys() & MobRun.model_fields.keys():
        same(getattr(header, name), getattr(whole, name), f"{name} of the header")
    same(await runs.get_run_header(run_id(3)), None, "the header of a missing run")
    same(await runs.run_headers("mob"), [header], "the headers of a mob")
    same([one.run_id.int for one in await runs.run_headers()], [1, 2], "of all mobs")
    await expect_error(InternalError, runs.run_headers(flow_id="flow"), "a flow without its mob")


@case("runs.list.pages")
async def lists_in_pages(subject: Subject) -> None:
    """Runs and headers are selected by mob, flow and status, and returned in pages."""
    runs = (await subject.open()).runs
    statuses: tuple[MobRunStatus, ...] = ("running", "failed", "running", "pending")
    order = [9, 2, 7, 1, 8, 3, 6, 5]
    for place, n in enumerate(order):
        await runs.create_run(
            make_run(n, mob=f"m{place % 2}", flow=f"f{place // 4}", status=statuses[place % 4])
        )
    of_flow = [9, 2, 7, 1]
    assert order[:4] == of_flow, "the runs of the first flow"
    selections: list[tuple[str | None, str | None, MobRunStatus | None, list[int]]] = [
        (None, None, None, order),
        (None, None, "running", [9, 7, 8, 6]),
        ("m0", None, None, [9, 7, 8, 6]),
        ("m0", None, "running", [9, 7, 8, 6]),
        ("m1", None, "pending", [1, 5]),
        ("m0", "f1", None, [8, 6]),
        ("m1", "f0", "failed", [2]),
        ("m1", "f0", "completed", []),
    ]
    for mob, flow, status, want in selections:
        what = f"runs of {mob}, {flow}, {status}"
        after: RunId | None = None
        got: list[int] = []
        while page := await runs.run_headers(mob, flow, status=status, after=after, limit=3):
            got += [header.run_id.int for header in page]
            after = page[-1].run_id
            if mob is not None:
                whole = await runs.list_runs(mob, flow, status=status, after=after, limit=1)
                at = want.index(after.int) + 1
                same([run.run_id.int for run in whole], want[at : at + 1], f"the next of {what}")
        same(got, want, what)
    await runs.cas_run_status(run_id(8), expected="running", next="canceled")
    same(
        await runs.run_headers("m0", status="canceled"),
        [await runs.get_run_header(run_id(8))],
        "a run that has changed its status",
    )
    after = run_id(8)
    got = [one.run_id.int for one in await runs.run_headers(status="running", after=after)]
    same(got, [6], "the page after a run that is no longer among them")
    await expect_error(NotFoundError, runs.run_headers(after=run_id(77)), "after no run")
    await expect_error(InternalError, runs.list_runs("m0", limit=-1), "a negative limit")
    odd = cast("MobRunStatus", "odd")
    await expect_error(UsageError, runs.run_headers(status=odd), "a status that is none")


@case("runs.ledger.pages")
async def pages_ledgers(subject: Subject) -> None:
    """Pages of a ledger hold the same entries as the run."""
    runs = (await subject.open()).runs
    steps = tuple(step(f"s{n}", at=n) for n in range(12))
    failures = tuple(failure(f"s{n}", at=n) for n in range(12))
    iterations = tuple(iteration(n) for n in range(12))
    await runs.create_run(
        make_run(step_ledger=steps, failure_ledger=failures, loop_iteration_ledger=iterations)
    )
    for start, limit in ((0, None), (0, 3), (9, 9), (11, 1), (12, None), (99, 5), (4, 0)):
        stop = None if limit is None else start + limit
        what = f"from {start}, at most {limit}"
        got: object = await runs.step_entries(run_id(1), start=start, limit=limit)
        same(got, [*steps[start:stop]], f"steps {what}")
        got = await runs.failure_entries(run_id(1), start=start, limit=limit)
        same(got, [*failures[start:stop]], f"failures {what}")
        got = await runs.loop_iteration_entries(run_id(1), start=start, limit=limit)
        same(got, [*iterations[start:stop]], f"iterations {what}")
    calls: list[Callable[..., Awaitable[object]]] = [
        runs.step_entries, runs.failure_entries, runs.loop_iteration_entries,
    ]  # fmt: skip
    for call in calls:
        await expect_error(NotFoundError, call(run_id(2)), "a missing run")
        await expect_error(InternalError, call(run_id(1), start=-1), "a negative start")


@case("runs.delete")
async def deletes_runs(subject: Subject) -> None:
    """Deleting a run removes all of its rows and no others."""
    stores = await subject.open()
    runs = stores.runs
    for run in (full_run(1), full_run(2)):
        await runs.create_run(run)
    await stores.events.append(event(kind=FlowCompleted(run_id=run_id(1), flow_id=FlowId("flow"))))
    same(await runs.delete_run(run_id(1)), True, "deleting a run")
    same(await runs.delete_run(run_id(1)), False, "deleting it again")
    same(await runs.get_run(run_id(1)), None, "the deleted run")
    same(await runs.list_runs("mob"), [full_run(2)], "the other one")
    same(len(await stores.events.poll(0, 9, run_id=run_id(1))), 1, "events of the deleted run")
    bare = make_run(1)
    await runs.create_run(bare)
    same(await runs.get_run(run_id(1)), bare, "a new run of its id")
    same(await runs.list_runs("mob"), [full_run(2), bare], "the order of creation")


@case("runs.prune")
async def prunes_runs(subject: Subject) -> None:
    """Pruning removes the runs in the given statuses that ended before a time, and no others."""
    runs = (await subject.open()).runs
    ended: list[tuple[int, MobRunStatus, int | None]] = [
        (1, "completed", 5), (2, "failed", 4), (3, "canceled", 5), (4, "completed", 6),
        (5, "running", None), (6, "completed", None), (7, "running", 1), (8, "failed", 5),
    ]  # fmt: skip
    for n, status, end in ended:
        await runs.create_run(
            full_run(n, status=status, completed_at=None if end is None else timestamp(end))
        )

    async def left() -> list[int]:
        return [header.run_id.int for header in await runs.run_headers()]

    same(await runs.prune_runs(timestamp(4)), 0, "none has ended that early")
    same(await runs.prune_runs(timestamp(6), "failed"), 2, "failed runs")
    same(await left(), [1, 3, 4, 5, 6, 7], "runs left")
    same(await runs.prune_runs(timestamp(6)), 2, "runs in any terminal status")
    same(await left(), [4, 5, 6, 7], "runs left")
    same(await runs.prune_runs(timestamp(6), ("running", "pending")), 1, "a run ended by hand")
    same(await runs.prune_runs(timestamp(9), ()), 0, "in no status")
    same(await runs.list_runs("mob", status="completed"), [
        full_run(4, status="completed", completed_at=timestamp(6)),
        full_run(6, status="completed", completed_at=None),
    ], "the runs left are whole")  # fmt: skip
    wrong = cast("MobRunStatus", "odd")
    await expect_error(UsageError, runs.prune_runs(timestamp(9), wrong), "a status that is none")


@case("runs.prune.many")
async def prunes_many_runs(subject: Subject) -> None:
    """Many runs are pruned in the order of their ends, each as a whole, even if interrupted.

    In an atomic call, all of them are pruned with that call, or none.
    """
    stores = await subject.open()
    many = 600
    ended = [(n, timestamp(n * 7 % many)) for n in range(1, many)]
    statuses: tuple[MobRunStatus, ...] = ("completed", "failed", "canceled")

    async def create(at: Stores) -> None:
        for n, end in ended:
            status = statuses[n % 3]
            ledger = (step("s"),)
            run = make_run(n, status=status, completed_at=end, step_ledger=ledger)
            await at.runs.create_run(run)

    await stores.atomic(create)

    async def left() -> list[int]:
        return [header.run_id.int for header in await stores.runs.run_headers()]

    async def pruning(at: Stores) -> None:
        same(await at.runs.prune_runs(timestamp(many)), many - 1, "runs pruned in an atomic call")
        same(await at.runs.run_headers(), [], "runs that the call sees then")
        raise LookupError("mine")

    await expect_error(LookupError, stores.atomic(pruning), "an atomic call that raises")
    same(await left(), [n for n, _ in ended], "runs after it")

    task = asyncio.ensure_future(stores.runs.prune_runs(timestamp(many - 10)))
    while len(await left()) == len(ended) and not task.done():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await stores.runs.prune_runs(timestamp(0))  # waits for a commit under way
    staying = await left()
    by_end = [n for n, _ in sorted(ended, key=lambda one: one[1])]
    same(staying, sorted(by_end[len(ended) - len(staying) :]), "the runs that ended last stay")
    for n in staying[:3]:
        run = await stores.runs.get_run(run_id(n))
        same(run and run.step_ledger, (step("s"),), "the ledger of a run that stays")
    same(await stores.runs.prune_runs(timestamp(many - 10)), len(staying) - 10, "the others")
    same(await left(), sorted(by_end[-10:]), "the runs in the end")

    async def pruning_the_rest(at: Stores) -> int:
        return await at.runs.prune_runs(timestamp(many))

    same(await stores.atomic(pruning_the_rest), 10, "the rest, in an atomic call")
    same(await left(), [], "no run is left")
