"""Cases of values that engines are known to confuse: free JSON, kernel values, times."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from pydantic import JsonValue

from mobstore.errors import SerializationError, UsageError
from mobstore.model.definition import MobDefinition
from mobstore.model.event import FlowStarted, MobEvent, NewMobEvent, TaskCreated
from mobstore.model.flow import (
    ConditionEq,
    ConditionExpr,
    ConditionNot,
    FlowSpec,
    FlowStepSpec,
)
from mobstore.model.ids import FlowId, MobId, ProfileName, StepId, TaskId
from mobstore.model.kernel import KernelState
from mobstore.model.kernel_values import KernelMap, KernelSet, KernelValue, NamedVariant
from mobstore.model.record import Record
from mobstore.model.run import FrameSnapshot, MobRun
from mobstore.model.timestamp import Timestamp
from mobstore.stores.runs import MobRunStore
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    definition,
    event,
    frame,
    make_run,
    profile,
    run_id,
    state,
    step,
)
from mobstore.testing.subject import Subject

EXACT_JSON: tuple[JsonValue, ...] = (
    None, True, False, 0, 1, 1.0, -0.0, -1, 0.1, 1e16, 1e22, 1.5e300, 5e-324, 2**53 + 1, 2**63,
    2**64 - 1, -(2**63), 1.7976931348623157e308, "", "\0", "1", "null", "\U0001f99d\uff5e",
    [], {}, [[], {}], {"": {"": []}}, {"1": 1, "01": "1"}, [1, 1.0, True, "1", None],
    {"b": 1, "a": 2, "\U00010000": 3, "\uff5e": 4}, "</script>\u2028\x7f\\\"",
)  # fmt: skip


async def _stored(runs: MobRunStore) -> MobRun:
    run = await runs.get_run(run_id(1))
    assert run is not None, "the run is there"
    return run


@case("values.json.exact")
async def keeps_json_exactly(subject: Subject) -> None:
    """Free JSON keeps types and every digit: 1, 1.0, true and "1" stay different."""
    runs = (await subject.open()).runs
    await runs.create_run(make_run(step_ledger=(step(),), activation_params=list(EXACT_JSON)))
    got = (await _stored(runs)).activation_params
    same(json.dumps(got), _sorted_json(list(EXACT_JSON)), "activation_params")
    for value in EXACT_JSON:
        await runs.put_step_output(run_id(1), "step", value)
        got = (await _stored(runs)).step_ledger[0].output
        same(json.dumps(got), _sorted_json(value), f"the output {value!r}")


def _sorted_json(value: JsonValue) -> str:
    # Stored keys are in order: the texts are compared, so that 1, 1.0 and true differ.
    return json.dumps(value, sort_keys=True)


@case("values.json.refused")
async def rejects_what_is_no_json(subject: Subject) -> None:
    """NaN, infinity, bytes, integers beyond 64 bits and keys that are not text change nothing."""
    runs = (await subject.open()).runs
    run = make_run(step_ledger=(step(output=1),), frames={"frame": frame(0)})
    await runs.create_run(run)
    circular: list[Any] = []
    circular.append(circular)
    odd_values: list[Any] = [
        float("nan"), float("inf"), -float("inf"), 2**64, -(2**63) - 1, b"x", {1: 1}, {None: 1},
        {"k": {1, 2}}, object(), [object()], 1j, circular, bytearray(b"x"), {"k": b""},
    ]  # fmt: skip
    for odd in odd_values:
        nested: list[Any] = [odd, [odd], {"k": {"k": odd}}]
        for value in nested:
            call = runs.put_step_output(run.run_id, "step", value)
            await expect_error(SerializationError, call, f"the output {type(odd).__name__}")
        for loop_context in (None, ("loop", 0)):
            completing = runs.cas_complete_step_and_record_output(
                run.run_id,
                frame_id="frame",
                expected_frame=frame(0),
                next_frame=frame(1),
                step_output_key="k",
                step_output=odd,
                loop_context=loop_context,
            )
            await expect_error(SerializationError, completing, f"the output {type(odd).__name__}")
    same(await _stored(runs), run, "the run")


@case("values.json.depth")
async def bounds_depth(subject: Subject) -> None:
    """Accepted documents can be read back, however deep; deeper ones are rejected."""
    runs = (await subject.open()).runs
    await runs.create_run(make_run(step_ledger=(step(),)))
    deep: JsonValue = 1
    accepted = errors = 0
    for depth in range(1, 140):
        deep = [deep] if depth % 2 else {"k": deep}
        before = (await _stored(runs)).step_ledger[0].output
        try:
            await runs.put_step_output(run_id(1), "step", deep)
        except SerializationError:
            errors += 1
            got = (await _stored(runs)).step_ledger[0].output
            same(json.dumps(got), json.dumps(before), "the output after an error")
        else:
            same(errors, 0, f"errors below the depth {depth}")
            accepted = depth
            run = await _stored(runs)
            same(json.dumps(run.step_ledger[0].output), json.dumps(deep), f"depth {depth}")
            same(MobRun.from_json(run.to_json()), run, f"the run's JSON at depth {depth}")
    assert accepted >= 100, f"100 levels are accepted: got {accepted}"
    assert errors > 0, "139 levels are rejected"


@case("values.events.depth")
async def bounds_depth_of_events(subject: Subject) -> None:
    """Accepted events can be read back, from the log and from their JSON, however deep."""
    events = (await subject.open()).events
    params: JsonValue = 1
    accepted: list[MobEvent] = []
    for depth in range(1, 128):
        params = [params] if depth % 2 else {"k": params}
        kind = FlowStarted(run_id=run_id(1), flow_id=FlowId("f"), params=params)
        try:
            accepted.append(await events.append(event(kind=kind)))
        except SerializationError:
            pass
        else:
            same(len(accepted), depth, f"params accepted up to {depth} levels")
    same(len(accepted), 125, "levels accepted: with the event and its kind they are 127")
    stored = await events.replay_all()
    same(stored, accepted, "the events as stored")
    for one in stored:
        same(MobEvent.from_json(one.to_json()), one, "the JSON of an event")


@case("values.models.depth")
async def bounds_depth_of_models(subject: Subject) -> None:
    """Nested conditions are bounded like free JSON: accepted ones can be read back."""
    specs = (await subject.open()).specs
    condition: ConditionExpr = ConditionEq(path="p", value=1)
    accepted, stored = 0, None
    for depth in range(1, 140):
        flow = FlowStepSpec(role=ProfileName("r"), message="m", condition=condition)
        flows = {FlowId("f"): FlowSpec(steps={StepId("s"): flow})}
        written = MobDefinition(id=MobId("mob"), flows=flows)
        try:
            await specs.put_spec("mob", written)
        except SerializationError:
            same(await specs.get_spec("mob"), (stored, accepted), "the spec after an error")
        else:
            same(accepted, depth - 1, f"conditions accepted before {depth}")
            accepted, stored = depth, written
            same(await specs.get_spec("mob"), (written, depth), f"{depth} conditions")
            same(MobDefinition.from_json(written.to_json()), written, f"the JSON of {depth}")
        condition = ConditionNot(expr=condition)
    assert 100 <= accepted < 139, f"100 conditions are accepted, 139 are not: got {accepted}"


@case("values.events.checked")
async def rejects_events_that_would_differ(subject: Subject) -> None:
    """An event that could not be read back exactly as given is rejected."""
    events = (await subject.open()).events
    kept = await events.append(event())
    task = TaskCreated(task_id=TaskId("t"), subject="s", description="", blocked_by=())
    flow = FlowStarted(run_id=run_id(1), flow_id=FlowId("f"), params={})
    changes: list[dict[str, Any]] = [
        {"subject": 5}, {"subject": None}, {"subject": Decimal("1.10")}, {"blocked_by": "t"},
        {"type": "mob_reset"}, {"type": "unknown"}, {"other": 1},
    ]  # fmt: skip
    kinds: list[Any] = [task.model_copy(update=change) for change in changes]
    kinds += [TaskCreated.model_construct(), profile(), {"type": "mob_reset"}, None]
    values: list[Any] = [float("nan"), -float("inf"), Decimal("1.10"), 2**64, b"x", {1}, {1: "one"}]
    for value in values:
        changed = flow.model_copy(deep=True)
        cast("dict[str, Any]", changed.params)["k"] = value
        kinds += [changed, flow.model_copy(update={"params": [value]})]
    made = NewMobEvent.model_construct
    odd = [made(mob_id=MobId("mob"), timestamp=None, kind=kind) for kind in kinds]
    odd.append(made(kind=task))
    for one in odd:
        what = f"the event {one.__dict__}"
        wrong_type = "kind" in one.__dict__ and not isinstance(one.kind, Record)
        error = UsageError if wrong_type else SerializationError
        await expect_error(error, events.append(one), what)
        await expect_error(error, events.append_batch([event(), one, event()]), what)
    same(await events.replay_all(), [kept], "the log")
    changed = flow.model_copy(deep=True)
    cast("dict[str, Any]", changed.params).update(b=[1.0, True], a=(None,))
    stored = await events.append(event(kind=changed))
    same(stored.kind, flow.model_copy(update={"params": {"a": [None], "b": [1.0, True]}}), "kind")
    same(await events.poll(kept.cursor, 9), [stored], "the event as stored")


@case("values.models.checked")
async def rejects_models_that_would_differ(subject: Subject) -> None:
    """A spec or profile that could not be read back exactly as given is rejected."""
    stores = await subject.open()
    specs, profiles = stores.specs, stores.realm_profiles
    await specs.put_spec("mob", definition())
    created = await profiles.create("p", profile())
    odd_profiles: list[Any] = [
        profile().model_copy(update={name: value})
        for name, value in (
            ("model", 5), ("tools", {}), ("skills", [1]), ("backend", "cloud"), ("other", 1),
            ("provider_params", {"cost": Decimal("1.10")}), ("output_schema", float("nan")),
        )
    ]  # fmt: skip
    changed = profile()
    cast("dict[Any, Any]", changed.provider_params)[1] = "one"
    odd_profiles += [changed, type(changed).model_construct()]
    for odd in odd_profiles:
        what = f"the profile {odd.__dict__}"
        await expect_error(SerializationError, profiles.create("q", odd), what)
        await expect_error(SerializationError, profiles.update("p", odd, 1), what)
    for binding in (*odd_profiles, "oops", {"modle": "x"}, None):
        changed_definition = definition()
        cast("dict[str, Any]", changed_definition.profiles)["lead"] = binding
        what = f"the definition with {binding!r}"
        await expect_error(SerializationError, specs.put_spec("mob", changed_definition), what)
        await expect_error(SerializationError, specs.put_spec("new", changed_definition), what)
    same(await specs.get_spec("mob"), (definition(), 1), "the spec")
    same(await specs.list_specs(), ["mob"], "the mobs with a spec")
    same(await profiles.list(), [created], "the profiles")


@case("values.runs.checked")
async def rejects_runs_that_would_differ(subject: Subject) -> None:
    """A run, or a part of one, that could not be read back exactly as given is rejected."""
    runs = (await subject.open()).runs
    run = make_run(step_ledger=(step(),), frames={"frame": frame(0)})
    await runs.create_run(run)
    changes: list[dict[str, Any]] = [
        {"activation_params": {"n": float("nan")}}, {"activation_params": Decimal("1.10")},
        {"activation_params": {1: 1}}, {"step_ledger": 5}, {"frames": [1]},
        {"root_step_outputs": {"s": {1, 2}}}, {"loop_iteration_outputs": {"l": 5}},
        {"loop_iteration_outputs": {"l": ({"s": float("inf")},)}},
        {"frames": {"f": FrameSnapshot.model_construct()}},
        {"step_ledger": (type(step()).model_construct(),)},
    ]  # fmt: skip
    wrong_types: list[dict[str, Any]] = [
        {"step_ledger": ({},)}, {"frames": {"f": {"kernel_state": state(0)}}},
        {"loops": {"l": frame(0)}}, {"flow_state": {}}, {"status": "ended"},
        {"schema_version": "4"}, {"created_at": "now"}, {"completed_at": ""},
    ]  # fmt: skip
    for change in changes + wrong_types:
        error = UsageError if change in wrong_types else SerializationError
        odd = make_run(2).model_copy(update=change)
        await expect_error(error, runs.create_run(odd), f"a run with {change}")
    await expect_error(
        SerializationError, runs.create_run(MobRun.model_construct()), "a run of nothing"
    )
    unfinished = type(step()).model_construct()
    calls: list[Callable[[], Any]] = [
        lambda: runs.append_step_entry(run.run_id, unfinished),
        lambda: runs.append_step_entry_if_absent(run.run_id, unfinished),
        lambda: runs.cas_frame_state(
            run.run_id,
            frame_id="frame",
            expected=frame(0),
            next=FrameSnapshot.model_construct(),
        ),
    ]
    for call in calls:
        await expect_error(SerializationError, call(), "a part without its fields")
    same(await runs.list_runs(), [run], "the runs")


@case("values.kernel.types")
async def keeps_kernel_types(subject: Subject) -> None:
    """In states, true, 1 and "1" stay different, also as set items and map keys."""
    runs = (await subject.open()).runs
    everything: dict[str, Any] = {
        "set": KernelSet([True, 1, "1", None, (), NamedVariant("E", "V")]),
        "map": KernelMap([(True, 1), (1, True), ("1", "true"), (None, ())]),
        "seq": (True, 1, "1", 0, False, 2**64 - 1),
        "\0": "\U0001f99d",
        "": KernelSet(),
    }
    run = make_run(flow_state=KernelState("", everything), frames={"frame": frame(0)})
    await runs.create_run(run)
    got = (await _stored(runs)).flow_state
    same(got, run.flow_state, "the flow state")
    items: list[Any] = list(cast("KernelSet", got.fields["set"]))
    want: list[Any] = list(everything["set"])
    same([repr(item) for item in items], [repr(item) for item in want], "the set")
    same(len(cast("KernelMap", got.fields["map"])), 4, "keys of the map")
    pairs: tuple[tuple[KernelValue, KernelValue], ...] = (
        (True, 1), (1, "1"), (False, 0), (KernelSet([1]), KernelSet([True])), ((), KernelSet()),
        (KernelMap([(1, 1)]), KernelMap([(True, 1)])), (None, False), ("", None),
    )  # fmt: skip
    for one, other in pairs:
        stored, expected = (
            FrameSnapshot(kernel_state=KernelState("", {"v": value})) for value in (one, other)
        )
        await _set_frame(runs, stored)
        swapped = await runs.cas_frame_state(
            run.run_id, frame_id="frame", expected=expected, next=frame(1)
        )
        same(swapped, False, f"{one!r} stored, {other!r} expected")


async def _set_frame(runs: MobRunStore, next_frame: FrameSnapshot) -> None:
    current = (await _stored(runs)).frames
    swapped = await runs.cas_frame_state(
        run_id(1), frame_id="frame", expected=dict(current)[cast("Any", "frame")], next=next_frame
    )
    same(swapped, True, "the frame as it was read, expected")


@case("values.time.exact")
async def keeps_times_exactly(subject: Subject) -> None:
    """Times keep their nanoseconds, leap seconds and far years, in runs and profiles too."""
    stores = await subject.open()
    times = (
        "-9999-01-01T00:00:00.000000001Z", "0000-02-29T00:00:00Z", "+262142-12-31T23:59:59.1Z",
        "1969-12-31T23:59:59.999999999Z", "2016-12-31T23:59:60.123456789Z",
        "9999-12-31T23:59:59.999999999Z",
    )  # fmt: skip
    for n, text in enumerate(times):
        time = Timestamp(text)
        subject.clock.now = time
        entry = step().model_copy(update={"timestamp": time})
        run = make_run(n, created_at=time, step_ledger=(entry,))
        await stores.runs.create_run(run)
        await stores.runs.cas_run_status(run.run_id, expected="pending", next="failed")
        ended = run.model_copy(update={"status": "failed", "completed_at": time})
        same(await stores.runs.get_run(run.run_id), ended, f"a run at {text}")
        created = await stores.realm_profiles.create(text, profile())
        same((created.created_at, created.updated_at), (time, time), f"a profile at {text}")
        same(await stores.realm_profiles.get(text), created, f"the profile as stored at {text}")
