"""Cases of many tasks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from time import process_time
from typing import Any

from mobstore.errors import (
    CasConflictError,
    InternalError,
    MobStoreError,
    SpecRevisionConflictError,
)
from mobstore.model.ids import FrameId, LoopInstanceId
from mobstore.model.run import MobRun
from mobstore.stores.mob_stores import MobStores
from mobstore.testing.cases.wrappers import BODY_FRAME
from mobstore.testing.kit import case, same
from mobstore.testing.samples import (
    definition,
    event,
    failure,
    frame,
    loop,
    make_run,
    number_of,
    profile,
    run_id,
    state,
    step,
    tagged_event,
    timestamp,
)
from mobstore.testing.subject import Subject

TASKS = 50


async def _stored(stores: MobStores) -> MobRun:
    run = await stores.runs.get_run(run_id(1))
    assert run is not None, "the run is there"
    return run


@case("runs.flow-state.one-winner")
async def one_winner(subject: Subject) -> None:
    """Of many tasks that expect one flow state, one wins and the others change nothing."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    current = state(0)
    for turn in range(1, 5):
        next_states = [state(1000 * turn + n) for n in range(TASKS)]
        swapped = await asyncio.gather(*(
            stores.runs.cas_flow_state(run_id(1), expected=current, next=one) for one in next_states
        ))  # fmt: skip
        same(swapped.count(True), 1, "winners")
        current = next_states[swapped.index(True)]
        same(await _stored(stores), make_run(flow_state=current), "the run has the winner's state")


@case("concurrent.prunes.count-once")
async def prunes_count_once(subject: Subject) -> None:
    """Overlapping prunes count no event twice."""
    events = (await subject.open()).events

    async def prune_after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await events.prune(timestamp(2))

    for turns in range(6):
        await events.append_batch([event(at=timestamp(1))] * TASKS)
        pruned = await asyncio.gather(prune_after(0), prune_after(turns))
        same(sorted(pruned), [0, TASKS], f"events pruned, the second {turns} turns later")


@case("concurrent.reads.leave-room")
async def reads_do_not_starve_others(subject: Subject) -> None:
    """A task that reads in a loop does not starve other tasks."""
    stores = await subject.open()

    async def write() -> None:
        for n in range(20):
            await stores.events.append(event(str(n)))

    writing = asyncio.create_task(write())
    for _ in range(100_000):
        if len(await stores.events.poll(0, 100)) == 20:
            break
    assert writing.done() or len(await stores.events.poll(0, 100)) == 20, "the writer had no turn"
    await writing


@case("concurrent.calls.leave-room")
async def long_calls_do_not_starve_others(subject: Subject) -> None:
    """Calls that take long yield to other tasks more often than short ones."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(step_ledger=[step(f"{n}") for n in range(900)]))
    batch = [tagged_event(f"{n}") for n in range(1000)]
    works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "append_batch": lambda: stores.events.append_batch(batch),
        "poll": lambda: stores.events.poll(0, 1000),
        "get_run": lambda: stores.runs.get_run(run_id(1)),
    }
    for name, work in works.items():
        calls, turns = 0, [(0, process_time())]

        async def other() -> None:
            while True:
                await asyncio.sleep(0)
                turns.append((calls, process_time()))  # noqa: B023 - of this work

        task = asyncio.create_task(other())
        for _ in range(32):
            calls += 1
            await work()
        task.cancel()
        turns.append((calls, process_time()))
        for (calls_before, before), (calls_after, after) in pairwise(turns):
            waited = calls_after - calls_before
            # A quick machine may share a turn among many calls, a slow one among few.
            assert waited < 8 or after - before < 0.02, f"{name}: {waited} calls in one turn"


@case("concurrent.calls.leave-room.errors")
async def calls_that_raise_do_not_starve_others(subject: Subject) -> None:
    """A task whose calls raise in a loop does not starve other tasks."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "poll": lambda: stores.events.poll(9, reject_stale=True),
        "create_run": lambda: stores.runs.create_run(make_run()),
    }
    for name, work in works.items():
        turn = asyncio.create_task(asyncio.sleep(0))
        for _ in range(1000):
            try:
                await work()
            except MobStoreError:
                if turn.done():
                    break
        assert turn.done(), f"{name}: another task had no turn"


