"""Cases of the status and the flow state of runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, get_args
from uuid import UUID

from mobstore.errors import UsageError
from mobstore.model.kernel import KernelState
from mobstore.model.kernel_values import KernelSet
from mobstore.model.run import MobRun, MobRunStatus
from mobstore.stores.runs import MobRunStore
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import full_run, make_run, run_id, state, timestamp
from mobstore.testing.subject import Subject

STATUSES: tuple[MobRunStatus, ...] = get_args(MobRunStatus)
TERMINAL: tuple[MobRunStatus, ...] = ("completed", "failed", "canceled")


def _changed(run: MobRun, **fields: Any) -> MobRun:
    return run.model_copy(update=fields)


@case("runs.status.cas")
async def swaps_status(subject: Subject) -> None:
    """If the status is the expected one, it alone changes, to any other or to itself."""
    runs = (await subject.open()).runs
    going: tuple[MobRunStatus, ...] = ("pending", "running")
    for n, before in enumerate(going):
        for m, after in enumerate(STATUSES):
            run = full_run(10 * n + m, status=before)
            await runs.create_run(run)
            for wrong in STATUSES:
                if wrong != before:
                    swapped = await runs.cas_run_status(run.run_id, expected=wrong, next=after)
                    same(swapped, False, f"{before} run, expected {wrong}")
            same(await runs.get_run(run.run_id), run, f"a {before} run after errors")
            swapped = await runs.cas_run_status(run.run_id, expected=before, next=after)
            same(swapped, True, f"{before} to {after}")
            got = await runs.get_run(run.run_id)
            same(got, _changed(run, status=after), f"a {before} run after the change to {after}")


@case("runs.status.terminal")
async def terminal_is_final(subject: Subject) -> None:
    """A terminal status never changes, by either method, not even to itself."""
    runs = (await subject.open()).runs
    for n, status in enumerate(TERMINAL):
        run = full_run(n, status=status, completed_at=None)
        await runs.create_run(run)
        for after in STATUSES:
            swapped = await runs.cas_run_status(run.run_id, expected=status, next=after)
            same(swapped, False, f"{status} to {after}")
            swapped = await runs.cas_run_snapshot(
                run.run_id,
                expected_status=status,
                expected_flow_state=state(0),
                next_status=after,
                next_flow_state=state(1),
            )
            same(swapped, False, f"{status} to {after} with the flow state")
        same(await runs.get_run(run.run_id), run, f"a {status} run")


@case("runs.status.completed-at")
async def completes_once(subject: Subject) -> None:
    """A change to a terminal status sets `completed_at` to the store's time, unless it is set."""
    runs = (await subject.open()).runs
    for n, after in enumerate(TERMINAL):
        run, known = make_run(n), make_run(100 + n, completed_at=timestamp(-5))
        await runs.create_run(run)
        await runs.create_run(known)
        subject.clock.now = timestamp(1)
        await runs.cas_run_status(run.run_id, expected="pending", next="running")
        got = await runs.get_run(run.run_id)
        same(got, _changed(run, status="running"), "a run that goes on has no end")
        subject.clock.now = timestamp(2)
        await runs.cas_run_status(run.run_id, expected="running", next=after)
        subject.clock.now = timestamp(3)
        await runs.cas_run_status(run.run_id, expected=after, next=after)
        await runs.cas_flow_state(run.run_id, expected=state(0), next=state(0))
        got = await runs.get_run(run.run_id)
        same(got, _changed(run, status=after, completed_at=timestamp(2)), f"a {after} run")
        await runs.cas_run_status(known.run_id, expected="pending", next=after)
        got = await runs.get_run(known.run_id)
        same(got, _changed(known, status=after), "a run that had an end already")


@case("runs.status.words")
async def rejects_other_words(subject: Subject) -> None:
    """A status other than the five is rejected and changes nothing."""
    runs = (await subject.open()).runs
    run = make_run()
    await runs.create_run(run)
    odd_words: list[Any] = ["done", "Pending", "", None, 1]
    for wrong in odd_words:
        calls: tuple[Callable[[], Awaitable[bool]], ...] = (
            partial(runs.cas_run_status, run.run_id, expected=wrong, next="running"),
            partial(runs.cas_run_status, run.run_id, expected="pending", next=wrong),
            partial(
                runs.cas_run_snapshot,
                run.run_id,
                expected_status="pending",
                expected_flow_state=state(0),
                next_status=wrong,
                next_flow_state=state(0),
            ),
        )
        for call in calls:
            await expect_error(UsageError, call(), f"status {wrong!r}")
    same(await runs.get_run(run.run_id), run, "the run")


