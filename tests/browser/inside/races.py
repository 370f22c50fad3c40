"""Several tabs that change one run at the same time."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from mobstore import KernelState, MobStores, open_stores
from mobstore.testing.samples import event, make_run, number_of, profile, run_id, state, step

RUN = run_id(1)


async def prepare(name: str) -> None:
    """Create the run."""
    async with open_stores(f"indexeddb:{name}") as stores:
        await stores.runs.create_run(make_run(1))


async def wait_for_tabs(stores: MobStores, tabs: int) -> None:
    """Wait until this many tabs have opened the store; each creates a profile in it."""
    await stores.realm_profiles.create(f"{uuid4()}", profile())
    while len(await stores.realm_profiles.list()) < tabs:
        pass


async def increment(
    name: str, tabs: int, tasks: int, wins: int
) -> tuple[list[int], list[int], int]:
    """Increment the run's number in several tasks, until each has won `wins` times.

    All tasks of all tabs start with the same number, so all but one lose at first.

    Args:
        name: the database.
        tabs: number of tabs; none starts before all are ready.
        tasks: number of tasks in this tab.
        wins: wins of each task.

    Returns:
        The numbers that these tasks have set, the cursor of an event for each, and the number of
        lost attempts.
    """
    values: list[int] = []
    cursors: list[int] = []
    lost = 0

    async def until_won(stores: MobStores, expected: KernelState) -> None:
        nonlocal lost
        won = 0
        while won < wins:
            value = number_of(expected) + 1
            if await stores.runs.cas_flow_state(RUN, expected=expected, next=state(value)):
                won += 1
                values.append(value)
                cursors.append((await stores.events.append(event())).cursor)
                await stores.runs.append_step_entry(RUN, step(f"s{value}"))
            else:
                lost += 1
            expected = await _state(stores)

    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        first = await _state(stores)
        await wait_for_tabs(stores, tabs)
        await asyncio.gather(*(until_won(stores, first) for _ in range(tasks)))
    return values, cursors, lost


async def _state(stores: MobStores) -> KernelState:
    run = await stores.runs.get_run(RUN)
    assert run is not None
    return run.flow_state


async def outcome(name: str) -> tuple[int, list[int], list[str]]:
    """Return the run's number, the log's cursors, and the steps in the run's ledger."""
    async with open_stores(f"indexeddb:{name}", create=False) as stores:
        run = await stores.runs.get_run(RUN)
        assert run is not None
        log = await stores.events.replay_all()
        steps = [entry.step_id for entry in run.step_ledger]
    return (
        number_of(run.flow_state),
        [one.cursor for one in log],
        [str(step_id) for step_id in steps],
    )
