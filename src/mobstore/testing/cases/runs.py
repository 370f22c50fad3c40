"""Cases of whole runs: creating, reading, listing."""

from __future__ import annotations

from typing import get_args

from mobstore.errors import InternalError, UsageError
from mobstore.model.event import FlowStarted, NewMobEvent
from mobstore.model.run import MobRunStatus
from mobstore.stores.runs import MobRunStore
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import full_run, make_run, run_id, state, timestamp
from mobstore.testing.subject import Subject

STATUSES: tuple[MobRunStatus, ...] = get_args(MobRunStatus)
TERMINAL: tuple[MobRunStatus, ...] = ("completed", "failed", "canceled")


async def _numbers(runs: MobRunStore, mob: str, flow: str | None = None) -> list[int]:
    return [run.run_id.int for run in await runs.list_runs(mob, flow)]


@case("runs.create.round-trip")
async def round_trips(subject: Subject) -> None:
    """A run is read back exactly as given, full or empty."""
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
    """A second run with one id is rejected, whatever it holds, and the first one stays."""
    runs = (await subject.open()).runs
    run = full_run(1)
    await runs.create_run(run)
    for other in (run, make_run(1, mob="other")):
        text = f"Internal error: run already exists: {run.run_id}"
        await expect_error(InternalError, runs.create_run(other), "the same id again", text)
    same(await runs.get_run(run.run_id), run, "the first run")
    same(await runs.list_runs("other"), [], "runs of the second run's mob")
    same(await _numbers(runs, "mob"), [1], "runs of the first run's mob")


@case("runs.create.apart")
async def keeps_runs_apart(subject: Subject) -> None:
    """Two runs with equal names of frames, loops and steps share nothing."""
    runs = (await subject.open()).runs
    one, other = full_run(1), make_run(2)
    await runs.create_run(one)
    await runs.create_run(other)
    same(await runs.get_run(other.run_id), other, "the run that has nothing")
    same(await runs.list_runs("mob"), [one, other], "both runs in a list")


@case("runs.get.missing")
async def gets_none(subject: Subject) -> None:
    """A missing run is None, and a mob without runs has an empty list."""
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
        run = make_run(n, flow=f"{n % 2}", created_at=timestamp(-n % 4))
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
    names = (
        ("", ""), ("a", ""), ("", "a"), ("a", "a"), ("A", "a"), ("a", "b"), ("ab", ""),
        ("a\0", "a"),
    )  # fmt: skip
    for n, (mob, flow) in enumerate(names, 1):
        await runs.create_run(full_run(n, mob_id=mob, flow_id=flow))
    asked: tuple[tuple[str, str | None, list[int]], ...] = (
        ("a", None, [2, 4, 6]), ("", None, [1, 3]), ("ab", None, [7]), ("b", None, []),
        ("", "", [1]), ("a", "", [2]), ("a", "a", [4]), ("a", "b", [6]), ("A", "a", [5]),
        ("a\0", None, [8]), ("a", "A", []), ("%", None, []),
    )  # fmt: skip
    for mob, flow_or_none, want in asked:
        got = await _numbers(runs, mob, flow_or_none)
        same(got, want, f"runs of mob {mob!r}, flow {flow_or_none!r}")
    found = await runs.list_runs("a", "b")
    same(found, [full_run(6, mob_id="a", flow_id="b")], "a listed run is complete")


@case("runs.list.all-mobs")
async def lists_all_mobs(subject: Subject) -> None:
    """Without a mob, the runs of all mobs are listed, in the order of their creation."""
    runs = (await subject.open()).runs
    for n, mob in ((3, "b"), (1, "a"), (2, "b"), (4, "c")):
        await runs.create_run(make_run(n, mob=mob))
    await runs.cas_run_status(run_id(1), expected="pending", next="running")
    same([run.run_id.int for run in await runs.list_runs()], [3, 1, 2, 4], "all runs")
    found = await runs.list_runs(status="pending", after=run_id(3), limit=1)
    same([run.run_id.int for run in found], [2], "a page of those in one status")
    await expect_error(InternalError, runs.list_runs(flow_id="flow"), "a flow without its mob")


@case("runs.ids-as-text")
async def takes_ids_as_text(subject: Subject) -> None:
    """A run's id may be text, in either case, with or without hyphens, but complete."""
    stores = await subject.open()
    run = make_run(2**127 + 0xABC)
    await stores.runs.create_run(run)
    kind = FlowStarted(run_id=run.run_id, flow_id=run.flow_id, params=None)
    appended = await stores.events.append(NewMobEvent(mob_id=run.mob_id, kind=kind))
    for text in (str(run.run_id), str(run.run_id).upper(), run.run_id.hex):
        same(await stores.runs.get_run(text), run, f"the run {text}")
        same(await stores.events.poll(0, 9, run_id=text), [appended], f"the events of {text}")
        same(await stores.runs.list_runs(after=text), [], f"the runs after {text}")
    swapped = await stores.runs.cas_run_status(str(run.run_id), expected="pending", next="running")
    same(swapped, True, "compare-and-swap by an id as text")
    for odd in ("", "80000000", f"{run.run_id}0", f" {run.run_id}", "z" * 32, "_" * 32, "0x" * 16):
        await expect_error(UsageError, stores.runs.get_run(odd), f"the id {odd!r}")
        call = stores.events.poll(0, 9, run_id=odd)
        await expect_error(UsageError, call, f"the events of the id {odd!r}")
