"""Cases of optional capabilities: durable data, and data shared between handles."""

from __future__ import annotations

import asyncio

from mobstore.errors import CasConflictError, SpecRevisionConflictError
from mobstore.testing.cases.values import EXACT_JSON
from mobstore.testing.kinds import every_kind
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    HOSTILE_TEXTS,
    definition,
    event,
    frame,
    full_run,
    loop,
    make_run,
    profile,
    run_id,
    state,
    step,
    timestamp,
)
from mobstore.testing.subject import Subject


@case("store.open.empty")
async def opens_empty(subject: Subject) -> None:
    """A new store is empty."""
    stores = await subject.open()
    same(await stores.events.replay_all(), [], "the log")
    same(await stores.runs.list_runs("mob"), [], "the runs")
    same(await stores.specs.list_specs(), [], "the specs")
    same(await stores.realm_profiles.list(), [], "the profiles")


@case("durable.reopen.everything", needs=("durable",))
async def keeps_everything(subject: Subject) -> None:
    """Everything written is unchanged after the store is closed and opened again, twice."""
    stores = await subject.open()
    events = await stores.events.append_batch([event(kind=kind) for kind in every_kind()])
    runs = [full_run(2), make_run(1, activation_params=list(EXACT_JSON))]
    for run in runs:
        await stores.runs.create_run(run)
    await stores.specs.put_spec("mob", definition())
    await stores.specs.put_spec("mob", definition(), 1)
    for name in HOSTILE_TEXTS:
        await stores.realm_profiles.create(name, profile())
    profiles = await stores.realm_profiles.list()
    for _ in range(2):
        stores = await subject.reopen()
        same(await stores.events.replay_all(), events, "the log")
        same(await stores.runs.list_runs("mob"), runs, "the runs, in the order of creation")
        same(await stores.specs.get_spec("mob"), (definition(), 2), "the spec")
        same(await stores.realm_profiles.list(), profiles, "the profiles")


@case("durable.reopen.changes", needs=("durable",))
async def keeps_changes(subject: Subject) -> None:
    """Changes and deletions survive reopening, and ledgers continue where they were."""
    stores = await subject.open()
    await stores.runs.create_run(make_run(frames={"frame": frame(0)}, loops={"loop": loop(0)}))
    await stores.runs.append_step_entry(run_id(1), step("a"))
    await stores.specs.put_spec("gone", definition())
    await stores.specs.delete_spec("gone")
    await stores.realm_profiles.create("gone", profile())
    await stores.realm_profiles.delete("gone", 1)
    stores = await subject.reopen()
    swapped = await stores.runs.cas_complete_loop(
        run_id(1),
        loop_instance_id="loop",
        expected_loop=loop(0),
        next_loop=loop(1),
        frame_id="frame",
        expected_frame=frame(0),
        next_frame=frame(1),
        expected_run_state=state(0),
        next_run_state=state(1),
    )
    same(swapped, True, "a change after opening again")
    await stores.runs.append_step_entry(run_id(1), step("b"))
    stores = await subject.reopen()
    want = make_run(
        flow_state=state(1),
        frames={"frame": frame(1)},
        loops={"loop": loop(1)},
        step_ledger=(step("a"), step("b")),
    )
    same(await stores.runs.get_run(run_id(1)), want, "the run")
    same(await stores.specs.list_specs(), [], "the specs")
    same(await stores.realm_profiles.list(), [], "the profiles")


@case("durable.reopen.cursors", needs=("durable",))
async def keeps_cursors(subject: Subject) -> None:
    """No cursor is reused after reopening, not even after a prune or clear."""
    stores = await subject.open()
    await stores.events.append_batch([event(at=timestamp(n)) for n in (9, 1, 1)])
    await stores.events.prune(timestamp(5))
    stores = await subject.reopen()
    same((await stores.events.append(event())).cursor, 4, "cursor after a prune")
    await stores.events.clear()
    stores = await subject.reopen()
    same(await stores.events.replay_all(), [], "the log after clear")
    same((await stores.events.append(event())).cursor, 5, "cursor after clear")


