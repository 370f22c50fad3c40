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


async def all_have_come(stores: MobStores, tabs: int) -> None:
    """Wait until so many tabs have opened the store: each leaves a profile of its own in it."""
    await stores.realm_profiles.create(f"{uuid4()}", profile())
    while len(await stores.realm_profiles.list()) < tabs:
        pass


async def increment(
    name: str, tabs: int, tasks: int, wins: int
) -> tuple[list[int], list[int], int]:
    """Let tasks increment the run's number, each until it has won so often.

    All of all tabs begin with the same number, so all but one of them lose at once.

    Args:
        name: the database.
        tabs: how many tabs do this; none begins before all are there.
        tasks: how many in this tab.
        wins: for each of them.

    Returns:
        The numbers to which these tasks have set it, the cursors of an event for each, and how
        often they have lost.
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
        await all_have_come(stores, tabs)
        await asyncio.gather(*(until_won(stores, first) for _ in range(tasks)))
    return values, cursors, lost


async def _state(stores: MobStores) -> KernelState:
    run = await stores.runs.get_run(RUN)
    assert run is not None
    return run.flow_state


async def outcome(name: str) -> tuple[int, list[int], list[str]]:
    """The run's number, the cursors of the log, and the steps in the run's ledger."""
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
