"""Kernel states of the demo's frames and loops, as the reference's machines make them."""

from __future__ import annotations

from collections.abc import Mapping

from mobstore import FrameSpec, KernelInput, KernelMap, KernelState, NamedVariant, RepeatUntilSpec


def changed(state: KernelState, *, phase: str = "", **changes: KernelInput) -> KernelState:
    """Return a state with some fields changed; the other entries of a map stay."""
    fields: dict[str, KernelInput] = {**state.fields}
    for name, value in changes.items():
        before = fields[name]
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            fields[name] = KernelMap([*before.items(), *value.items()])
        else:
            fields[name] = value
    return KernelState(phase or state.phase, fields)


def new_frame(
    frame_id: str, spec: FrameSpec, loop_instance_id: str = "", iteration: int = 0
) -> KernelState:
    """Return the first state of a frame: nodes without dependencies are ready."""
    names = tuple(spec.nodes)
    fields: dict[str, KernelInput] = {
        "frame_id": frame_id,
        "frame_scope": NamedVariant("FrameScope", "Body" if loop_instance_id else "Root"),
        "loop_instance_id": loop_instance_id,
        "iteration": iteration,
        "last_admitted_node": "",
        "tracked_nodes": frozenset(names),
        "ordered_nodes": names,
        "node_kind": {
            name: NamedVariant("FlowNodeKind", "Step" if node.kind == "step" else "Loop")
            for name, node in spec.nodes.items()
        },
        "node_dependencies": {name: node.depends_on for name, node in spec.nodes.items()},
        "node_dependency_modes": dict.fromkeys(names, NamedVariant("DependencyMode", "All")),
        "node_branches": dict.fromkeys(names),
        "branch_winners": frozenset[str](),
        "node_status": {
            name: NamedVariant("NodeRunStatus", "Pending" if node.depends_on else "Ready")
            for name, node in spec.nodes.items()
        },
        "ready_queue": (),
        "output_recorded": {},
        "node_condition_results": {},
    }
    return KernelState("Running", fields)


def new_loop(loop_instance_id: str, frame_id: str, spec: RepeatUntilSpec) -> KernelState:
    """Return the first state of a loop."""
    fields: dict[str, KernelInput] = {
        "loop_instance_id": loop_instance_id,
        "parent_frame_id": frame_id,
        "parent_node_id": loop_instance_id.removeprefix(f"{frame_id}::"),
        "loop_id": spec.loop_id,
        "depth": 1,
        "current_iteration": 0,
        "last_completed_iteration": 0,
        "max_iterations": spec.max_iterations,
        "stage": loop_stage("AwaitingBodyFrame"),
        "active_body_frame_id": None,
    }
    return KernelState("Running", fields)


def loop_stage(stage: str) -> NamedVariant:
    """Return a stage of a loop as a kernel value."""
    return NamedVariant("LoopIterationStage", stage)


def step_run_status(status: str) -> NamedVariant:
    """Return the status of a step as a kernel value."""
    return NamedVariant("StepRunStatus", status)
