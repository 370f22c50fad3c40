"""Cases of copies: a store shares no mutable value with its callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from pydantic import JsonValue

from mobstore.model.event import FlowStarted, NewMobEvent
from mobstore.model.ids import FlowId
from mobstore.model.record import Record
from mobstore.model.run import MobRun
from mobstore.testing.kit import case, same
from mobstore.testing.samples import definition, event, full_run, make_run, profile, run_id, step
from mobstore.testing.subject import Subject


def _started() -> NewMobEvent:
    started = FlowStarted(run_id=run_id(1), flow_id=FlowId("flow"), params={"list": [1, {"k": 2}]})
    return event(kind=started)


def _spoil(value: object) -> None:
    """Change every list and dict within a value; models are frozen, but their content is not."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value)
        within = list(items.values())
        items["spoilt"] = "spoilt"
    elif isinstance(value, list):
        entries = cast("list[object]", value)
        within = entries.copy()
        entries.append("spoilt")
    elif isinstance(value, tuple):
        within = list(cast("tuple[object, ...]", value))
    elif isinstance(value, Record):
        within = list(vars(value).values())
    else:
        return
    for item in within:
        _spoil(item)


@case("copies.arguments.events")
async def copies_event_arguments(subject: Subject) -> None:
    """Changing events and their list after an append does not change the log."""
    events = (await subject.open()).events
    one, batch = _started(), [_started(), _started()]
    await events.append(one)
    await events.append_batch(batch)
    _spoil(one)
    _spoil(batch)
    got = [stored.kind for stored in await events.replay_all()]
    same(got, [_started().kind] * 3, "the events in the log")


@case("copies.arguments.runs")
async def copies_run_arguments(subject: Subject) -> None:
    """Changing a run, its entries and outputs after a call does not change what is stored."""
    runs = (await subject.open()).runs
    run, entry = full_run(), step("new", output={"k": [1]})
    output: JsonValue = {"k": [1, {}]}
    await runs.create_run(run)
    await runs.append_step_entry(run.run_id, entry)
    await runs.put_step_output(run.run_id, "s2", output)
    _spoil(run)
    _spoil(entry)
    _spoil(output)
    ledger = full_run().step_ledger
    last = ledger[2].model_copy(update={"output": {"k": [1, {}]}})
    want = full_run().model_copy(
        update={"step_ledger": (*ledger[:2], last, step("new", output={"k": [1]}))}
    )
    same(await runs.get_run(run_id(1)), want, "the run")


@case("copies.arguments.begun")
async def copies_before_waiting(subject: Subject) -> None:
    """Arguments count as they are when a call starts, even if they change while it waits."""
    stores = await subject.open()
    runs = stores.runs
    await runs.create_run(make_run(2, step_ledger=(step(),)))
    run, content, written = full_run(), profile(), definition()
    output: JsonValue = {"k": [1]}
    batch = [_started()]

    async def begin(call: Coroutine[Any, Any, Any], spoilt: object) -> None:
        task = asyncio.create_task(call)
        await asyncio.sleep(0)
        _spoil(spoilt)
        await task

    await begin(runs.create_run(run), run)
    await begin(runs.put_step_output(run_id(2), "step", output), output)
    await begin(stores.realm_profiles.create("name", content), content)
    await begin(stores.specs.put_spec("mob", written), written)
    await begin(stores.events.append_batch(batch), batch)
    same(await runs.get_run(run_id(1)), full_run(), "the run")
    got = await runs.get_run(run_id(2))
    same(got, make_run(2, step_ledger=(step(output={"k": [1]}),)), "the output")
    stored = await stores.realm_profiles.get("name")
    assert stored is not None, "the profile is there"
    same(stored.profile, profile(), "the profile")
    same(await stores.specs.get_spec("mob"), (definition(), 1), "the spec")
    same([one.kind for one in await stores.events.replay_all()], [_started().kind], "the log")


@case("copies.results.events")
async def gives_copies_of_events(subject: Subject) -> None:
    """Changing returned events does not change what others read."""
    events = (await subject.open()).events
    _spoil(await events.append(_started()))
    _spoil(await events.append_batch([_started()]))
    _spoil(await events.poll(0, 10))
    _spoil(await events.replay_all())
    for got in (await events.poll(0, 10), await events.replay_all()):
        same([stored.kind for stored in got], [_started().kind] * 2, "the events in the log")


@case("copies.results.runs")
async def gives_copies_of_runs(subject: Subject) -> None:
    """Changing returned runs does not change what others read."""
    runs = (await subject.open()).runs
    await runs.create_run(full_run())
    takes: tuple[Callable[[], Coroutine[Any, Any, MobRun | list[MobRun] | None]], ...] = (
        lambda: runs.get_run(run_id(1)),
        lambda: runs.list_runs("mob"),
        lambda: runs.list_runs("mob", "flow"),
    )
    for take in takes:
        _spoil(await take())
        same(await runs.get_run(run_id(1)), full_run(), "the run")
        same(await runs.list_runs("mob"), [full_run()], "the runs")


@case("copies.results.records")
async def gives_copies_of_records(subject: Subject) -> None:
    """Changing specs and profiles, passed or returned, does not change the store."""
    stores = await subject.open()
    specs, profiles = stores.specs, stores.realm_profiles
    written, content = definition(), profile()
    await specs.put_spec("mob", written)
    _spoil(await profiles.create("name", content))
    _spoil(written)
    _spoil(content)
    for _ in range(2):
        got = await specs.get_spec("mob")
        same(got, (definition(), 1), "the spec")
        stored = await profiles.get("name")
        assert stored is not None, "the profile is there"
        same(stored.profile, profile(), "the profile")
        _spoil(got)
        _spoil(stored)
        _spoil(await profiles.list())
        _spoil(await specs.list_specs())
    updated = await profiles.update("name", profile("2"), 1)
    _spoil(updated)
    removed = await profiles.delete("name", 2)
    same(removed.profile, profile("2"), "the profile that was removed")
