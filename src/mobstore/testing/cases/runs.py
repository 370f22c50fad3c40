"""Cases of whole runs, their status and their flow state."""

from __future__ import annotations

from typing import Any, cast, get_args
from uuid import UUID

from mobstore.errors import InternalError, SerializationError
from mobstore.interfaces import MobRunStore
from mobstore.model.kernel import KernelSet, KernelState
from mobstore.model.run import MobRun, MobRunStatus, is_terminal
from mobstore.testing.kit import case, refused, same
from mobstore.testing.samples import full_run, make_run, moment, run_id, state
from mobstore.testing.subject import Subject

STATUSES: tuple[MobRunStatus, ...] = get_args(MobRunStatus)


def _changed(run: MobRun, **fields: Any) -> MobRun:
    return run.model_copy(update=fields)


async def _numbers(runs: MobRunStore, mob: str, flow: str | None = None) -> list[int]:
    return [run.run_id.int for run in await runs.list_runs(mob, flow)]


@case("runs.create.round-trip")
async def round_trips(subject: Subject) -> None:
    """A run comes back exactly as given, with everything in it, or with nothing."""
    runs = (await subject.open()).runs
    for n, run in enumerate((full_run(1), make_run(2), full_run(3, status="pending"))):
        await runs.create_run(run)
        got = await runs.get_run(run.run_id)
        same(got, run, f"run {n} as stored")
        assert got is not None, "the run is there"
        for field in ("root_step_outputs", "frames", "loops"):
            same(list(getattr(got, field)), list(getattr(run, field)), f"order of {field}")
        same(got.to_json(), run.to_json(), f"JSON of run {n}")


@case("runs.create.twice")
async def creates_once(subject: Subject) -> None:
    """A second run of one id is refused, whatever it holds, and the first one stays."""
    runs = (await subject.open()).runs
    run = full_run(1)
    await runs.create_run(run)
    for other in (run, make_run(1, mob="other")):
        text = f"Internal error: run already exists: {run.run_id}"
        await refused(InternalError, runs.create_run(other), "the same id again", text)
    same(await runs.get_run(run.run_id), run, "the first run")
    same(await runs.list_runs("other"), [], "runs of the second run's mob")
    same(await _numbers(runs, "mob"), [1], "runs of the first run's mob")


@case("runs.create.apart")
async def keeps_runs_apart(subject: Subject) -> None:
    """Two runs that name their frames, loops and steps alike share nothing."""
    runs = (await subject.open()).runs
    one, other = full_run(1), make_run(2)
    await runs.create_run(one)
    await runs.create_run(other)
    same(await runs.get_run(other.run_id), other, "the run that has nothing")
    same(await runs.list_runs("mob"), [one, other], "both runs in a list")


@case("runs.get.missing")
async def gets_none(subject: Subject) -> None:
    """A run that is not there is None, and a mob without runs has an empty list."""
    runs = (await subject.open()).runs
    same(await runs.get_run(run_id(1)), None, "a run in an empty store")
    await runs.create_run(make_run(2))
    same(await runs.get_run(run_id(1)), None, "a run beside another")
    same(await runs.list_runs("other"), [], "the runs of an unknown mob")


@case("runs.list.order")
async def lists_in_order(subject: Subject) -> None:
    """Runs are listed in the order of their creation, not of ids, times or later changes."""
    runs = (await subject.open()).runs
    order = [5, 3, 9, 1, 7, 2**127, 2]
    for n in order:
        run = make_run(n, flow=f"{n % 2}", created_at=moment(-n % 4))
        await runs.create_run(run)
    await runs.cas_run_status(run_id(9), expected="pending", next="completed")
    await runs.cas_flow_state(run_id(5), expected=state(0), next=state(1))
    same(await _numbers(runs, "mob"), order, "runs of the mob")
    same(await _numbers(runs, "mob", "1"), [5, 3, 9, 1, 7], "runs of a flow")
    same(await _numbers(runs, "mob", "0"), [2**127, 2], "runs of the other flow")


