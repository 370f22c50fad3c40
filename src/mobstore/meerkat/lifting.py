"""Kernel states of 0.6 to 0.8, lifted into the form of 0.5.2.

Since 0.6 a state is one flat object: its phase, and its fields as plain JSON. In 0.5.2 each value
is tagged with its type. The fields of the three machines kept their names, so a table of their
types is enough. Tuples of field names make the tables as they were read in the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from mobstore.errors import SerializationError
from mobstore.model.canonical import Wire
from mobstore.model.extent import MAX_VALUES
from mobstore.model.text import brief

_Lift: TypeAlias = Callable[[Any], Wire]
Machine: TypeAlias = Mapping[str, _Lift]
"""The types of the fields of a machine: functions that tag a plain value, or raise ValueError."""

_MOST = MAX_VALUES // 3  # a tagged value counts as three, and as many may be stored


def _text(value: Any) -> Wire:
    if type(value) is not str:
        raise ValueError("text")
    return {"type": "string", "value": value}


def _number(value: Any) -> Wire:
    if type(value) is not int:
        raise ValueError("a number")
    return {"type": "u64", "value": value}


def _flag(value: Any) -> Wire:
    if type(value) is not bool:
        raise ValueError("true or false")
    return {"type": "bool", "value": value}


def _variant(enum_name: str) -> _Lift:
    def lift(value: Any) -> Wire:
        if type(value) is not str:
            raise ValueError(f"a variant of {enum_name}")
        return {"type": "named_variant", "enum_name": enum_name, "variant": value}

    return lift


def _optional(of: _Lift) -> _Lift:
    return lambda value: {"type": "none"} if value is None else of(value)


def _many(kind: str, of: _Lift) -> _Lift:
    def lift(value: Any) -> Wire:
        if type(value) is not list:
            raise ValueError("an array")
        return {"type": kind, "items": list(map(of, cast("list[Any]", value)))}

    return lift


def _map(of: _Lift) -> _Lift:
    def lift(value: Any) -> Wire:
        if type(value) is not dict:
            raise ValueError("an object")
        pairs = cast("dict[str, Any]", value).items()
        return {"type": "map", "entries": [[_text(key), of(item)] for key, item in pairs]}

    return lift


_SEQ, _SET = _many("seq", _text), _many("set", _text)
_FLAGS, _NUMBERS, _TEXTS = _map(_optional(_flag)), _map(_number), _map(_optional(_text))

FLOW_RUN: Machine = {
    "tracked_steps": _SET,
    "ordered_steps": _SEQ,
    "step_status": _map(_optional(_variant("StepRunStatus"))),
    "output_recorded": _map(_flag),
    "step_condition_results": _FLAGS,
    "step_has_conditions": _map(_flag),
    "step_dependencies": _map(_SEQ),
    "step_dependency_modes": _map(_variant("DependencyMode")),
    "step_branches": _TEXTS,
    "step_collection_policies": _map(_variant("CollectionPolicyKind")),
    "step_quorum_thresholds": _NUMBERS,
    "step_target_counts": _NUMBERS,
    "step_target_success_counts": _NUMBERS,
    "step_target_terminal_failure_counts": _NUMBERS,
    "target_retry_counts": _NUMBERS,
    "failure_count": _number,
    "consecutive_failure_count": _number,
    "escalation_threshold": _number,
    "max_step_retries": _number,
    "ready_frames": _SEQ,
    "pending_body_frame_loops": _SEQ,
    "ready_frame_membership": _SET,
    "pending_body_frame_loop_membership": _SET,
    "active_node_count": _number,
    "active_frame_count": _number,
    "max_active_nodes": _number,
    "max_active_frames": _number,
    "max_frame_depth": _number,
    "last_granted_frame": _text,
    "last_granted_loop": _text,
}
"""The machine of a run."""

FLOW_FRAME: Machine = {
    "frame_id": _text,
    "frame_scope": _variant("FrameScope"),
    "loop_instance_id": _text,
    "iteration": _number,
    "last_admitted_node": _text,
    "tracked_nodes": _SET,
    "ordered_nodes": _SEQ,
    "node_kind": _map(_variant("FlowNodeKind")),
    "node_dependencies": _map(_SEQ),
    "node_dependency_modes": _map(_variant("DependencyMode")),
    "node_branches": _TEXTS,
    "branch_winners": _SET,
    "node_status": _map(_variant("NodeRunStatus")),
    "ready_queue": _SEQ,
    "output_recorded": _map(_flag),
    "node_condition_results": _FLAGS,
}
"""The machine of a frame."""

LOOP_ITERATION: Machine = {
    "loop_instance_id": _text,
    "parent_frame_id": _text,
    "parent_node_id": _text,
    "loop_id": _text,
    "depth": _number,
    "current_iteration": _number,
    "last_completed_iteration": _number,
    "max_iterations": _number,
    "stage": _variant("LoopIterationStage"),
    "active_body_frame_id": _optional(_text),
}
"""The machine of a loop."""


def lift(machine: Machine, state: object, what: str) -> tuple[object, dict[str, object]]:
    """Return a state in the form of 0.5.2, and its fields that the machine does not have.

    A state in that form, or no state at all, is returned as it is.

    Raises:
        SerializationError: a field has another type, or the state has too many values.
    """
    if not isinstance(state, dict) or "fields" in state or "phase" not in state:
        return cast("object", state), {}
    flat = dict(cast("dict[str, Any]", state))
    phase = flat.pop("phase")
    if sum(map(_count, flat.values())) > _MOST:
        raise SerializationError(f"{what} has more than {MAX_VALUES:,} values when it is lifted")
    fields: dict[str, Wire] = {}
    for name in machine.keys() & flat.keys():
        try:
            fields[name] = machine[name](flat.pop(name))
        except ValueError as error:
            raise SerializationError(f"{what}: {brief(name)} is not {error}") from None
    return {"phase": phase, "fields": fields}, flat


def _count(value: Any) -> int:
    """Return about how many values a field has."""
    if isinstance(value, dict):
        return 1 + sum(map(_count, cast("dict[str, Any]", value).values()))
    if isinstance(value, list):
        return 1 + sum(
            _count(item) if isinstance(item, list) else 1 for item in cast("list[Any]", value)
        )
    return 1
