"""Cases of the eight compare-and-swap wrappers, from one table of their reads and writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast, get_args
from uuid import UUID

from mobstore.model.run import MobRun, MobRunStatus
from mobstore.stores.runs import MobRunStore
from mobstore.testing.kit import case, same
from mobstore.testing.samples import frame, full_run, iteration, loop, state
from mobstore.testing.subject import Subject

# "replace" expects state 0 and writes 5; "add" expects no state and writes 5.
Change = Literal["", "replace", "add"]


class Wrapper(NamedTuple):
    """The comparisons and writes of one method, beside the arguments that all have."""

    method: str
    flow_state: bool
    frame: Change
    loop: Change
    ledger: bool = False
    output: bool = False
    plain_names: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return arguments for which all comparisons hold in the run of `run`."""
        given: dict[str, Any] = {}
        if self.flow_state:
            given.update(expected_run_state=state(0), next_run_state=state(5))
        if self.frame:
            expected, following = "expected_frame", "next_frame"
            if self.plain_names:
                expected, following = "expected", "next"
            given["frame_id"] = "frame"
            if self.frame == "replace":
                given.update({expected: frame(0), following: frame(5)})
            else:
                given.update({"expected": None, "next": frame(5)} if self.plain_names else
                             {"initial_frame": frame(5)})  # fmt: skip
        if self.loop:
            given["loop_instance_id"] = "loop"
            if self.loop == "replace":
                given.update(expected_loop=loop(0), next_loop=loop(5))
            else:
                given["initial_loop"] = loop(5)
        if self.ledger:
            given["ledger_entry"] = iteration(7, "any loop", "any frame")
        if self.output:
            given.update(step_output_key="new", step_output=[1])
        return given

    def run(self, n: int, **parts: Any) -> MobRun:
        """Return a run in which all comparisons hold."""
        whole = full_run(n, **parts)
        return _with(
            whole,
            frames=_without(whole.frames, "frame") if self.frame == "add" else whole.frames,
            loops=_without(whole.loops, "loop") if self.loop == "add" else whole.loops,
        )

    def changed(self, run: MobRun) -> MobRun:
        """Return the run after the call: exactly the listed writes."""
        changes: dict[str, Any] = {}
        if self.flow_state:
            changes["flow_state"] = state(5)
        if self.frame:
            changes["frames"] = {**run.frames, "frame": frame(5)}
        if self.loop:
            changes["loops"] = {**run.loops, "loop": loop(5)}
        if self.ledger:
            entry = iteration(7, "any loop", "any frame")
            changes["loop_iteration_ledger"] = (*run.loop_iteration_ledger, entry)
        if self.output:
            changes["root_step_outputs"] = {**run.root_step_outputs, "new": [1]}
        return _with(run, **changes)

    def violated(self, n: int) -> Iterator[tuple[str, MobRun]]:
        """Yield runs in which exactly one comparison fails, each with its name."""
        run = self.run(n)
        if self.flow_state:
            yield "another flow state", _with(run, flow_state=state(1))
        if self.frame == "replace":
            yield "another frame state", _with(run, frames={**run.frames, "frame": frame(1)})
            yield "no such frame", _with(run, frames=_without(run.frames, "frame"))
        if self.frame == "add":
            yield "the frame is there", _with(run, frames={**run.frames, "frame": frame(0)})
            yield "this very frame is there", _with(run, frames={**run.frames, "frame": frame(5)})
        if self.loop == "replace":
            yield "another loop state", _with(run, loops={**run.loops, "loop": loop(1)})
            yield "no such loop", _with(run, loops=_without(run.loops, "loop"))
        if self.loop == "add":
            yield "the loop is there", _with(run, loops={**run.loops, "loop": loop(0)})
            yield "this very loop is there", _with(run, loops={**run.loops, "loop": loop(5)})

    async def call(self, runs: MobRunStore, run_id: UUID, **other: Any) -> bool:
        """Call the method; `other` arguments replace those of `arguments`."""
        method = cast("Callable[..., Awaitable[bool]]", getattr(runs, self.method))
        return await method(run_id, **{**self.arguments(), **other})


WRAPPERS = (
    Wrapper("cas_frame_state", flow_state=False, frame="replace", loop="", plain_names=True),
    Wrapper("cas_frame_state", flow_state=False, frame="add", loop="", plain_names=True),
    Wrapper("cas_grant_node_slot", flow_state=True, frame="replace", loop=""),
    Wrapper(
        "cas_complete_step_and_record_output",
        flow_state=False,
        frame="replace",
        loop="",
        output=True,
    ),
    Wrapper("cas_start_loop", flow_state=True, frame="replace", loop="add"),
    Wrapper("cas_loop_request_body_frame", flow_state=True, frame="", loop="replace"),
    Wrapper(
        "cas_grant_body_frame_start", flow_state=True, frame="add", loop="replace", ledger=True
    ),
    Wrapper("cas_complete_body_frame", flow_state=True, frame="replace", loop="replace"),
    Wrapper("cas_complete_loop", flow_state=True, frame="replace", loop="replace"),
)
BODY_FRAME = WRAPPERS[6]


