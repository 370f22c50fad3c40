"""Every place with nested values, at its limit: accepted values can be read again everywhere."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

import mobstore
from maintenance.support import is_empty, rows_of
from mobstore import (
    ConditionEq,
    ConditionExpr,
    ConditionNot,
    FlowId,
    FlowSpec,
    FlowStarted,
    FlowStepSpec,
    KernelMap,
    KernelSet,
    KernelState,
    MeerkatSpawned,
    MobCreated,
    MobDefinition,
    MobEvent,
    MobRun,
    MobStores,
    NewMobEvent,
    Profile,
    ProfileName,
    Record,
    SerializationError,
    SessionId,
    SessionMember,
    StepId,
    StoredRealmProfile,
)
from mobstore.maintenance.transfer import export_stores, import_stores
from mobstore.maintenance.verification import verify
from mobstore.meerkat import export_meerkat, import_meerkat
from mobstore.testing import samples

MOST = 127  # levels of a document, for the reference's reader
RUN = samples.run_id(1)


def levels(document: str | bytes) -> int:
    """Return the depth of a JSON document, found by walking through it."""
    deepest = 0
    waiting: list[tuple[Any, int]] = [(json.loads(document), 1)]
    while waiting:
        value, level = waiting.pop()
        if isinstance(value, (dict, list)):
            deepest = max(deepest, level)
            items = cast("dict[str, Any] | list[Any]", value)
            parts = items.values() if isinstance(items, dict) else items
            waiting += [(part, level + 1) for part in parts]
    return deepest


def arrays(depth: int) -> Any:
    return [arrays(depth - 1)] if depth > 1 else []


def objects(depth: int) -> Any:
    return {"k": objects(depth - 1)} if depth > 1 else {}


def wide(depth: int) -> Any:
    """Return many values beside the deep part, with brackets in text and escaped quotes."""
    return [['[{\\"'] * 3, {'"[': wide(depth - 2)}, [[]]] if depth > 3 else arrays(depth)


def conditions(depth: int) -> ConditionExpr:
    condition: ConditionExpr = ConditionEq(path="p", value=1)
    for _ in range(depth - 1):
        condition = ConditionNot(expr=condition)
    return condition


def state(depth: int) -> KernelState:
    """Return a state of this depth, made of all nested values."""
    value: Any = None if depth % 2 else ()
    level = 3 if depth % 2 else 4
    while level < depth:
        value = KernelSet([value]) if level % 4 < 2 else (value,)
        level += 2
    return KernelState("P", {"f": value})


def map_state(depth: int) -> KernelState:
    """Return a state of this depth whose outermost value is a map."""
    inner: Any = None if depth % 2 == 0 else ()
    level = 6 if depth % 2 == 0 else 7
    while level < depth:
        inner, level = (inner,), level + 2
    return KernelState("P", {"f": KernelMap([(1, inner)])})


def spec_with(params: Any) -> MobDefinition:
    profile = Profile(model="m", output_schema=params)
    return MobDefinition(id=mobstore.MobId("mob"), profiles={ProfileName("p"): profile})


def spec_if(condition: ConditionExpr) -> MobDefinition:
    step = FlowStepSpec(role=ProfileName("r"), message="m", condition=condition)
    return MobDefinition(
        id=mobstore.MobId("mob"), flows={FlowId("f"): FlowSpec(steps={StepId("s"): step})}
    )


def started(params: Any) -> NewMobEvent:
    return samples.event(kind=FlowStarted(run_id=RUN, flow_id=FlowId("f"), params=params))


def created(definition: MobDefinition) -> NewMobEvent:
    return samples.event(kind=MobCreated(definition=definition))


Write = Callable[[MobStores, Any], Awaitable[object]]
Read = Callable[[MobStores], Awaitable[Sequence[Record]]]


@dataclass
class Place:
    """The limit of a part's depth, and the depth of the document then."""

    makes: Sequence[Callable[[int], Any]]
    most: int
    whole: int
    write: Write
    read: Read


async def _events(stores: MobStores) -> Sequence[MobEvent]:
    return await stores.events.replay_all()


async def _run(stores: MobStores) -> Sequence[MobRun]:
    run = await stores.runs.get_run(RUN)
    return [] if run is None else [run]