@case("runs.list.filter")
async def lists_what_is_asked(subject: Subject) -> None:
    """A list holds the runs of exactly this mob and, if given, exactly this flow."""
    runs = (await subject.open()).runs
    names = (("", ""), ("a", ""), ("", "a"), ("a", "a"), ("A", "a"), ("a", "b"), ("ab", ""), ("a\0", "a"))  # fmt: skip
    for n, (mob, flow) in enumerate(names, 1):
        await runs.create_run(full_run(n, mob_id=mob, flow_id=flow))
    for mob, flow, want in (
        ("a", None, [2, 4, 6]), ("", None, [1, 3]), ("ab", None, [7]), ("b", None, []),
        ("", "", [1]), ("a", "", [2]), ("a", "a", [4]), ("a", "b", [6]), ("A", "a", [5]),
        ("a\0", None, [8]), ("a", "A", []), ("%", None, []),
    ):  # fmt: skip
        same(await _numbers(runs, mob, flow), want, f"runs of mob {mob!r}, flow {flow!r}")
    got = await runs.list_runs("a", "b")
    same(got, [full_run(6, mob_id="a", flow_id="b")], "a listed run is complete")


@case("runs.status.cas")
async def swaps_status(subject: Subject) -> None:
    """The status changes if it is the expected one, to any other or to itself, and nothing else does."""
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
            same(await runs.get_run(run.run_id), run, f"a {before} run after refusals")
            swapped = await runs.cas_run_status(run.run_id, expected=before, next=after)
            same(swapped, True, f"{before} to {after}")
            got = await runs.get_run(run.run_id)
            same(got, _changed(run, status=after), f"a {before} run after the change to {after}")


@case("runs.status.terminal")
async def terminal_is_final(subject: Subject) -> None:
    """A terminal status never changes, by either method, not even to itself."""
    runs = (await subject.open()).runs
    for n, status in enumerate(filter(is_terminal, STATUSES)):
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
    """The change to a terminal status sets `completed_at` to the store's time, unless it is set."""
    runs = (await subject.open()).runs
    for n, after in enumerate(filter(is_terminal, STATUSES)):
        run, known = make_run(n), make_run(100 + n, completed_at=moment(-5))
        await runs.create_run(run)
        await runs.create_run(known)
        subject.clock.now = moment(1)
        await runs.cas_run_status(run.run_id, expected="pending", next="running")
        got = await runs.get_run(run.run_id)
        same(got, _changed(run, status="running"), "a run that goes on has no end")
        subject.clock.now = moment(2)
        await runs.cas_run_status(run.run_id, expected="running", next=after)
        subject.clock.now = moment(3)
        await runs.cas_run_status(run.run_id, expected=after, next=after)
        await runs.cas_flow_state(run.run_id, expected=state(0), next=state(0))
        got = await runs.get_run(run.run_id)
        same(got, _changed(run, status=after, completed_at=moment(2)), f"a {after} run")
        await runs.cas_run_status(known.run_id, expected="pending", next=after)
        got = await runs.get_run(known.run_id)
        same(got, _changed(known, status=after), "a run that had an end already")


@case("runs.status.words")
async def refuses_other_words(subject: Subject) -> None:
    """A status that is none of the five is refused, and changes nothing."""
    runs = (await subject.open()).runs
    run = make_run()
    await runs.create_run(run)
    for wrong in (cast("MobRunStatus", odd) for odd in ("done", "Pending", "", None, 1)):
        calls = (
            runs.cas_run_status(run.run_id, expected=wrong, next="running"),
            runs.cas_run_status(run.run_id, expected="pending", next=wrong),
            runs.cas_run_snapshot(
                run.run_id,
                expected_status="pending",
                expected_flow_state=state(0),
                next_status=wrong,
                next_flow_state=state(0),
            ),
        )
        for call in calls:
            await refused(SerializationError, call, f"status {wrong!r}")
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
        same(await runs.get_run(run.run_id), run, f"a {status} run after a refusal")
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
    """Status and flow state change together if both are as expected, else neither does."""
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
        same(await runs.get_run(run.run_id), run, "the run after refusals")
        subject.clock.now = moment(n)
        swapped = await _swap_snapshot(runs, run.run_id, "running", state(0), after)
        same(swapped, True, f"running to {after}")
        ended = moment(n) if is_terminal(after) else None
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
    """The three compare-and-swaps of status and flow state give False for a missing run."""
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
