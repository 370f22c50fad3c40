"""Wrong arguments: each is rejected by name, and the store keeps working."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest

import mobstore
from mobstore import (
    FailureLedgerEntry,
    FlowStarted,
    FrameSnapshot,
    InternalError,
    KernelState,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MobDefinition,
    MobReset,
    MobRun,
    MobStoreError,
    MobStores,
    NewMobEvent,
    Profile,
    SerializationError,
    StepLedgerEntry,
    Subscription,
    Timestamp,
    UsageError,
)

Call: TypeAlias = Callable[[MobStores], Awaitable[object]]

RUN = UUID("5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d")
NOW = Timestamp("2026-03-04T05:06:07Z")
SURROGATE: Any = "a\ud800"
STATE = KernelState("P", {"x": 1})
FRAME, LOOP = FrameSnapshot(kernel_state=STATE), LoopSnapshot(kernel_state=STATE)
NESTED: Any = json.loads("[" * 125 + "]" * 125)


class Number(IntEnum):
    ONE = 1


def any_of(kind: Any) -> Any:
    """Return a model by a name that takes plain text for identifiers."""
    return kind


RUN_RECORD = any_of(MobRun)(
    run_id=RUN,
    mob_id="desk",
    flow_id="daily",
    status="running",
    flow_state=STATE,
    activation_params=None,
    created_at=NOW,
    step_ledger=(),
    failure_ledger=(),
    frames={"f": FRAME},
    loops={"l": LOOP},
)
STEP = any_of(StepLedgerEntry)(step_id="s", meerkat_id="m", status="completed", timestamp=NOW)
FAILURE = any_of(FailureLedgerEntry)(step_id="s", reason="why", timestamp=NOW)
ENTRY = any_of(LoopIterationLedgerEntry)(loop_instance_id="l", iteration=0, frame_id="f")
EVENT = any_of(NewMobEvent)(mob_id="desk", kind=MobReset())
SPEC = any_of(MobDefinition)(id="desk")
PROFILE = Profile(model="m")

FRAME_SWAP: dict[str, Any] = {"frame_id": "f", "expected_frame": FRAME, "next_frame": FRAME}
LOOP_SWAP: dict[str, Any] = {"loop_instance_id": "l", "expected_loop": LOOP, "next_loop": LOOP}
FLOW_SWAP: dict[str, Any] = {"expected_run_state": STATE, "next_run_state": STATE}
PAGE: dict[str, Any] = {"start": 0, "limit": 5}
PAGE_OF_RUNS: dict[str, Any] = {"status": "running", "after": RUN, "limit": 5}
# Every method with valid arguments, of which one at a time is replaced.
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "append": ("events", {"event": EVENT}),
    "append_batch": ("events", {"events": [EVENT]}),
    "poll": ("events", {"after_cursor": 0, "limit": 5, "mob_id": "desk"}),
    "subscribe": ("events", {"after_cursor": 0, "mob_id": "desk"}),
    "prune": ("events", {"older_than": Timestamp("2000-01-01T00:00:00Z")}),
    "get_run": ("runs", {"run_id": RUN}),
    "list_runs": ("runs", {"mob_id": "desk", "flow_id": "daily", **PAGE_OF_RUNS}),
    "get_run_header": ("runs", {"run_id": RUN}),
    "run_headers": ("runs", {"mob_id": "desk", "flow_id": "daily", **PAGE_OF_RUNS}),
    "step_entries": ("runs", {"run_id": RUN, **PAGE}),
    "failure_entries": ("runs", {"run_id": RUN, **PAGE}),
    "loop_iteration_entries": ("runs", {"run_id": RUN, **PAGE}),
    "watch": ("runs", {"run_id": RUN}),
    "delete_run": ("runs", {"run_id": RUN}),
    "prune_runs": ("runs", {"older_than": Timestamp("2000-01-01T00:00:00Z"), "status": "failed"}),
    "create_run": ("runs", {"run": RUN_RECORD.model_copy(update={"run_id": UUID(int=7)})}),
    "cas_run_status": ("runs", {"run_id": RUN, "expected": "running", "next": "running"}),
    "cas_flow_state": ("runs", {"run_id": RUN, "expected": STATE, "next": STATE}),
    "cas_run_snapshot": (
        "runs",
        {
            "run_id": RUN,
            "expected_status": "running",
            "expected_flow_state": STATE,
            "next_status": "running",
            "next_flow_state": STATE,
        },
    ),
    "append_step_entry": ("runs", {"run_id": RUN, "entry": STEP}),
    "append_step_entry_if_absent": ("runs", {"run_id": RUN, "entry": STEP}),
    "put_step_output": ("runs", {"run_id": RUN, "step_id": "s", "output": 1}),
    "append_failure_entry": ("runs", {"run_id": RUN, "entry": FAILURE}),
    "upsert_loop_snapshot": (
        "runs",
        {"run_id": RUN, "loop_instance_id": "l", "snapshot": LOOP, "ledger_entry": ENTRY},
    ),
    "cas_frame_state": (
        "runs",
        {"run_id": RUN, "frame_id": "f", "expected": FRAME, "next": FRAME},
    ),
    "cas_grant_node_slot": ("runs", {"run_id": RUN, **FLOW_SWAP, **FRAME_SWAP}),
    "cas_complete_step_and_record_output": (
        "runs",
        {
            "run_id": RUN,
            **FRAME_SWAP,
            "step_output_key": "s",
            "step_output": 1,
            "loop_context": ("o", 0),
        },
    ),
    "cas_start_loop": (
        "runs",
        {
            "run_id": RUN,
            **FLOW_SWAP,
            **FRAME_SWAP,
            "loop_instance_id": "new",
            "initial_loop": LOOP,
        },
    ),
    "cas_loop_request_body_frame": ("runs", {"run_id": RUN, **FLOW_SWAP, **LOOP_SWAP}),
    "cas_grant_body_frame_start": (
        "runs",
        {
            "run_id": RUN,
            **FLOW_SWAP,
            **LOOP_SWAP,
            "frame_id": "new",
            "initial_frame": FRAME,
            "ledger_entry": ENTRY,
        },
    ),
    "cas_complete_body_frame": ("runs", {"run_id": RUN, **FLOW_SWAP, **LOOP_SWAP, **FRAME_SWAP}),
    "cas_complete_loop": ("runs", {"run_id": RUN, **FLOW_SWAP, **LOOP_SWAP, **FRAME_SWAP}),
    "put_spec": ("specs", {"mob_id": "desk", "definition": SPEC, "revision": None}),
    "get_spec": ("specs", {"mob_id": "desk"}),
    "delete_spec": ("specs", {"mob_id": "nobody", "revision": None}),
    "create": ("realm_profiles", {"name": "new", "profile": PROFILE}),
    "get": ("realm_profiles", {"name": "p"}),
    "update": ("realm_profiles", {"name": "p", "profile": PROFILE, "expected_revision": 1}),
    "delete": ("realm_profiles", {"name": "q", "expected_revision": 1}),
}
TEXTS = {
    "mob_id",
    "flow_id",
    "step_id",
    "frame_id",
    "loop_instance_id",
    "step_output_key",
    "name",
}
NUMBERS = {"after_cursor", "start", "limit", "revision", "expected_revision"}
OPTIONAL = {"flow_id", "revision", "ledger_entry", "loop_context", "after"}
OPTIONAL_IN = {
    ("poll", "mob_id"),
    ("subscribe", "mob_id"),
    ("cas_frame_state", "expected"),
    *((method, "status") for method in ("list_runs", "run_headers")),
    *(
        (method, "limit")
        for method in (
            "list_runs",
            "run_headers",
            "step_entries",
            "failure_entries",
            "loop_iteration_entries",
        )
    ),
}
FREE = {"output", "step_output"}
WRONG_TEXTS: list[Any] = [5, b"desk", SURROGATE, ["x"], UUID(int=1), 1.5, True]
OUT_OF_RANGE = [-1, 2**64]
NO_NUMBERS: list[Any] = ["1", 1.0, True, b"1", float("nan"), [], None, Number.ONE]
WRONG_FREE: list[Any] = [
    float("nan"),
    float("-inf"),
    2**64,
    -(2**63) - 1,
    b"x",
    {1: 2},
    {"a": object()},
    SURROGATE,
    {SURROGATE: 1},
    {1, 2},
    NESTED,
]
WRONG_CONTEXTS: list[Any] = [
    ("o",),
    ("o", 0, 0),
    ["o", 0],
    "o0",
    (5, 0),
    (b"o", 0),
    {"o": 0},
]
# Values of no use anywhere; None is left out where it is allowed.
WRONG_OBJECTS: list[Any] = [None, 5, "x", SURROGATE, {}, object(), float("nan")]


def error_of(text: object) -> type[MobStoreError]:
    """Return the error of what is not text, or of text that has no JSON form."""
    return SerializationError if isinstance(text, str) else UsageError


def cases() -> list[tuple[str, str, Any, type[MobStoreError]]]:
    """Yield a method, an argument, a wrong value, and the error."""
    found: list[tuple[str, str, Any, type[MobStoreError]]] = []
    for method, (_, arguments) in GOOD.items():
        for name in arguments:
            wrong: list[tuple[Any, type[MobStoreError]]]
            if name in TEXTS:
                wrong = [(value, error_of(value)) for value in WRONG_TEXTS]
            elif name in NUMBERS:
                wrong = [(value, UsageError) for value in (*OUT_OF_RANGE, *NO_NUMBERS)]
            elif name in FREE:
                wrong = [(value, SerializationError) for value in WRONG_FREE]
            elif name == "loop_context":
                wrong = [(value, UsageError) for value in WRONG_CONTEXTS]
                wrong.append(((SURROGATE, 0), SerializationError))
                wrong += [(("o", value), InternalError) for value in (*OUT_OF_RANGE, 1_041)]
                wrong += [(("o", value), UsageError) for value in NO_NUMBERS]
            else:
                wrong = [(value, UsageError) for value in WRONG_OBJECTS]
                if name == "events" or (method, name) == ("prune_runs", "status"):
                    wrong.remove(({}, UsageError))  # none of several is no mistake
            optional = name in OPTIONAL or (method, name) in OPTIONAL_IN
            found += [
                (method, name, value, error)
                for value, error in wrong
                if not (optional and value is None)
            ]
    return found


def states() -> list[tuple[str, str, Any, type[MobStoreError]]]:
    """Return wrong arguments that resemble right ones."""
    naive = datetime(2026, 3, 4)  # noqa: DTZ001 - that is the point
    far = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
    condition: Any = mobstore.ConditionEq(path="p", value=1)
    for _ in range(200):
        condition = mobstore.ConditionNot(expr=condition)
    step = any_of(mobstore.FlowStepSpec)(role="r", message="x", condition=condition)
    flow = any_of(mobstore.FlowSpec)(steps={"s": step})
    started = any_of(FlowStarted)
    serialization: list[tuple[str, str, Any]] = [
        ("append", "event", any_of(NewMobEvent)(mob_id=SURROGATE, kind=MobReset())),
        (
            "append",
            "event",
            any_of(NewMobEvent)(
                mob_id="desk", kind=started(run_id=RUN, flow_id="f", params=[SURROGATE])
            ),
        ),
        (
            "append",
            "event",
            any_of(NewMobEvent)(
                mob_id="desk",
                kind=any_of(mobstore.MeerkatSpawned)(
                    meerkat_id="m", role="r", member_ref=str(RUN), labels={SURROGATE: "x"}
                ),
            ),
        ),
        ("append_batch", "events", [EVENT, any_of(NewMobEvent)(mob_id=SURROGATE, kind=MobReset())]),
        (
            "create_run",
            "run",
            RUN_RECORD.model_copy(update={"run_id": UUID(int=8), "mob_id": SURROGATE}),
        ),
        (
            "create_run",
            "run",
            RUN_RECORD.model_copy(update={"run_id": UUID(int=8), "frames": {SURROGATE: FRAME}}),
        ),
        (
            "create_run",
            "run",
            RUN_RECORD.model_copy(
                update={"run_id": UUID(int=8), "root_step_outputs": {"s": float("nan")}}
            ),
        ),
        ("append_step_entry", "entry", STEP.model_copy(update={"meerkat_id": SURROGATE})),
        ("append_step_entry", "entry", STEP.model_copy(update={"output": {"a": SURROGATE}})),
        ("append_failure_entry", "entry", FAILURE.model_copy(update={"reason": SURROGATE})),
        ("put_spec", "definition", any_of(MobDefinition)(id="m", flows={"f": flow})),
        ("put_spec", "definition", any_of(MobDefinition)(id="m", profiles={SURROGATE: PROFILE})),
        ("create", "profile", Profile(model=SURROGATE)),
        ("create", "profile", Profile(model="m", provider_params=[NESTED])),
    ]
    usage: list[tuple[str, str, Any]] = [
        ("append", "event", MobReset()),
        ("append_batch", "events", [EVENT, None]),
        ("append_batch", "events", EVENT),
        ("prune", "older_than", naive),
        ("prune", "older_than", "yesterday"),
        ("prune", "older_than", b"2026-03-04T05:06:07Z"),
        ("get_run", "run_id", str(RUN)[:8]),
        ("append_step_entry", "entry", FAILURE),
        ("append_failure_entry", "entry", STEP),
        ("upsert_loop_snapshot", "snapshot", STATE),
        ("upsert_loop_snapshot", "snapshot", FRAME),
        ("cas_frame_state", "next", LOOP),
        ("cas_run_status", "next", "Running"),
        ("cas_run_status", "expected", "done"),
        ("cas_flow_state", "next", FRAME),
        ("cas_flow_state", "next", '{"phase":"P","fields":{}}'),
        ("put_spec", "definition", PROFILE),
        ("create", "profile", SPEC),
        ("poll", "after_cursor", 2**63),
        ("poll", "limit", 2**63),
    ]
    return [
        *((*case, SerializationError) for case in serialization),
        *((*case, UsageError) for case in usage),
        # In UTC outside Python's range, but not the store's: accepted, or rejected by its rules.
        ("prune", "older_than", far, MobStoreError),
    ]


CASES = cases() + states()


async def prepare(stores: MobStores) -> None:
    await stores.events.append(EVENT.model_copy(update={"timestamp": NOW}))
    await stores.runs.create_run(RUN_RECORD)
    await stores.runs.append_step_entry(RUN, STEP)
    await stores.specs.put_spec("desk", SPEC)
    await stores.realm_profiles.create("p", PROFILE)
    await stores.realm_profiles.create("q", PROFILE)


async def everything(stores: MobStores) -> list[str]:
    """Return everything in the stores, as text."""
    spec = await stores.specs.get_spec("desk")
    assert spec is not None
    return [
        *(event.to_json() for event in await stores.events.replay_all()),
        *(run.to_json() for run in await stores.runs.list_runs("desk")),
        spec[0].to_json(),
        str(spec[1]),
        *await stores.specs.list_specs(),
        *(profile.to_json() for profile in await stores.realm_profiles.list()),
    ]


def call(stores: MobStores, method: str, **changes: Any) -> Awaitable[object]:
    """Return the answer of a method; of a subscription, the first one."""
    store, arguments = GOOD[method]
    answer: Subscription[object] | Awaitable[object]
    answer = getattr(getattr(stores, store), method)(**{**arguments, **changes})
    return _first(answer) if isinstance(answer, Subscription) else answer


async def _first(answers: Subscription[object]) -> object:
    async with answers:
        return await anext(answers)


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
@pytest.mark.parametrize("method", GOOD)
def test_wrong_arguments(method: str, engine: str, tmp_path: Path) -> None:
    """Each wrong argument raises its error; nothing is written, and the store keeps working."""
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"
    wrong = asyncio.run(_wrong_arguments(url, method))
    assert not wrong, "\n".join(wrong)


def shown(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except RecursionError:
        return f"a deep {type(value).__name__}"


async def _wrong_arguments(url: str, method: str) -> list[str]:
    wrong: list[str] = []
    async with mobstore.open_stores(url, durability="normal", clock=lambda: NOW) as stores:
        await prepare(stores)
        before = await everything(stores)
        for one, argument, value, error in CASES:
            if one != method:
                continue
            what = f"{argument}={shown(value)}"
            try:
                answer = await call(stores, method, **{argument: value})
            except MobStoreError as raised:
                if not isinstance(raised, error):
                    wrong.append(f"{what}: {raised!r}, not {error.__name__}")
            except Exception as raised:  # noqa: BLE001 - whatever else comes out is the finding
                wrong.append(f"{what}: {raised!r}, not {error.__name__}")
            else:
                if error is not MobStoreError:
                    wrong.append(f"{what}: taken, answer {answer!r:.60}")
            after = await everything(stores)
            if after != before:
                wrong.append(f"{what}: changed the store")
                before = after
        await call(stores, method)  # valid arguments are accepted
        await stores.events.append(EVENT)
        await everything(stores)
    return wrong


def test_every_method_of_the_table_exists_and_is_tried() -> None:
    interfaces = (
        mobstore.MobEventStore,
        mobstore.MobRunStore,
        mobstore.MobSpecStore,
        mobstore.RealmProfileStore,
    )
    assert {name for name in GOOD if not any(hasattr(kind, name) for kind in interfaces)} == set()
    assert {one for one, *_ in CASES} == GOOD.keys()


def test_the_message_is_the_same_on_every_engine(tmp_path: Path) -> None:
    async def messages(url: str) -> list[str]:
        found: list[str] = []
        async with mobstore.open_stores(url, durability="normal", clock=lambda: NOW) as stores:
            await prepare(stores)
            for method, argument, value, _ in CASES:
                try:
                    await call(stores, method, **{argument: value})
                except Exception as raised:  # noqa: BLE001 - the other test judges it
                    found.append(f"{method} {argument}: {raised!r}")
                else:
                    found.append(f"{method} {argument}: taken")
        return found

    memory = asyncio.run(messages("memory:"))
    sqlite = asyncio.run(messages(f"sqlite:{tmp_path / 'mobs.db'}"))
    assert memory == sqlite


def test_the_text_for_a_limit_is_the_reference_s() -> None:
    async def poll() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.poll(0, 2**63)

    with pytest.raises(InternalError) as caught:
        asyncio.run(poll())
    assert caught.value.detail == "limit exceeds i64::MAX"


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_results_are_independent_copies(engine: str, tmp_path: Path) -> None:
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"

    async def scenario() -> None:
        async with mobstore.open_stores(url, durability="normal", clock=lambda: NOW) as stores:
            kind = any_of(FlowStarted)(run_id=RUN, flow_id="f", params={"a": [1]})
            event = any_of(NewMobEvent)(mob_id="desk", kind=kind)
            stored = await stores.events.append(event)
            await stores.runs.create_run(RUN_RECORD)
            run: Any = await stores.runs.get_run(RUN)
            run.frames.clear()
            kind.params["a"].append(2)  # the caller's own object, changed afterwards
            (replayed,) = await stores.events.replay_all()
            assert replayed.kind.params == {"a": [1]}  # type: ignore[union-attr]
            assert await stores.runs.get_run(RUN) == RUN_RECORD
            assert stored == replayed

    asyncio.run(scenario())