async def _spec(stores: MobStores) -> Sequence[MobDefinition]:
    found = await stores.specs.get_spec("mob")
    return [] if found is None else [found[0]]


async def _profile(stores: MobStores) -> Sequence[StoredRealmProfile]:
    return await stores.realm_profiles.list()


async def _with_run(stores: MobStores, **parts: Any) -> None:
    await stores.runs.create_run(samples.make_run(1, **parts))


async def _put_output(stores: MobStores, output: Any) -> None:
    await _with_run(stores, step_ledger=(samples.step(),))
    await stores.runs.put_step_output(RUN, "step", output)


async def _complete(stores: MobStores, output: Any, loop: tuple[str, int] | None) -> None:
    await _with_run(stores, frames={"frame": samples.frame(0)})
    await stores.runs.cas_complete_step_and_record_output(
        RUN,
        frame_id="frame",
        expected_frame=samples.frame(0),
        next_frame=samples.frame(1),
        step_output_key="k",
        step_output=output,
        loop_context=loop,
    )


async def _swap_flow_state(stores: MobStores, following: KernelState) -> None:
    await _with_run(stores)
    await stores.runs.cas_flow_state(RUN, expected=samples.state(0), next=following)


async def _add_frame(stores: MobStores, following: KernelState) -> None:
    await _with_run(stores)
    snapshot = mobstore.FrameSnapshot(kernel_state=following)
    await stores.runs.cas_frame_state(RUN, frame_id="f", expected=None, next=snapshot)


async def _add_loop(stores: MobStores, following: KernelState) -> None:
    await _with_run(stores)
    snapshot = mobstore.LoopSnapshot(kernel_state=following)
    await stores.runs.upsert_loop_snapshot(RUN, loop_instance_id="l", snapshot=snapshot)


async def _update_profile(stores: MobStores, params: Any) -> None:
    await stores.realm_profiles.create("p", samples.profile())
    await stores.realm_profiles.update("p", Profile(model="m", provider_params=params), 1)


FREE = (arrays, objects, wide)
STATES = (state, map_state)
PLACES: dict[str, Place] = {
    "params of an event": Place(
        FREE, 125, 127, lambda s, v: s.events.append(started(v)), _events
    ),
    "params of an event in a batch": Place(
        FREE, 125, 127, lambda s, v: s.events.append_batch([started(v)]), _events
    ),
    "profile in an event": Place(
        FREE, 122, 127, lambda s, v: s.events.append(created(spec_with(v))), _events
    ),
    "condition in an event": Place(
        [conditions], 120, 127,
        lambda s, v: s.events.append(created(spec_if(v))), _events,
    ),
    "profile in a spec": Place(
        FREE, 123, 126, lambda s, v: s.specs.put_spec("mob", spec_with(v)), _spec
    ),
    "condition in a spec": Place(
        [conditions], 121, 126, lambda s, v: s.specs.put_spec("mob", spec_if(v)), _spec
    ),
    "value of a condition": Place(
        FREE, 120, 126,
        lambda s, v: s.specs.put_spec("mob", spec_if(ConditionEq(path="p", value=v))), _spec,
    ),
    "new realm profile": Place(
        FREE, 125, 127,
        lambda s, v: s.realm_profiles.create("p", Profile(model="m", provider_params=v)), _profile,
    ),
    "realm profile": Place(FREE, 125, 127, _update_profile, _profile),
    "activation_params": Place(
        FREE, 123, 124, lambda s, v: _with_run(s, activation_params=v), _run
    ),
    "output in a new run's ledger": Place(
        FREE, 123, 126, lambda s, v: _with_run(s, step_ledger=(samples.step(output=v),)), _run
    ),
    "output of a root step in a new run": Place(
        FREE, 123, 125, lambda s, v: _with_run(s, root_step_outputs={"s": v}), _run
    ),
    "output of a loop's step in a new run": Place(
        FREE, 123, 127, lambda s, v: _with_run(s, loop_iteration_outputs={"l": ({"s": v},)}), _run
    ),
    "output in the ledger": Place(FREE, 123, 126, _put_output, _run),
    "output of a root step": Place(FREE, 123, 125, lambda s, v: _complete(s, v, None), _run),
    "output of a loop's step": Place(FREE, 123, 127, lambda s, v: _complete(s, v, ("l", 0)), _run),
    "flow state of a new run": Place(
        STATES, 124, 125, lambda s, v: _with_run(s, flow_state=v), _run
    ),
    "frame of a new run": Place(
        STATES, 124, 127,
        lambda s, v: _with_run(s, frames={"f": mobstore.FrameSnapshot(kernel_state=v)}), _run,
    ),
    "loop of a new run": Place(
        STATES, 124, 127,
        lambda s, v: _with_run(s, loops={"l": mobstore.LoopSnapshot(kernel_state=v)}), _run,
    ),
    "flow state": Place(STATES, 124, 125, _swap_flow_state, _run),
    "frame": Place(STATES, 124, 127, _add_frame, _run),
    "loop": Place(STATES, 124, 127, _add_loop, _run),
}  # fmt: skip
EACH = [(name, make) for name, place in PLACES.items() for make in place.makes]