def call_every_wrapper() -> dict[str, Callable[[MobRunStore, UUID], Awaitable[object]]]:
    """Return a call of each wrapper, by name."""
    return {f"{w.method} {w.frame} {w.loop}": w.call for w in WRAPPERS}


def _with(run: MobRun, **fields: Any) -> MobRun:
    return run.model_copy(update=fields)


def _without(items: Mapping[Any, Any], key: str) -> dict[Any, Any]:
    return {name: item for name, item in items.items() if name != key}


async def _check(runs: MobRunStore, wrapper: Wrapper, first: int) -> None:
    """Check that each comparison counts, and that exactly the listed writes are made."""
    neighbour = full_run(first)
    await runs.create_run(neighbour)
    for n, (wrong, _) in enumerate(wrapper.violated(0), first + 1):
        run = next(run for what, run in wrapper.violated(n) if what == wrong)
        await runs.create_run(run)
        what = f"{wrapper.method}, {wrong}"
        same(await wrapper.call(runs, run.run_id), False, what)
        same(await runs.get_run(run.run_id), run, f"{what}: the run")
    run = wrapper.run(first + 50)
    await runs.create_run(run)
    what = f"{wrapper.method}, all as expected"
    same(await wrapper.call(runs, run.run_id), True, what)
    same(await runs.get_run(run.run_id), wrapper.changed(run), f"{what}: the run")
    same(await runs.get_run(neighbour.run_id), neighbour, f"{what}: another run")


@case("runs.wrappers.all-or-none")
async def all_or_none(subject: Subject) -> None:
    """One failed comparison returns False and changes nothing; otherwise all is written."""
    runs = (await subject.open()).runs
    for n, wrapper in enumerate(WRAPPERS, 1):
        await _check(runs, wrapper, 100 * n)


@case("runs.wrappers.any-status")
async def ignores_status(subject: Subject) -> None:
    """Wrappers neither read the status nor set `completed_at`."""
    runs = (await subject.open()).runs
    statuses: tuple[MobRunStatus, ...] = get_args(MobRunStatus)
    for n, wrapper in enumerate(WRAPPERS):
        for m, status in enumerate(statuses):
            run = wrapper.run(100 * n + m, status=status, completed_at=None)
            await runs.create_run(run)
            what = f"{wrapper.method} on a {status} run"
            same(await wrapper.call(runs, run.run_id), True, what)
            same(await runs.get_run(run.run_id), wrapper.changed(run), f"{what}: the run")


@case("runs.wrappers.body-frame-ledger")
async def records_body_frame_once(subject: Subject) -> None:
    """Starting a body frame again succeeds without a second entry for its iteration."""
    runs = (await subject.open()).runs
    entry = iteration(7, "any loop", "any frame")
    known = (iteration(7, "any loop", "x"), entry, iteration(8, "any loop", "any frame"))
    run = BODY_FRAME.run(1, loop_iteration_ledger=known)
    await runs.create_run(run)
    same(await BODY_FRAME.call(runs, run.run_id), True, "the iteration is recorded already")
    want = _with(BODY_FRAME.changed(run), loop_iteration_ledger=known)
    same(await runs.get_run(run.run_id), want, "the run")
    again = await BODY_FRAME.call(runs, run.run_id, ledger_entry=iteration(9))
    same(again, False, "the same call again")
    same(await runs.get_run(run.run_id), want, "the run after an error")


@case("runs.wrappers.same-state")
async def may_change_to_itself(subject: Subject) -> None:
    """A change to an equal state succeeds: states are values, not versions."""
    runs = (await subject.open()).runs
    run = full_run(1)
    await runs.create_run(run)
    for _ in range(2):
        swapped = await runs.cas_complete_loop(
            run.run_id,
            loop_instance_id="loop",
            expected_loop=loop(0),
            next_loop=loop(0),
            frame_id="frame",
            expected_frame=frame(0),
            next_frame=frame(0),
            expected_run_state=state(0),
            next_run_state=state(0),
        )
        same(swapped, True, "a change of all three states to themselves")
    same(await runs.get_run(run.run_id), run, "the run")


@case("runs.frames.cas")
async def swaps_frames(subject: Subject) -> None:
    """A frame is replaced if it equals the expected one; a missing frame never does."""
    await _check((await subject.open()).runs, WRAPPERS[0], 100)


@case("runs.frames.create-only")
async def creates_frames(subject: Subject) -> None:
    """With None expected, a frame is added; an existing one, even an equal one, is a conflict."""
    runs = (await subject.open()).runs
    await _check(runs, WRAPPERS[1], 100)
    run = full_run(1, frames={})
    await runs.create_run(run)
    for name in ("", "\0", "a"):
        for want in (True, False):
            added = await runs.cas_frame_state(
                run.run_id, frame_id=name, expected=None, next=frame(1)
            )
            same(added, want, f"a frame named {name!r}")
    frames = {name: frame(1) for name in ("", "\0", "a")}
    same(await runs.get_run(run.run_id), _with(run, frames=frames), "the run")
