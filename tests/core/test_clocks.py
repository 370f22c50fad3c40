"""The values that a store's clock may return."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

import mobstore
from mobstore import MobId, MobReset, NewMobEvent, Profile, Timestamp, UsageError
from mobstore.engines.memory import MemoryEngine

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
EVENT = NewMobEvent(mob_id=MobId("desk"), kind=MobReset())


def test_a_datetime_with_a_zone_is_a_moment() -> None:
    async def main() -> None:
        async with mobstore.open_stores("memory:", clock=lambda: NOON) as stores:
            event = await stores.events.append(EVENT)
            assert event.timestamp == NOON
            assert type(event.timestamp) is Timestamp
            stored = await stores.realm_profiles.create("name", Profile(model="m"))
            assert type(stored.created_at) is Timestamp

    asyncio.run(main())


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (datetime(2026, 3, 4), "the clock's time: naive datetime"),  # noqa: DTZ001
        (1.5, "the clock's time: a timestamp cannot be made from float"),
        (None, "the clock's time: a timestamp cannot be made from NoneType"),
    ],
)
def test_anything_else_is_an_error_and_writes_nothing(now: Any, words: str) -> None:
    async def main() -> None:
        async with mobstore.open_stores("memory:", clock=lambda: now) as stores:
            for call in (
                stores.events.append(EVENT),
                stores.realm_profiles.create("name", Profile(model="m")),
                stores.atomic(lambda at: at.events.append(EVENT)),
            ):
                with pytest.raises(UsageError) as caught:
                    await call
                assert words in str(caught.value)
            assert await stores.events.replay_all() == []

    asyncio.run(main())


def test_what_is_no_clock() -> None:
    clock: Any = NOON
    with pytest.raises(mobstore.InternalError, match="clock is a function that returns"):
        mobstore.MobStores(MemoryEngine(), clock=clock)
