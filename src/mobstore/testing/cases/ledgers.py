"""Cases of a run's ledgers: steps, failures, loop iterations; and of missing runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, get_args
from uuid import UUID

from pydantic import JsonValue

from mobstore.errors import InternalError, NotFoundError
from mobstore.model.run import LoopSnapshot, MobRun, MobRunStatus, StepRunStatus
from mobstore.stores.runs import MobRunStore
from mobstore.testing.cases.wrappers import call_every_wrapper
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    failure,
    full_run,
    iteration,
    loop,
    make_run,
    run_id,
    state,
    step,
    timestamp,
)
from mobstore.testing.subject import Subject


def _changed(run: MobRun, **fields: Any) -> MobRun:
    return run.model_copy(update=fields)


@case("runs.steps.append")
async def appends_steps(subject: Subject) -> None:
    """Step entries are appended as given, duplicates too, whatever the run's status."""
    runs = (await subject.open()).runs
    for n, status in enumerate(get_args(MobRunStatus)):
        run = full_run(n, status=status)
        await runs.create_run(run)
        added = (
            step(at=5, output={"a": [1.0]}),
            step("s2", at=9),
            step(at=5),
            step("", "", "failed"),
        )
        for entry in added:
            await runs.append_step_entry(run.run_id, entry)
        want = _changed(run, step_ledger=run.step_ledger + added)
        same(await runs.get_run(run.run_id), want, f"a {status} run after four appends")


@case("runs.steps.many")
async def keeps_order_of_many(subject: Subject) -> None:
    """A ledger keeps the order of appending, also beyond ten and a hundred entries."""
    runs = (await subject.open()).runs
    run = make_run()
    await runs.create_run(run)
    for n in range(120):
        await runs.append_step_entry(run.run_id, step(f"{n}", at=-n))
        await runs.append_failure_entry(run.run_id, failure(f"{n}", at=-n))
    got = await runs.get_run(run.run_id)
    assert got is not None, "the run is there"
    order = [f"{n}" for n in range(120)]
    same([entry.step_id for entry in got.step_ledger], order, "order of the step ledger")
    same([entry.step_id for entry in got.failure_ledger], order, "order of the failure ledger")


@case("runs.steps.if-absent")
async def appends_if_absent(subject: Subject) -> None:
    """An entry is absent unless one has its step, member and status; other fields do not count."""
    runs = (await subject.open()).runs
    run = full_run(1, status="completed")
    await runs.create_run(run)
    statuses: tuple[StepRunStatus, ...] = get_args(StepRunStatus)
    added = [step("s", "ann", status) for status in statuses]
    added += [step("s", "bob"), step("t", "ann"), step("s", ""), step("", "s"), step("S", "ann")]
    for entry in added:
        appended = await runs.append_step_entry_if_absent(run.run_id, entry)
        same(appended, True, f"{entry} the first time")
    for entry in (*added, *run.step_ledger):
        other = entry.model_copy(update={"output": "other", "timestamp": timestamp(99)})
        appended = await runs.append_step_entry_if_absent(run.run_id, other)
        same(appended, False, f"{entry} again, with other output and time")
    want = _changed(run, step_ledger=(*run.step_ledger, *added))
    same(await runs.get_run(run.run_id), want, "the run")
    await runs.create_run(make_run(2))
    appended = await runs.append_step_entry_if_absent(run_id(2), added[0])
    same(appended, True, "the same entry in another run")


@case("runs.steps.output")
async def puts_output(subject: Subject) -> None:
    """An output replaces that of its step's last entry, whatever its member or status."""
    runs = (await subject.open()).runs
    ledger = (
        step("s", "ann", "completed", "first"), step("t", "ann"),
        step("s", "bob", "failed"), step("u", "ann"),
    )  # fmt: skip
    run = make_run(step_ledger=ledger, status="failed")
    await runs.create_run(run)
    await runs.create_run(make_run(2, step_ledger=ledger))
    outputs: tuple[JsonValue, ...] = ({"a": [1, 1.0, True]}, None, "last")
    for output in outputs:
        await runs.put_step_output(run.run_id, "s", output)
        last = ledger[2].model_copy(update={"output": output})
        want = _changed(run, step_ledger=(ledger[0], ledger[1], last, ledger[3]))
        same(await runs.get_run(run.run_id), want, f"the run after the output {output}")
    got = await runs.get_run(run_id(2))
    same(got, make_run(2, step_ledger=ledger), "another run with the same steps")