def documents(path: Path) -> list[bytes]:
    """Return all JSON of a database of the reference."""
    with closing(sqlite3.connect(path)) as file:
        return [
            document
            for table, column in (
                ("mob_events", "event_json"),
                ("mob_runs", "run_json"),
                ("mob_specs", "spec_json"),
                ("realm_profiles", "profile_json"),
            )
            for (document,) in file.execute(f"SELECT {column} FROM {table}")
        ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make"), EACH)
def test_at_the_limit(name: str, make: Callable[[int], Any], tmp_path: Path) -> None:
    """A value at the limit is read back from the store, from its document, and from files."""
    place = PLACES[name]

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await place.write(stores, make(place.most))
            records = await place.read(stores)
            assert [levels(record.to_json()) for record in records] == [place.whole]
            for record in records:
                assert type(record).from_json(record.to_json()) == record
            assert not (await verify(stores)).left
            file = io.BytesIO()
            await export_stores(stores, file)
            path = tmp_path / "mob.db"
            await export_meerkat(stores, path)
            assert max(map(levels, documents(path))) <= MOST
            async with (
                mobstore.open_stores(f"sqlite:{tmp_path / 'new.db'}") as by_file,
                mobstore.open_stores("memory:") as by_meerkat,
            ):
                await import_stores(file, by_file)
                assert await place.read(by_file) == records
                assert rows_of(by_file) == rows_of(stores)
                await import_meerkat(path, by_meerkat)
                assert await place.read(by_meerkat) == records

    asyncio.run(check())


@pytest.mark.parametrize(("name", "make"), EACH)
def test_one_level_beyond(name: str, make: Callable[[int], Any]) -> None:
    place = PLACES[name]

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            before = await _depths(stores)
            with pytest.raises(SerializationError, match=r"nested (deeper than|too deeply)"):
                await place.write(stores, make(place.most + 1))
            assert await _depths(stores) <= max(before, 10)

    async def _depths(stores: MobStores) -> int:
        return max((levels(record.to_json()) for record in await place.read(stores)), default=0)

    asyncio.run(check())


@pytest.mark.parametrize("most", [120, 121, 124, 125, 126, 127])
def test_short_and_long_documents_have_the_same_limit(most: int) -> None:
    """The same number of levels is accepted beside few and beside many bytes."""

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for size in (0, 1, 10, 1000):
                taken = 0
                for make in (arrays, objects):
                    params = make(most)
                    labels = {"l": "x" * size}
                    first = samples.event(
                        kind=MeerkatSpawned(
                            meerkat_id=mobstore.MeerkatId("m"),
                            role=ProfileName("r"),
                            member_ref=SessionMember(session_id=SessionId(RUN)),
                            labels=labels,
                        )
                    )
                    try:
                        await stores.events.append_batch([first, started(params)])
                        taken += 1
                    except SerializationError:
                        pass
                assert taken == (2 if most <= 125 else 0)

    asyncio.run(check())


def test_nothing_is_left_of_what_was_refused() -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            with pytest.raises(SerializationError):
                await stores.events.append_batch([samples.event(), started(arrays(126))])
            assert is_empty(stores)

    asyncio.run(check())