@case("runs.flow-state.cas")
async def swaps_flow_state(subject: Subject) -> None:
    """The flow state is replaced if it equals the expected one, whatever the status."""
    runs = (await subject.open()).runs
    for n, status in enumerate(STATUSES):
        run = full_run(n, status=status)
        await runs.create_run(run)
        swapped = await runs.cas_flow_state(run.run_id, expected=state(1), next=state(2))
        same(swapped, False, f"another state expected of a {status} run")
        same(await runs.get_run(run.run_id), run, f"a {status} run after an error")
        swapped = await runs.cas_flow_state(run.run_id, expected=state(0), next=state(0))
        same(swapped, True, "a change to the same state")
        swapped = await runs.cas_flow_state(run.run_id, expected=state(0), next=state(2))
        same(swapped, True, f"the right state expected of a {status} run")
        got = await runs.get_run(run.run_id)
        same(got, _changed(run, flow_state=state(2)), f"a {status} run after the change")


@case("runs.flow-state.by-value")
async def compares_by_value(subject: Subject) -> None:
    """States are compared by value: the order of fields and set items does not count, types do."""
    runs = (await subject.open()).runs
    fields: dict[str, Any] = {"b": {"y": 1, "x": (True, 2)}, "a": KernelSet(["2", "1"])}
    run = make_run(flow_state=KernelState("P", fields))
    await runs.create_run(run)
    unlike: tuple[dict[str, Any], ...] = (
        {**fields, "b": {"y": True, "x": (True, 2)}},
        {**fields, "b": {"y": 1, "x": (1, 2)}},
        {**fields, "b": {"y": 1, "x": (2, True)}},
        {**fields, "a": KernelSet([2, "1"])},
        {**fields, "c": None},
        {"a": fields["a"]},
    )
    for other in unlike:
        swapped = await runs.cas_flow_state(
            run.run_id, expected=KernelState("P", other), next=state(1)
        )
        same(swapped, False, f"{other} expected")
    swapped = await runs.cas_flow_state(
        run.run_id, expected=KernelState("p", fields), next=state(1)
    )
    same(swapped, False, "another phase expected")
    alike: dict[str, Any] = {"a": {"1", "2"}, "b": {"x": [True, 2], "y": 1}}
    swapped = await runs.cas_flow_state(run.run_id, expected=KernelState("P", alike), next=state(1))
    same(swapped, True, "the same state expected, written in another order")


@case("runs.snapshot.cas")
async def swaps_snapshot(subject: Subject) -> None:
    """Status and flow state change together if both are as expected, otherwise neither."""
    runs = (await subject.open()).runs
    for n, after in enumerate(STATUSES):
        run = full_run(n, status="running", completed_at=None)
        await runs.create_run(run)
        wrong: tuple[tuple[MobRunStatus, KernelState], ...] = (
            ("pending", state(0)), ("running", state(1)), ("pending", state(1)),
            (after if after != "running" else "failed", state(0)),
        )  # fmt: skip
        for status, flow_state in wrong:
            swapped = await _swap_snapshot(runs, run.run_id, status, flow_state, after)
            same(swapped, False, f"{status} and {flow_state} expected")
        same(await runs.get_run(run.run_id), run, "the run after errors")
        subject.clock.now = timestamp(n)
        swapped = await _swap_snapshot(runs, run.run_id, "running", state(0), after)
        same(swapped, True, f"running to {after}")
        ended = timestamp(n) if after in TERMINAL else None
        want = _changed(run, status=after, flow_state=state(2), completed_at=ended)
        same(await runs.get_run(run.run_id), want, f"the run after the change to {after}")


async def _swap_snapshot(
    runs: MobRunStore, run: UUID, status: MobRunStatus, expected: KernelState, after: MobRunStatus
) -> bool:
    return await runs.cas_run_snapshot(
        run,
        expected_status=status,
        expected_flow_state=expected,
        next_status=after,
        next_flow_state=state(2),
    )


@case("runs.cas.missing")
async def misses_without_error(subject: Subject) -> None:
    """The three compare-and-swaps of status and flow state return False for a missing run."""
    runs = (await subject.open()).runs
    other = make_run(2)
    await runs.create_run(other)
    missing = run_id(1)
    swapped = await runs.cas_run_status(missing, expected="pending", next="running")
    same(swapped, False, "status of a missing run")
    swapped = await runs.cas_flow_state(missing, expected=state(0), next=state(1))
    same(swapped, False, "flow state of a missing run")
    swapped = await _swap_snapshot(runs, missing, "pending", state(0), "running")
    same(swapped, False, "status and flow state of a missing run")
    same(await runs.get_run(missing), None, "the missing run")
    same(await runs.get_run(other.run_id), other, "the other run")
