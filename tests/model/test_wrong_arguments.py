"""Wrong arguments of the models' methods raise a MobStoreError, never pydantic's own error."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError

import mobstore
from mobstore import (
    FlowContext,
    FlowRunConfig,
    KernelMap,
    KernelSet,
    KernelState,
    MobDefinition,
    MobRun,
    MobStoreError,
    OtherEvent,
    Profile,
    Record,
    SerializationError,
    TrustedPeerSpec,
    UsageError,
    event_kind_from_json,
    is_terminal,
    topological_steps,
)
from mobstore.testing import samples

DEFINITION = samples.definition()
CONFIG = FlowRunConfig.from_definition(mobstore.FlowId("flow"), DEFINITION)
STEPS = CONFIG.flow_spec.steps
STEP = STEPS[mobstore.StepId("z")]
FLOAT: Any = 1.5


class Call(NamedTuple):
    """A method or function, arguments that are right, and wrong values by argument."""

    function: Callable[..., object]
    right: dict[str, Any]
    wrong: dict[str, tuple[object, ...]]


TEXT: tuple[object, ...] = (None, 5, b"x", [], {}, object())
DOCUMENT: tuple[object, ...] = (None, 5, [], {}, object())
OTHER: tuple[object, ...] = (None, 5, "x", [], object())


async def lookup(_: str) -> None: ...


def resolve(name: Any, lookup: Any) -> object:
    return asyncio.run(DEFINITION.resolve_profile(name, lookup))


CALLS = {
    "Record.from_json": Call(
        Profile.from_json, {"document": samples.profile().to_json()}, {"document": DOCUMENT}
    ),
    "KernelState.from_json": Call(
        KernelState.from_json, {"document": samples.state(1).to_json()}, {"document": DOCUMENT}
    ),
    "KernelState": Call(
        KernelState,
        {"phase": "p", "fields": {}},
        {"phase": TEXT, "fields": (5, "x", [], {1: "x"}, {None: 1})},
    ),
    "KernelSet": Call(KernelSet, {"items": (1,)}, {"items": (None, 5, object())}),
    "KernelMap": Call(
        KernelMap, {"entries": {1: 2}}, {"entries": (None, 5, object(), [1], [(1,)], "abc")}
    ),
    "event_kind_from_json": Call(
        event_kind_from_json, {"document": '{"type":"mob_reset"}'}, {"document": DOCUMENT}
    ),
    "OtherEvent.from_json": Call(
        OtherEvent.from_json, {"document": '{"type":"other"}'}, {"document": DOCUMENT}
    ),
    "TrustedPeerSpec.checked": Call(
        TrustedPeerSpec.checked,
        {"name": "n", "peer_id": "p", "address": "a"},
        {"name": (*TEXT, "", " ", "a\n"), "peer_id": TEXT, "address": TEXT},
    ),
    "MobDefinition.from_toml": Call(
        MobDefinition.from_toml, {"text": "[mob]\nid = 'm'"}, {"text": TEXT}
    ),
    "MobDefinition.implicit": Call(
        MobDefinition.implicit,
        {"session_id": "s", "model": "m"},
        {"session_id": TEXT, "model": TEXT},
    ),
    "MobDefinition.is_owned_by_session": Call(
        DEFINITION.is_owned_by_session, {"session_id": "s"}, {"session_id": TEXT}
    ),
    "MobDefinition.is_session_scoped_to": Call(
        DEFINITION.is_session_scoped_to, {"session_id": "s"}, {"session_id": TEXT}
    ),
    "MobDefinition.session_scoped": Call(
        DEFINITION.session_scoped, {"session_id": "s"}, {"session_id": TEXT}
    ),
    "MobDefinition.resolve_inline_profile": Call(
        DEFINITION.resolve_inline_profile, {"name": "lead"}, {"name": TEXT}
    ),
    "MobDefinition.resolve_profile": Call(
        resolve, {"name": "lead", "lookup": lookup}, {"name": TEXT, "lookup": (5, "x", object())}
    ),
    "MobRun.pending": Call(
        MobRun.pending,
        {"mob_id": "m", "flow_id": "f", "flow_state": samples.state(0)},
        {"mob_id": TEXT, "flow_id": TEXT, "flow_state": (*OTHER, {}, samples.state(0).to_json())},
    ),
    "MobRun.flow_state_for_steps": Call(
        MobRun.flow_state_for_steps,
        {"step_ids": ["s"]},
        {"step_ids": (None, 5, "steps", [5], [None], [[]], [b"s"])},
    ),
    "MobRun.flow_state_for_config": Call(
        MobRun.flow_state_for_config, {"config": CONFIG}, {"config": (*OTHER, CONFIG.flow_spec)}
    ),
    "FlowRunConfig.from_definition": Call(
        FlowRunConfig.from_definition,
        {"flow_id": "flow", "definition": DEFINITION},
        {"flow_id": TEXT, "definition": (*OTHER, DEFINITION.to_json())},
    ),
    "FlowContext.from_run_aggregate": Call(
        FlowContext.from_run_aggregate,
        {"run": samples.full_run(), "run_id": UUID(int=1), "activation_params": None},
        {"run": OTHER, "run_id": (*OTHER, b"x" * 16)},
    ),
    "topological_steps": Call(
        topological_steps, {"steps": STEPS}, {"steps": (*OTHER, {1: STEP}, {"z": 5})}
    ),
    "is_terminal": Call(is_terminal, {"status": "failed"}, {"status": TEXT}),
}
CASES = [
    pytest.param(call, argument, value, id=f"{name}-{argument}-{number}")
    for name, call in CALLS.items()
    for argument, values in call.wrong.items()
    for number, value in enumerate(values)
]


@pytest.mark.parametrize(("call", "argument", "value"), CASES)
def test_a_wrong_argument_raises_usage_error(call: Call, argument: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        call.function(**{**call.right, argument: value})
    assert caught.value.__cause__ is None, "pydantic's error shows the content"
    assert isinstance(caught.value, MobStoreError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", CALLS)
def test_right_arguments_are_accepted(name: str) -> None:
    call = CALLS[name]
    call.function(**call.right)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Profile.from_json("{"),
        lambda: Profile.from_json(b"\xff"),
        lambda: Profile.from_json("[]"),
        lambda: KernelState.from_json("{}"),
        lambda: KernelState("p", {"f": FLOAT}),
        lambda: KernelSet([FLOAT]),
        lambda: event_kind_from_json('{"type":"odd"}'),
        lambda: MobDefinition.from_toml("mob"),
        lambda: MobRun.pending(
            mobstore.MobId("m"), mobstore.FlowId("f"), KernelState(), float("nan")
        ),
        lambda: MobRun.flow_state_for_steps([mobstore.StepId("\ud800")]),
        lambda: FlowContext.from_run_aggregate(
            samples.full_run(), UUID(int=1), {"not": float("inf")}
        ),
    ],
)
def test_a_value_without_a_json_form_raises_serialization_error(call: Callable[[], object]) -> None:
    with pytest.raises(SerializationError):
        call()


def test_constructors_of_models_raise_pydantic_s_error() -> None:
    wrong: Any = 5
    with pytest.raises(ValidationError):
        Profile(model=wrong)


def test_every_method_of_a_model_is_tried() -> None:
    """Methods without arguments of their own cannot be called with wrong ones."""
    internal = {"Record.lacks", "Assembled.assemble", "Assembled.assemble_all"}
    names = {name for name in vars(BaseModel) if not name.startswith("__")}
    found: set[str] = set()
    for model in _models():
        for name, method in list(vars(model).items()):
            function = getattr(method, "__func__", method)
            if name.startswith("_") or name in names or not inspect.isfunction(function):
                continue
            parameters = [
                p for p in inspect.signature(function).parameters if p not in {"self", "cls"}
            ]
            if parameters:
                found.add(f"{model.__name__}.{name}")
    assert found - internal == {name for name in CALLS if "." in name and "Kernel" not in name}


def _models() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [Record, *Record.__mro__[1:2]]
    waiting = [Record]
    while waiting:
        children: list[Any] = waiting.pop().__subclasses__()
        found += children
        waiting += children
    return [one for one in found if one.__module__.startswith("mobstore.")]
