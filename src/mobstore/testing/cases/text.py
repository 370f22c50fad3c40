"""Cases of unusual text, and of other types in its place, in every argument that takes text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from mobstore.codec.arguments import LONGEST_NAME
from mobstore.errors import MobStoreError, SerializationError, UsageError
from mobstore.model.run import MobRun
from mobstore.stores.runs import MobRunStore
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import (
    HOSTILE_TEXTS,
    definition,
    event,
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


@case("values.text.longest")
async def bounds_names(subject: Subject) -> None:
    """A name of `LONGEST_NAME` bytes works like any other; a longer one is rejected."""
    stores = await subject.open()
    runs, specs, profiles = stores.runs, stores.specs, stores.realm_profiles
    longest = ("x" * LONGEST_NAME, "\U0001f99d" * (LONGEST_NAME // 4), "\0" * LONGEST_NAME)
    for n, name in enumerate(longest):
        what = f"a name of {len(name)} times {name[0]!r}"
        await specs.put_spec(name, definition())
        same(await specs.get_spec(name), (definition(), 1), f"the spec with {what}")
        await profiles.create(name, profile())
        found = await profiles.get(name)
        same(found and found.name, name, f"the profile with {what}")
        run = make_run(n, mob=name, flow=name, frames={name: frame(0)})
        await runs.create_run(run)
        await runs.append_step_entry(run.run_id, step(name, name))
        await runs.append_failure_entry(run.run_id, failure(name, name))
        entry = iteration(0, name, name)
        await runs.upsert_loop_snapshot(
            run.run_id, loop_instance_id=name, snapshot=loop(0), ledger_entry=entry
        )
        await _complete(runs, run, name, name)
        (got,) = await runs.list_runs(name, name)
        same((got.mob_id, list(got.frames), list(got.loops)), (name, [name], [name]), what)
        same(got.loop_iteration_ledger == (entry,), True, f"the iteration with {what}")
        same(got.loop_iteration_outputs == {name: ({name: 1},)}, True, f"the output with {what}")
        same(len(await stores.events.poll(0, 9, mob_id=name)), 0, f"events of {what}")
        await stores.events.append(event(name))
        same(len(await stores.events.poll(0, 9, mob_id=name)), 1, f"the event of {what}")
    for name in longest:
        run = make_run(9, frames={"frame": frame(0)})
        if await runs.get_run(run.run_id) is None:
            await runs.create_run(run)
        longer = f"{name}x"
        await _all_reject(
            SerializationError, f"a name of {len(longer)} characters",
            partial(specs.put_spec, longer, definition()),
            partial(profiles.create, longer, profile()),
            partial(stores.events.append, event(longer)),
            partial(runs.create_run, make_run(8, mob=longer)),
            partial(runs.create_run, make_run(8, flow=longer)),
            partial(runs.create_run, make_run(8, frames={longer: frame(0)})),
            partial(runs.create_run, make_run(8, loops={longer: loop(0)})),
            partial(runs.create_run, make_run(8, root_step_outputs={longer: 1})),
            partial(runs.create_run, make_run(8, loop_iteration_outputs={longer: ()})),
            partial(runs.create_run, make_run(8, loop_iteration_outputs={"l": ({longer: 1},)})),
            partial(runs.append_step_entry, run.run_id, step(longer)),
            partial(runs.append_step_entry, run.run_id, step("s", longer)),
            partial(runs.append_failure_entry, run.run_id, failure(longer)),
            partial(_complete, runs, run, longer, "loop"),
            partial(_complete, runs, run, "s", longer),
        )  # fmt: skip
        same(await runs.get_run(run.run_id), run, "the run after errors")
    same(len(await specs.list_specs()), len(longest), "specs after errors")
    same(await runs.get_run(run_id(8)), None, "no run after errors")


async def _complete(runs: MobRunStore, run: MobRun, step_id: str, loop_id: str) -> None:
    (frame_id,) = run.frames
    done = await runs.cas_complete_step_and_record_output(
        run.run_id,
        frame_id=frame_id,
        expected_frame=frame(0),
        next_frame=frame(1),
        step_output_key=step_id,
        step_output=1,
        loop_context=(loop_id, 0),
    )
    same(done, True, "the step is completed")


@case("values.text.surrogates")
async def rejects_surrogates(subject: Subject) -> None:
    """Lone surrogates are rejected in every text argument and change nothing."""
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
            await expect_error(SerializationError, call(text), f"{what} with {text!r}")
    same(await runs.list_runs("mob"), [run], "the runs")
    same(await specs.list_specs(), [], "the specs")
    same(await profiles.list(), [], "the profiles")


@case("values.text.types")
async def rejects_other_types(subject: Subject) -> None:
    """An argument that must be text, a UUID or a model rejects other types; nothing changes."""
    stores = await subject.open()
    runs, specs, profiles = stores.runs, stores.specs, stores.realm_profiles
    run = make_run(step_ledger=(step(),))
    await runs.create_run(run)
    key = run.run_id
    odd_names: list[Any] = [b"mob", 1, None, ("mob",)]
    for odd in odd_names:
        await _all_reject(
            UsageError, f"the name {odd!r}",
            partial(specs.put_spec, odd, definition()), partial(specs.get_spec, odd),
            partial(specs.delete_spec, odd), partial(profiles.create, odd, profile()),
            partial(profiles.get, odd), partial(profiles.update, odd, profile(), 1),
            partial(profiles.delete, odd, 1), partial(runs.put_step_output, key, odd, 1),
            partial(runs.list_runs, cast("Any", odd or ())),  # None selects all mobs
        )  # fmt: skip
    odd_ids: list[Any] = [str(key)[:8], key.bytes, 1, None]
    for odd in odd_ids:
        await _all_reject(
            UsageError, f"the run id {odd!r}",
            partial(runs.get_run, odd), partial(runs.append_step_entry, odd, step()),
            partial(runs.cas_flow_state, odd, expected=state(0), next=state(1)),
            partial(runs.cas_run_status, odd, expected="pending", next="running"),
        )  # fmt: skip
    odd_models: list[Any] = [None, {}, "{}", b"", step().to_json(), definition()]
    for odd in odd_models:
        await _all_reject(
            UsageError, f"the model {odd!r}",
            partial(runs.create_run, odd), partial(runs.append_step_entry, key, odd),
            partial(runs.append_failure_entry, key, odd),
            partial(runs.cas_flow_state, key, expected=state(0), next=odd),
            partial(runs.cas_frame_state, key, frame_id="f", expected=None, next=odd),
            partial(runs.upsert_loop_snapshot, key, loop_instance_id="l", snapshot=odd),
        )  # fmt: skip
    same(await runs.list_runs("mob"), [run], "the runs")
    same(await specs.list_specs(), [], "the specs")
    same(await profiles.list(), [], "the profiles")


async def _all_reject(
    kind: type[MobStoreError], what: str, *calls: Callable[[], Awaitable[object]]
) -> None:
    for call in calls:
        await expect_error(kind, call(), what)
