"""Records changed without validation: they are stored as passed, or rejected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Any, cast
from uuid import UUID

import pytest

from mobstore import (
    FlowId,
    FlowStarted,
    MeerkatId,
    MeerkatSpawned,
    MobCreated,
    MobId,
    MobStoreError,
    MobStores,
    NewMobEvent,
    ProfileName,
    RunId,
    SerializationError,
    SessionId,
    SessionMember,
    TaskCreated,
    TaskId,
    UsageError,
    open_stores,
    verify,
)
from mobstore.testing.samples import definition, event, profile

TASK = TaskCreated(task_id=TaskId("t"), subject="s", description="", blocked_by=())


def flow(params: Any) -> FlowStarted:
    return FlowStarted(run_id=RunId(UUID(int=1)), flow_id=FlowId("f"), params=params)


def said(
    call: Callable[[MobStores], Awaitable[object]],
    kind: type[MobStoreError] = SerializationError,
) -> str:
    """Return the text of a call's error; check that nothing was stored."""

    async def refused() -> str:
        async with open_stores("memory:") as stores:
            with pytest.raises(kind) as caught:
                await call(stores)
            assert await stores.events.latest_cursor() == 0
            assert await stores.specs.list_specs() == []
            assert await stores.realm_profiles.list() == []
        return caught.value.detail

    return asyncio.run(refused())


def append(one: NewMobEvent, stores: MobStores) -> Awaitable[object]:
    return stores.events.append(one)


def said_of(kind: Any) -> str:
    return said(lambda stores: stores.events.append(event(kind=kind)))


def test_the_place_of_what_cannot_be_read_is_named() -> None:
    why = said_of(TASK.model_copy(update={"subject": 5}))
    assert why == "event.kind cannot be stored as it is: subject: Input should be a valid string"
    created = MobCreated(definition=definition())
    cast("dict[str, Any]", created.definition.profiles)["lead"] = {"modle": "x"}
    assert said_of(created).startswith(
        "event.kind cannot be stored as it is: definition.profiles.lead."
    )
    spoilt = definition().model_copy(update={"profiles": {"e": {"modle": "x"}}})
    assert said(lambda stores: stores.specs.put_spec("x", spoilt)).startswith(
        "definition cannot be stored as it is: profiles.e."
    )
    named = profile().model_copy(update={"model": 5})
    assert said(lambda stores: stores.realm_profiles.create("p", named)) == (
        "profile cannot be stored as it is: model: Input should be a valid string"
    )


@pytest.mark.parametrize(
    "value", [float("nan"), Decimal("1.10"), (1, {2}), b"x", {1: "one"}, {1: 1, "1": 2}]
)
def test_the_place_of_what_would_change_is_named(value: Any) -> None:
    changed = flow({"a": [1], "budget": {"cost": 1}})
    cast("dict[str, Any]", changed.params)["budget"]["cost"] = value
    why = said_of(changed)
    assert why.startswith("event.kind cannot be stored as it is: params.budget.cost")


def test_an_integer_that_no_reader_takes_is_refused() -> None:
    assert "params" in said_of(flow(None).model_copy(update={"params": 2**64}))


def test_what_has_no_json_form_at_all_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for odd in (object(), circle, {"k": object}):
        why = said_of(flow(None).model_copy(update={"params": odd}))
        assert why.startswith("event.kind")


def test_an_event_of_a_batch_is_named_by_its_number() -> None:
    odd = event(kind=TASK.model_copy(update={"subject": 5}))
    why = said(lambda stores: stores.events.append_batch([event(kind=TASK), odd]))
    assert why.startswith("events[1].kind cannot be stored as it is: subject: ")
    odd = event(kind=flow([]).model_copy(update={"params": [float("nan")]}))
    why = said(lambda stores: stores.events.append_batch([event(kind=TASK), event(kind=TASK), odd]))
    assert why.startswith("events[2].kind cannot be stored as it is: params.0: ")


def test_a_record_that_is_no_kind_of_event_is_refused() -> None:
    for odd in (profile(), TASK.model_copy(update={"type": "mob_reset"})):
        one = NewMobEvent.model_construct(mob_id=MobId("m"), kind=cast("Any", odd), timestamp=None)
        why = said(partial(append, one))
        assert why.startswith("event.kind")


def test_missing_fields_are_named() -> None:
    why = said(lambda stores: stores.events.append(NewMobEvent.model_construct(kind=TASK)))
    assert why == "event lacks mob_id"


def test_one_event_is_no_batch() -> None:
    why = said(lambda stores: stores.events.append_batch(cast("Any", event(kind=TASK))), UsageError)
    assert why == "events must be a sequence of NewMobEvent; use `append` for one event"


def test_what_the_constructors_take_is_stored_in_their_form() -> None:
    """Lists for tuples and the reverse, and keys in any order, are stored as a model has them."""

    async def stored() -> None:
        async with open_stores("memory:") as stores:
            task = TASK.model_copy(update={"blocked_by": [TaskId("a")]})
            got = await stores.events.append(event(kind=task))
            assert got.kind == TASK.model_copy(update={"blocked_by": ("a",)})
            changed = flow({})
            cast("dict[str, Any]", changed.params).update(b=(1,), a=2)
            spawned = MeerkatSpawned(
                meerkat_id=MeerkatId("m"),
                role=ProfileName("r"),
                member_ref=SessionMember(session_id=SessionId(UUID(int=2))),
            )
            cast("dict[str, str]", spawned.labels).update(b="1", a="2")
            batch = [
                event(kind=kind) for kind in (changed, spawned, MobCreated(definition=definition()))
            ]
            appended = await stores.events.append_batch(batch)
            assert list(cast("Any", appended[0].kind).params) == ["a", "b"]
            assert await stores.events.poll(got.cursor, 9) == appended
            odd = definition()
            added = cast("dict[str, Any]", odd.profiles)
            added["a"] = profile()
            await stores.specs.put_spec("mob", odd)
            assert await stores.specs.get_spec("mob") == (odd, 1)
            assert (await verify(stores)).problems == ()

    asyncio.run(stored())