@case("runs.steps.unknown")
async def rejects_output_of_unknown_step(subject: Subject) -> None:
    """An output for a step without an entry is rejected and changes nothing."""
    runs = (await subject.open()).runs
    run = full_run(1)
    await runs.create_run(run)
    await runs.create_run(make_run(2, step_ledger=(step("only here"),)))
    for unknown in ("only here", "", "S1", "s"):
        text = f"cannot set output for unknown step '{unknown}' in run '{run.run_id}'"
        call = runs.put_step_output(run.run_id, unknown, 1)
        await expect_error(InternalError, call, f"step {unknown!r}", f"Internal error: {text}")
    same(await runs.get_run(run.run_id), run, "the run")


@case("runs.failures.append")
async def appends_failures(subject: Subject) -> None:
    """Failures are appended as given, duplicates too, whatever the run's status."""
    runs = (await subject.open()).runs
    run = full_run(1, status="completed")
    await runs.create_run(run)
    added = (failure("s", "why", 5), failure("", "", -5), failure("s", "why", 5))
    for entry in added:
        await runs.append_failure_entry(run.run_id, entry)
    want = _changed(run, failure_ledger=run.failure_ledger + added)
    same(await runs.get_run(run.run_id), want, "the run")


@case("runs.loops.upsert")
async def sets_loops(subject: Subject) -> None:
    """A loop is added or replaced; an iteration is recorded once per loop, number and frame."""
    runs = (await subject.open()).runs
    run = make_run(status="canceled")
    await runs.create_run(run)
    entries = (iteration(0), iteration(1), iteration(0, "other"), iteration(0, frame_id="other"),
               iteration(2**64 - 1), iteration(0, "", ""), iteration(10))  # fmt: skip
    for n, entry in enumerate((*entries, *entries, None)):
        await runs.upsert_loop_snapshot(
            run.run_id, loop_instance_id="loop", snapshot=loop(n), ledger_entry=entry
        )
        ledger = entries[: n + 1]
        want = _changed(run, loops={"loop": loop(n)}, loop_iteration_ledger=ledger)
        same(await runs.get_run(run.run_id), want, f"the run after {n + 1} calls")
    await runs.upsert_loop_snapshot(run.run_id, loop_instance_id="", snapshot=loop(99))
    got = await runs.get_run(run.run_id)
    assert got is not None, "the run is there"
    same(got.loops, {"": loop(99), "loop": loop(2 * len(entries))}, "both loops")
    same(got.loop_iteration_ledger, entries, "the ledger after a call without an entry")


@case("runs.ledger.missing")
async def rejects_missing_runs(subject: Subject) -> None:
    """All changes of ledgers, frames, loops or outputs reject a missing run with one text."""
    runs = (await subject.open()).runs
    other = full_run(2)
    await runs.create_run(other)
    calls: dict[str, Callable[[MobRunStore, UUID], Awaitable[object]]] = {
        "append_step_entry": lambda store, run: store.append_step_entry(run, step()),
        "append_step_entry_if_absent": lambda store, run: store.append_step_entry_if_absent(
            run, step()
        ),
        "put_step_output": lambda store, run: store.put_step_output(run, "s1", 1),
        "append_failure_entry": lambda store, run: store.append_failure_entry(run, failure()),
        "upsert_loop_snapshot": lambda store, run: store.upsert_loop_snapshot(
            run, loop_instance_id="loop", snapshot=LoopSnapshot(kernel_state=state(1))
        ),
        **call_every_wrapper(),
    }
    missing = run_id(1)
    for method, call in calls.items():
        text = f"Not found: run not found: {missing}"
        await expect_error(NotFoundError, call(runs, missing), method, text)
    same(await runs.get_run(missing), None, "the missing run")
    same(await runs.list_runs("mob"), [other], "the runs that are there")
