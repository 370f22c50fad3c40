"""Cases of values that engines are known to confuse: odd text, free JSON, kernel values, times."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from pydantic import JsonValue

from mobstore.errors import SerializationError
from mobstore.interfaces import MobRunStore
from mobstore.model.kernel import KernelMap, KernelSet, KernelState, NamedVariant
from mobstore.model.run import FrameSnapshot, MobRun
from mobstore.model.timestamp import Timestamp
from mobstore.testing.kit import case, refused, same
from mobstore.testing.samples import (
    HOSTILE_TEXTS,
    definition,
    failure,
    frame,
    iteration,
    loop,
    make_run,
    profile,
    run_id,
    state,
    step,
)
from mobstore.testing.subject import Subject

SURROGATES = ("\ud800", "a\udfff", "\udc00\ud800")

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


@case("values.text.names")
async def keeps_names_apart(subject: Subject) -> None:
    """Any text names a spec, a profile or a mob, and no two texts are the same name."""
    stores = await subject.open()
    for n, name in enumerate(HOSTILE_TEXTS):
        await stores.specs.put_spec(name, definition(f"{n}"))
        await stores.realm_profiles.create(name, profile(f"{n}"))
        await stores.runs.create_run(make_run(n, mob=name, flow=name))
    for n, name in enumerate(HOSTILE_TEXTS):
        same(await stores.specs.get_spec(name), (definition(f"{n}"), 1), f"spec {name!r}")
        stored = await stores.realm_profiles.get(name)
        assert stored is not None, f"profile {name!r} is there"
        same((stored.name, stored.profile), (name, profile(f"{n}")), f"profile {name!r}")
        for flow in (None, name):
            got = await stores.runs.list_runs(name, flow)
            same(got, [make_run(n, mob=name, flow=name)], f"runs of mob and flow {name!r}")
    same(await stores.specs.list_specs(), sorted(HOSTILE_TEXTS), "mobs that have a spec")


@case("values.text.in-runs")
async def keeps_parts_apart(subject: Subject) -> None:
    """Any text names a frame, a loop, a step or a member, and no two texts are the same name."""
    runs = (await subject.open()).runs
    steps = [step(name, name, output=name) for name in HOSTILE_TEXTS]
    run = make_run(
        frames={name: frame(n) for n, name in enumerate(HOSTILE_TEXTS)},
        loops={name: loop(n) for n, name in enumerate(HOSTILE_TEXTS)},
        step_ledger=steps,
        failure_ledger=[failure(name, name) for name in HOSTILE_TEXTS],
        loop_iteration_ledger=[iteration(0, name, name) for name in HOSTILE_TEXTS],
        root_step_outputs=dict.fromkeys(HOSTILE_TEXTS, 1),
        loop_iteration_outputs={name: [{name: name}] for name in HOSTILE_TEXTS},
    )
    await runs.create_run(run)
    same(await _stored(runs), run, "the run as created")
    same(list((await _stored(runs)).frames), sorted(HOSTILE_TEXTS), "order of frames")
    for n, name in enumerate(HOSTILE_TEXTS):
        appended = await runs.append_step_entry_if_absent(run.run_id, steps[n])
        same(appended, False, f"entry of step {name!r} again")
        swapped = await runs.cas_frame_state(
            run.run_id, frame_id=name, expected=frame(n), next=frame(n + 1000)
        )
        same(swapped, True, f"state of frame {name!r}")
        await runs.put_step_output(run.run_id, name, [name])
    changed = await _stored(runs)
    same([entry.output for entry in changed.step_ledger], [[n] for n in HOSTILE_TEXTS], "outputs")
    want = {name: frame(n + 1000) for n, name in enumerate(HOSTILE_TEXTS)}
    same(changed.frames, want, "frames after their changes")


@case("values.text.surrogates")
async def refuses_surrogates(subject: Subject) -> None:
    """Lone surrogates are refused wherever text is an argument, and change nothing."""
    stores = await subject.open()
    runs, specs, profiles = stores.runs, stores.specs, stores.realm_profiles
    run = make_run(step_ledger=(step(),), frames={"frame": frame(0)})
    await runs.create_run(run)
    same_run = run.run_id
    calls: dict[str, Callable[[str], Awaitable[object]]] = {
        "put_spec": lambda text: specs.put_spec(text, definition()),
        "get_spec": specs.get_spec,
        "delete_spec": specs.delete_spec,
        "profiles.create": lambda text: profiles.create(text, profile()),
        "profiles.get": profiles.get,
        "profiles.update": lambda text: profiles.update(text, profile(), 1),
        "profiles.delete": lambda text: profiles.delete(text, 1),
        "list_runs, mob": runs.list_runs,
        "list_runs, flow": lambda text: runs.list_runs("mob", text),
        "put_step_output, step": lambda text: runs.put_step_output(same_run, text, 1),
        "put_step_output, output": lambda text: runs.put_step_output(same_run, "step", [text]),
        "put_step_output, key": lambda text: runs.put_step_output(same_run, "step", {text: 1}),
        "cas_frame_state": lambda text: runs.cas_frame_state(
            same_run, frame_id=text, expected=None, next=frame(1)
        ),
        "upsert_loop_snapshot": lambda text: runs.upsert_loop_snapshot(
            same_run, loop_instance_id=text, snapshot=loop(1)
        ),
        "append_step_entry": lambda text: runs.append_step_entry(
            same_run, step(output={"k": [text]})
        ),
    }
    for text in SURROGATES:
        for what, call in calls.items():
            await refused(SerializationError, call(text), f"{what} with {text!r}")
    same(await runs.list_runs("mob"), [run], "the runs")
    same(await specs.list_specs(), [], "the specs")
    same(await profiles.list(), [], "the profiles")


@case("values.text.types")
async def refuses_other_types(subject: Subject) -> None:
    """What is no text, no UUID or no model is refused where one belongs, and changes nothing."""
    stores = await subject.open()
    runs, specs, profiles = stores.runs, stores.specs, stores.realm_profiles
    run = make_run(step_ledger=(step(),))
    await runs.create_run(run)
    odd_names: list[Any] = [b"mob", 1, None, ("mob",)]
    for odd in odd_names:
        for call in (
            specs.put_spec(odd, definition()), specs.get_spec(odd), specs.delete_spec(odd),
            profiles.create(odd, profile()), profiles.get(odd), profiles.update(odd, profile(), 1),
            profiles.delete(odd, 1), runs.list_runs(odd), runs.put_step_output(run.run_id, odd, 1),
        ):  # fmt: skip
            await refused(SerializationError, call, f"the name {odd!r}")
    odd_ids: list[Any] = [str(run.run_id), run.run_id.bytes, 1, None]
    for odd in odd_ids:
        for call in (
            runs.get_run(odd), runs.append_step_entry(odd, step()),
            runs.cas_flow_state(odd, expected=state(0), next=state(1)),
            runs.cas_run_status(odd, expected="pending", next="running"),
        ):  # fmt: skip
            await refused(SerializationError, call, f"the run id {odd!r}")
    odd_models: list[Any] = [None, {}, "{}", b"", step().to_json(), definition()]
    for odd in odd_models:
        for call in (
            runs.create_run(odd), runs.append_step_entry(run.run_id, odd),
            runs.append_failure_entry(run.run_id, odd),
            runs.cas_flow_state(run.run_id, expected=state(0), next=odd),
            runs.cas_frame_state(run.run_id, frame_id="f", expected=None, next=odd),
            runs.upsert_loop_snapshot(run.run_id, loop_instance_id="l", snapshot=odd),
        ):  # fmt: skip
            await refused(SerializationError, call, f"the model {odd!r}")
    same(await runs.list_runs("mob"), [run], "the runs")
    same((await specs.list_specs(), await profiles.list()), ([], []), "the specs and profiles")


@case("values.json.exact")
async def keeps_json_exactly(subject: Subject) -> None:
    """Free JSON keeps its types and every digit: 1, 1.0, true and "1" stay apart."""
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
async def refuses_what_is_no_json(subject: Subject) -> None:
    """NaN, infinity, bytes, integers beyond 64 bits and keys that are no text change nothing."""
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
        for value in (odd, [odd], {"k": {"k": odd}}):
            call = runs.put_step_output(run.run_id, "step", value)
            await refused(SerializationError, call, f"the output {type(odd).__name__}")
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
            await refused(SerializationError, completing, f"the output {type(odd).__name__}")
    same(await _stored(runs), run, "the run")


@case("values.json.depth")
async def bounds_depth(subject: Subject) -> None:
    """What is accepted can be read back, however deep; what is too deep is refused."""
    runs = (await subject.open()).runs
    await runs.create_run(make_run(step_ledger=(step(),)))
    deep: JsonValue = 1
    accepted = refusals = 0
    for depth in range(1, 140):
        deep = [deep] if depth % 2 else {"k": deep}
        before = (await _stored(runs)).step_ledger[0].output
        try:
            await runs.put_step_output(run_id(1), "step", deep)
        except SerializationError:
            refusals += 1
            got = (await _stored(runs)).step_ledger[0].output
            same(json.dumps(got), json.dumps(before), "the output after a refusal")
        else:
            same(refusals, 0, f"refusals of what is less deep than {depth}")
            accepted = depth
            run = await _stored(runs)
            same(json.dumps(run.step_ledger[0].output), json.dumps(deep), f"depth {depth}")
            same(MobRun.from_json(run.to_json()), run, f"the run's JSON at depth {depth}")
    assert accepted >= 100, f"100 levels are accepted: got {accepted}"
    assert refusals > 0, "139 levels are refused"


@case("values.kernel.types")
async def keeps_kernel_types(subject: Subject) -> None:
    """In states true, 1 and "1" stay apart, also as set items and map keys."""
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
    same([(type(i), i) for i in got.fields["set"]],
         [(type(i), i) for i in everything["set"]], "the items of the set")  # fmt: skip
    same(len(got.fields["map"]), 4, "keys of the map")
    for one, other in ((True, 1), (1, "1"), (False, 0), (KernelSet([1]), KernelSet([True])),
                       (KernelMap([(1, 1)]), KernelMap([(True, 1)])), ((), KernelSet())):  # fmt: skip
        stored, expected = (
            FrameSnapshot(kernel_state=KernelState("", {"v": value})) for value in (one, other)
        )
        await _set_frame(runs, stored)
        swapped = await runs.cas_frame_state(
            run.run_id, frame_id="frame", expected=expected, next=frame(1)
        )
        same(swapped, False, f"{one!r} stored, {other!r} expected")


async def _set_frame(runs: MobRunStore, following: FrameSnapshot) -> None:
    current = (await _stored(runs)).frames
    swapped = await runs.cas_frame_state(
        run_id(1), frame_id="frame", expected=dict(current)[cast("Any", "frame")], next=following
    )
    same(swapped, True, "the frame as it was read, expected")


@case("values.time.exact")
async def keeps_times_exactly(subject: Subject) -> None:
    """Times keep their nanoseconds, leap seconds and far years, in runs and profiles too."""
    stores = await subject.open()
    for n, text in enumerate(("-9999-01-01T00:00:00.000000001Z", "0000-02-29T00:00:00Z",
                              "1969-12-31T23:59:59.999999999Z", "2016-12-31T23:59:60.123456789Z",
                              "9999-12-31T23:59:59.999999999Z", "+262142-12-31T23:59:59.1Z")):  # fmt: skip
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