@case("durable.reopen.order", needs=("durable",))
async def keeps_order_of_runs(subject: Subject) -> None:
    """Runs created after reopening are listed after earlier ones."""
    stores = await subject.open()
    for n in (5, 4):
        await stores.runs.create_run(make_run(n))
    stores = await subject.reopen()
    for n in (9, 1):
        await stores.runs.create_run(make_run(n))
    got = [run.run_id.int for run in await stores.runs.list_runs("mob")]
    same(got, [5, 4, 9, 1], "runs in the order of their creation")


@case("durable.close.keeps", needs=("durable",))
async def keeps_started_calls(subject: Subject) -> None:
    """A call that starts before the store closes, and succeeds, is stored."""
    stores = await subject.open()
    calls = [asyncio.create_task(stores.events.append(event())) for _ in range(20)]
    await asyncio.sleep(0)
    stores = await subject.reopen()
    appended = sorted(await asyncio.gather(*calls), key=lambda stored: stored.cursor)
    same(await stores.events.replay_all(), appended, "the log")


@case("shared.second.sees", needs=("shared",))
async def second_sees_writes(subject: Subject) -> None:
    """Two handles see each other's writes."""
    one = await subject.open()
    other = await subject.open_second()
    first = await one.events.append(event())
    same(await other.events.replay_all(), [first], "the log, through the second handle")
    second = await other.events.append(event())
    same(second.cursor, 2, "cursor of an event appended through the second handle")
    same(await one.events.poll(0, 9), [first, second], "the log, through the first handle")
    await one.runs.create_run(full_run(1))
    same(await other.runs.get_run(run_id(1)), full_run(1), "the run, through the second handle")
    await other.runs.append_step_entry(run_id(1), step("new"))
    got = await one.runs.get_run(run_id(1))
    assert got is not None, "the run is there through the first handle"
    same(got.step_ledger, (*full_run(1).step_ledger, step("new")), "the ledger")
    await other.close()
    same((await one.events.append(event())).cursor, 3, "cursor after the second handle is closed")


@case("shared.second.one-winner", needs=("shared",))
async def one_winner_of_two(subject: Subject) -> None:
    """Handles that compete for one revision, run or state have one winner."""
    one = await subject.open()
    other = await subject.open_second()
    await one.specs.put_spec("mob", definition(), 0)
    call = other.specs.put_spec("mob", definition(), 0)
    await expect_error(SpecRevisionConflictError, call, "a spec that the first handle wrote")
    await one.realm_profiles.create("name", profile())
    again = other.realm_profiles.create("name", profile())
    await expect_error(CasConflictError, again, "a profile that the first handle created")
    await one.runs.create_run(make_run())
    current = state(0)
    for turn in range(1, 6):
        next_states = [state(100 * turn + n) for n in range(20)]
        swapped = await asyncio.gather(*(
            (one, other)[n % 2].runs.cas_flow_state(run_id(1), expected=current, next=after)
            for n, after in enumerate(next_states)
        ))  # fmt: skip
        same(swapped.count(True), 1, "winners")
        current = next_states[swapped.index(True)]
        for handle in (one, other):
            got = await handle.runs.get_run(run_id(1))
            same(got, make_run(flow_state=current), "the run, through both handles")


@case("shared.second.cursors", needs=("shared",))
async def cursors_of_two(subject: Subject) -> None:
    """Events appended through two handles at once have unique cursors without gaps."""
    handles = [await subject.open(), await subject.open_second()]
    appended = await asyncio.gather(
        *(handles[n % 2].events.append_batch([event(f"{n}"), event(f"{n}")]) for n in range(40))
    )
    cursors = [stored.cursor for batch in appended for stored in batch]
    same(sorted(cursors), list(range(1, 81)), "all cursors")
    by_cursor = sorted((one for batch in appended for one in batch), key=lambda one: one.cursor)
    for handle in handles:
        same(await handle.events.replay_all(), by_cursor, "the log, through both handles")
