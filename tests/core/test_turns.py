"""The rule by which calls that never wait yield to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mobstore import MobStores
from mobstore.engines import turns
from mobstore.engines.memory import MemoryEngine
from mobstore.engines.turns import Turns
from mobstore.testing.samples import event


@pytest.mark.parametrize(
    ("calls", "due"),
    [
        ([0.0] * 40, [15, 31]),
        ([0.006] * 3, [0, 1, 2]),
        ([0.002] * 7, [2, 5]),
        ([0.0] * 5 + [0.006] + [0.0] * 16, [5, 21]),
    ],
)
def test_a_turn_is_due_after_many_calls_or_long_ones(
    monkeypatch: pytest.MonkeyPatch, calls: Sequence[float], due: list[int]
) -> None:
    """The time between calls does not count."""
    now = 0.0
    monkeypatch.setattr(turns, "monotonic", lambda: now)
    counted, found = Turns(), list[int]()
    for n, seconds in enumerate(calls):
        now += 9
        began = now
        now += seconds
        if counted.is_due(began):
            found.append(n)
    assert found == due


def test_the_loop_turns_while_one_batch_is_encoded() -> None:
    async def main() -> None:
        stores = MobStores(MemoryEngine())
        adding = asyncio.create_task(stores.events.append_batch([event()] * 1000))
        turned = 0
        while not adding.done():
            await asyncio.sleep(0)
            turned += 1
        assert turned > 10

    asyncio.run(main())