@case("concurrent.runs.increments")
async def increments_once_each(subject: Subject) -> None:
    """Many tasks that each increment a number with retries lose no increment."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())

    async def add() -> None:
        for _ in range(TASKS):  # a failure means that another task has finished
            current = (await _stored(stores)).flow_state
            next_state = state(number_of(current) + 1)
            if await stores.runs.cas_flow_state(run_id(1), expected=current, next=next_state):
                return
        raise AssertionError(f"one task failed {TASKS} times")

    await asyncio.gather(*(add() for _ in range(TASKS)))
    same((await _stored(stores)).flow_state, state(TASKS), "the flow state after all additions")


@case("concurrent.runs.parts")
async def wrappers_have_one_winner(subject: Subject) -> None:
    """Of many tasks that start one body frame, one wins, and its states alone are stored."""
    stores = await subject.open()
    await stores.runs.create_run(BODY_FRAME.run(1))
    swapped = await asyncio.gather(*(
        BODY_FRAME.call(
            stores.runs, run_id(1),
            next_run_state=state(n), next_loop=loop(n), initial_frame=frame(n),
        )
        for n in range(TASKS)
    ))  # fmt: skip
    same(swapped.count(True), 1, "winners")
    n, run = swapped.index(True), await _stored(stores)
    got = (run.flow_state, run.loops[LoopInstanceId("loop")], run.frames[FrameId("frame")])
    same(got, (state(n), loop(n), frame(n)), "the states are those of the winner")
    want = BODY_FRAME.changed(BODY_FRAME.run(1)).loop_iteration_ledger
    same(run.loop_iteration_ledger, want, "the iteration is recorded once")


@case("concurrent.runs.ledgers")
async def loses_no_entry(subject: Subject) -> None:
    """All entries that many tasks append are stored; entries of one identity are stored once."""
    stores = await subject.open()
    await stores.runs.create_run(make_run())
    runs, run = stores.runs, run_id(1)
    calls: list[Coroutine[Any, Any, object]] = []
    for n in range(TASKS):
        calls += [
            runs.append_step_entry(run, step(f"{n}")),
            runs.append_failure_entry(run, failure(f"{n}")),
            runs.append_step_entry_if_absent(run, step("once", output=n)),
        ]
    results = await asyncio.gather(*calls)
    same(results.count(True), 1, "entries of one identity that were appended")
    got = await _stored(stores)
    names = sorted(f"{n}" for n in range(TASKS))
    same(sorted(entry.step_id for entry in got.step_ledger), [*names, "once"], "the step ledger")
    same(sorted(entry.step_id for entry in got.failure_ledger), names, "the failure ledger")


@case("concurrent.runs.create")
async def creates_one_run(subject: Subject) -> None:
    """Of many tasks that create a run with one id, one succeeds; runs with other ids all do."""
    stores = await subject.open()
    results = await asyncio.gather(
        *(stores.runs.create_run(make_run(1, flow=f"{n}")) for n in range(TASKS)),
        *(stores.runs.create_run(make_run(2 + n)) for n in range(TASKS)),
        return_exceptions=True,
    )
    same(results[:TASKS].count(None), 1, "runs of one id that were created")
    errors = sum(isinstance(result, InternalError) for result in results)
    same(errors, TASKS - 1, "InternalErrors")
    winner = results.index(None)
    same((await _stored(stores)).flow_id, f"{winner}", "the run is the winner's")
    listed = [run.run_id.int for run in await stores.runs.list_runs("mob")]
    same(sorted(listed), list(range(1, TASKS + 2)), "runs of the mob")


@case("concurrent.events.cursors")
async def cursors_are_gapless(subject: Subject) -> None:
    """Events of many tasks have unique cursors without gaps; batches stay together."""
    stores = await subject.open()
    appended = await asyncio.gather(
        *(stores.events.append_batch([event(f"{n}")] * (1 + n % 3)) for n in range(TASKS))
    )
    cursors = [stored.cursor for batch in appended for stored in batch]
    same(sorted(cursors), list(range(1, len(cursors) + 1)), "all cursors")
    for batch in appended:
        first = batch[0].cursor
        consecutive = list(range(first, first + len(batch)))
        same([stored.cursor for stored in batch], consecutive, "cursors of a batch")
    by_cursor = sorted((one for batch in appended for one in batch), key=lambda one: one.cursor)
    same(await stores.events.replay_all(), by_cursor, "the log")


@case("concurrent.specs.one-winner")
async def one_spec_winner(subject: Subject) -> None:
    """Of many tasks that write a spec at one revision, one wins; unconditional writes all count."""
    stores = await subject.open()
    for revision in (0, 1):
        results = await asyncio.gather(
            *(
                stores.specs.put_spec("mob", definition("mob", f"{n}"), revision)
                for n in range(TASKS)
            ),
            return_exceptions=True,
        )  # fmt: skip
        same(results.count(revision + 1), 1, f"winners at revision {revision}")
        errors = sum(isinstance(result, SpecRevisionConflictError) for result in results)
        same(errors, TASKS - 1, f"conflicts at revision {revision}")
        winner = results.index(revision + 1)
        want = (definition("mob", f"{winner}"), revision + 1)
        same(await stores.specs.get_spec("mob"), want, "the spec is the winner's")
    written = await asyncio.gather(
        *(stores.specs.put_spec("mob", definition()) for _ in range(TASKS))
    )
    same(sorted(written), list(range(3, TASKS + 3)), "revisions of unconditional writes")


@case("concurrent.profiles.one-winner")
async def one_profile_winner(subject: Subject) -> None:
    """Of many tasks that create or update one profile, one wins each time."""
    profiles = (await subject.open()).realm_profiles
    for revision in (0, 1):
        results = await asyncio.gather(
            *(
                profiles.update("name", profile(f"{n}"), 1) if revision
                else profiles.create("name", profile(f"{n}"))
                for n in range(TASKS)
            ),
            return_exceptions=True,
        )  # fmt: skip
        winners = [result for result in results if not isinstance(result, BaseException)]
        same(len(winners), 1, f"winners at revision {revision}")
        errors = sum(isinstance(result, CasConflictError) for result in results)
        same(errors, TASKS - 1, f"conflicts at revision {revision}")
        same(await profiles.get("name"), winners[0], "the profile is the winner's")


@case("concurrent.reads.one-state")
async def reads_one_state(subject: Subject) -> None:
    """A read never sees half a change: neither part of a batch nor some states of a run."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(frames={"frame": frame(0)}, loops={"loop": loop(0)}))
    done = False

    async def write() -> None:
        nonlocal done
        for n in range(12):
            swapped = await stores.runs.cas_complete_loop(
                run_id(1),
                loop_instance_id="loop",
                expected_loop=loop(n),
                next_loop=loop(n + 1),
                frame_id="frame",
                expected_frame=frame(n),
                next_frame=frame(n + 1),
                expected_run_state=state(n),
                next_run_state=state(n + 1),
            )
            same(swapped, True, f"change {n}")
            await stores.events.append_batch([event(), event(), event()])
        done = True

    async def read() -> None:
        while not done:
            (run,) = await stores.runs.list_runs("mob")
            for seen in (run, await _stored(stores)):
                n = number_of(seen.flow_state)
                got = (seen.frames, seen.loops)
                same(got, ({"frame": frame(n)}, {"loop": loop(n)}), "states seen together")
            events = await stores.events.replay_all()
            same(len(events) % 3, 0, "events seen of batches of three")
            same(len(await stores.events.poll(0, 1000)) % 3, 0, "events polled of batches of three")
            await asyncio.sleep(0)  # an engine that never waits would starve the others

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for _ in range(3):
            group.create_task(read())
