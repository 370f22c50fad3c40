"""The types of compare-and-swaps, within atomic calls and outside, checked by mypy and pyright."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, assert_type

import pytest

from mobstore import MobRunStore, MobStores, RefusedError, Stores, open_stores
from mobstore.testing.samples import frame, make_run, run_id, state

OTHER: dict[str, Any] = {"expected_frame": frame(0), "next_frame": frame(1)}


async def swap(at: Stores) -> Literal[True]:
    """Swap within an atomic call: the only result is True, without a check."""
    assert_type(at.runs, MobRunStore[Literal[True]])
    assert_type(at.run_store(), MobRunStore[Literal[True]])
    status = await at.runs.cas_run_status(run_id(1), expected="pending", next="running")
    assert_type(status, Literal[True])
    swapped = await at.runs.cas_flow_state(run_id(1), expected=state(0), next=state(1))
    assert_type(swapped, Literal[True])
    granted = await at.runs.cas_grant_node_slot(
        run_id(1),
        expected_run_state=state(1),
        next_run_state=state(2),
        frame_id="frame",
        **OTHER,
    )
    assert_type(granted, Literal[True])
    return status


async def outside(stores: MobStores) -> bool:
    """Swap outside of atomic calls: the result has to be checked."""
    assert_type(stores.runs, MobRunStore[bool])
    assert_type(stores.run_store(), MobRunStore)
    swapped = await stores.runs.cas_run_status(run_id(1), expected="pending", next="running")
    assert_type(swapped, bool)
    return swapped


async def anywhere(stores: Stores[bool], runs: MobRunStore) -> bool:
    """Use stores of both kinds."""
    swapped = await stores.runs.cas_run_status(run_id(1), expected="pending", next="running")
    assert_type(swapped, bool)
    return swapped or await runs.cas_run_status(run_id(1), expected="pending", next="running")


async def inferred(stores: MobStores) -> Literal[True]:
    """Take the type of the stores from `atomic`."""
    call: Callable[[Stores], Awaitable[Literal[True]]] = swap
    assert call is swap
    return await stores.atomic(
        lambda at: at.runs.cas_run_status(run_id(1), expected="running", next="failed")
    )


def test_the_types_hold() -> None:
    """The values have the types that the assertions above declare."""

    async def run() -> None:
        async with open_stores("memory:") as stores:
            await stores.runs.create_run(make_run(1, frames={"frame": frame(0)}))
            assert await stores.atomic(swap) is True
            assert await outside(stores) is False
            assert await anywhere(stores, stores.runs) is False
            assert await inferred(stores) is True

            async def again(at: Stores) -> bool:
                return await anywhere(at, at.runs)

            with pytest.raises(RefusedError, match="is failed, not pending"):
                await stores.atomic(again)

    asyncio.run(run())
