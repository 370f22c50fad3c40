"""The states of frames and loops, and the next node of a frame. No store is used here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import mobstore

_FILE = Path(__file__).with_name("newsroom.toml")
DEFINITION = mobstore.MobDefinition.from_toml(_FILE.read_text("utf-8"))


def frame_of(nodes: Mapping[str, str]) -> mobstore.FrameSnapshot:
    """Return a frame with a status for each node."""
    phase = "Completed" if set(nodes.values()) <= {"completed", "skipped"} else "Running"
    return mobstore.FrameSnapshot(kernel_state=mobstore.KernelState(phase, {"nodes": dict(nodes)}))


def nodes_of(frame: mobstore.FrameSnapshot) -> dict[str, str]:
    """Return the status of each node of a frame."""
    return dict(cast("Mapping[str, str]", frame.kernel_state.fields["nodes"]))


def with_node(frame: mobstore.FrameSnapshot, node: str, status: str) -> mobstore.FrameSnapshot:
    """Return a frame in which one node has another status."""
    return frame_of({**nodes_of(frame), node: status})


def loop_of(stage: str, iteration: int) -> mobstore.LoopSnapshot:
    """Return a loop in a stage of an iteration."""
    return mobstore.LoopSnapshot(kernel_state=mobstore.KernelState(stage, {"iteration": iteration}))


def stage_of(loop: mobstore.LoopSnapshot) -> tuple[str, int]:
    """Return the stage of a loop, and its iteration."""
    return loop.kernel_state.phase, loop.kernel_state.number("iteration")


def next_node(spec: mobstore.FrameSpec, frame: mobstore.FrameSnapshot) -> str | None:
    """Return a node that was interrupted, or one whose dependencies are done; None: all are."""
    nodes = nodes_of(frame)
    done = {node for node, status in nodes.items() if status in {"completed", "skipped"}}
    left = [node for node in nodes if node not in done]
    ready = [node for node in left if done.issuperset(spec.nodes[node].depends_on)]
    return next((node for node in ready if nodes[node] == "running"), ready[0] if ready else None)


def outputs_of(run: mobstore.MobRun) -> dict[str, Any]:
    """Return the last output of each step."""
    outputs: dict[str, Any] = dict(run.root_step_outputs)
    for iterations in run.loop_iteration_outputs.values():
        for recorded in iterations:
            outputs.update(recorded)
    return outputs


def holds(condition: Any, outputs: Mapping[str, Any]) -> bool:
    """Return whether a condition `lt` or `gt` on `steps.STEP.KEY` holds."""
    _, step, key = condition.path.split(".")
    value = outputs[step][key]
    return bool(value < condition.value if condition.op == "lt" else value > condition.value)
