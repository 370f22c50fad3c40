"""The demo as a play: all moves of a run in order, each with the states that it changes.

The states are those of the reference's machines. Of a run in a store, its states tell which move
comes next: that before which the play has the same states. Nothing else is to be remembered, so a
reload goes on where it stood, and of two tabs that make the same move one finds the states changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, TypeAlias, cast
from uuid import UUID

from pydantic import JsonValue

from mobstore import (
    FlowCompleted,
    FlowId,
    FlowNodeId,
    FlowRunConfig,
    FrameSpec,
    KernelState,
    KernelValue,
    MeerkatId,
    MobDefinition,
    MobEventKind,
    MobId,
    MobRun,
    MobRunStatus,
    NamedVariant,
    RepeatUntilSpec,
    RunId,
    StepCompleted,
    StepDispatched,
    StepId,
    StepRunStatus,
    StepTargetCompleted,
    StepTargetFailed,
)

DEMO_MOB = MobId("demo-desk")
DEMO_FLOW = FlowId("story")

_DEFINITION = """
[mob]
id = "demo-desk"
orchestrator = "editor"

[profiles.editor]
model = "model-large"
peer_description = "Plans the story, signs it off"

[profiles.writer]
model = "model-medium"
peer_description = "Drafts and revises"

[profiles.critic]
model = "model-small"
peer_description = "Scores what the writer wrote"

[limits]
max_step_retries = 1

[flows.story]
description = "A short story, revised until the critic likes it"

[flows.story.steps]
outline = { role = "editor", message = "Outline a story on {{params.topic}}" }
draft = { role = "writer", message = "Draft it", depends_on = ["outline"] }
critique = { role = "critic", message = "Score it", depends_on = ["draft"] }
signoff = { role = "editor", message = "Sign it off", depends_on = ["critique"] }

[flows.story.root.nodes.n-outline]
kind = "step"
step_id = "outline"
depends_on = []
depends_on_mode = "all"

[flows.story.root.nodes.n-revise]
kind = "repeat_until"
loop_id = "revise"
depends_on = ["n-outline"]
depends_on_mode = "all"
until = { op = "gt", path = "steps.critique.score", value = 0.8 }
max_iterations = 2

[flows.story.root.nodes.n-revise.body.nodes.n-draft]
kind = "step"
step_id = "draft"
depends_on = []
depends_on_mode = "all"

[flows.story.root.nodes.n-revise.body.nodes.n-critique]
kind = "step"
step_id = "critique"
depends_on = ["n-draft"]
depends_on_mode = "all"

[flows.story.root.nodes.n-signoff]
kind = "step"
step_id = "signoff"
depends_on = ["n-revise"]
depends_on_mode = "all"
"""

States: TypeAlias = tuple[str, str, frozenset[tuple[str, str]], frozenset[tuple[str, str]]]
"""Where a run stands: its status, and the texts of its flow state, frames and loops by id."""


class Swap(NamedTuple):
    """A state before a move (None: not there) and after it; `key` is the frame or loop, or ""."""

    key: str
    before: KernelState | None
    after: KernelState


@dataclass(frozen=True, kw_only=True)
class Move:
    """One commit: states to compare and swap, and what is recorded with them."""

    what: str
    method: str
    """The method of the run store that swaps the states."""
    status: tuple[MobRunStatus, MobRunStatus] | None = None
    flow: Swap | None = None
    frame: Swap | None = None
    loop: Swap | None = None
    iteration: tuple[str, int, str] | None = None
    """For the loop iteration ledger: loop instance, iteration, frame."""
    step: tuple[str, str, StepRunStatus, JsonValue] | None = None
    """For the step ledger: step, member, status, output."""
    failure: tuple[str, str] | None = None
    """For the failure ledger: step, reason."""
    output: tuple[str, JsonValue, tuple[str, int] | None] | None = None
    """A step's output, of the root or of a loop's iteration."""
    events: tuple[MobEventKind, ...] = ()


@cache
def definition() -> MobDefinition:
    """The demo's mob."""
    return MobDefinition.from_toml(_DEFINITION)


def first_state() -> KernelState:
    """The flow state of a new run."""
    return MobRun.flow_state_for_config(FlowRunConfig.from_definition(DEMO_FLOW, definition()))


class Play:
    """The moves of one run.

    Attributes:
        moves: in order.
        places: how many moves were made, by the states that a run then has.
    """

    def __init__(self, run_id: UUID) -> None:
        self._run_id = RunId(run_id)
        self._status: MobRunStatus = "pending"
        self._flow = first_state()
        self._frames: dict[str, KernelState] = {}
        self._loops: dict[str, KernelState] = {}
        self.moves: list[Move] = []
        self.places: dict[States, int] = {self._states(): 0}
        self._whole()

    def _whole(self) -> None:
        root, loop = f"{self._run_id}-root", f"{self._run_id}-root::n-revise"
        spec = cast("FrameSpec", definition().flows[DEMO_FLOW].root)
        revise = cast("RepeatUntilSpec", spec.nodes[FlowNodeId("n-revise")])

        self._make(
            Move(what="The run begins", method="cas_run_snapshot"),
            status="running",
            flow=_changed(self._flow, phase="Running"),
        )
        self._make(
            Move(what="The root frame opens", method="cas_frame_state"),
            frame=(root, _frame(root, spec)),
        )
        self._step(root, "outline", "editor-1", {"sections": 3}, unlocks="n-revise")
        self._make(
            Move(what="The loop begins", method="cas_start_loop"),
            flow=self._counting(nodes=1),
            frame=(root, self._with_nodes(root, {"n-revise": "Running"})),
            loop=(loop, _loop(loop, root, revise)),
        )
        for iteration, (words, score) in enumerate(((420, 0.6), (580, 0.9))):
            self._iterate(loop, revise, iteration, {"words": words}, {"score": score})
        ended = _changed(self._loops[loop], phase="Completed")
        self._make(
            Move(what="The loop ends: the critic is content", method="cas_complete_loop"),
            flow=self._counting(nodes=-1),
            frame=(root, self._with_nodes(root, {"n-revise": "Completed", "n-signoff": "Ready"})),
            loop=(loop, ended),
        )
        self._step(root, "signoff", "editor-1", {"approved": True})
        self._make(
            Move(what="The root frame closes", method="cas_frame_state"),
            frame=(root, _changed(self._frames[root], phase="Completed")),
        )
        self._make(
            Move(
                what="The run ends",
                method="cas_run_snapshot",
                events=(FlowCompleted(run_id=self._run_id, flow_id=DEMO_FLOW),),
            ),
            status="completed",
            flow=_changed(self._flow, phase="Completed"),
        )

    def _iterate(
        self,
        loop: str,
        spec: RepeatUntilSpec,
        iteration: int,
        draft: JsonValue,
        critique: JsonValue,
    ) -> None:
        """One pass through the body of the loop."""
        body, of_loop = f"{loop}::iter-{iteration}", (str(spec.loop_id), iteration)
        self._make(
            Move(
                what=f"The loop asks for iteration {iteration}",
                method="cas_loop_request_body_frame",
            ),
            flow=_changed(self._flow, pending_body_frame_loops=(loop,)),
            loop=(
                loop,
                _changed(
                    self._loops[loop],
                    stage=_stage("AwaitingBodyFrame"),
                    current_iteration=iteration,
                ),
            ),
        )
        self._make(
            Move(
                what=f"The frame of iteration {iteration} opens",
                method="cas_grant_body_frame_start",
                iteration=(loop, iteration, body),
            ),
            flow=_changed(
                self._counting(frames=1), pending_body_frame_loops=(), last_granted_loop=loop
            ),
            frame=(body, _frame(body, spec.body, loop, iteration)),
            loop=(
                loop,
                _changed(
                    self._loops[loop], stage=_stage("BodyFrameActive"), active_body_frame_id=body
                ),
            ),
        )
        self._step(body, "draft", "writer-1", draft, of_loop, unlocks="n-critique")
        self._step(body, "critique", "critic-1", critique, of_loop, fails_first=iteration == 0)
        self._make(
            Move(
                what=f"The frame of iteration {iteration} closes",
                method="cas_complete_body_frame",
            ),
            flow=self._counting(frames=-1),
            frame=(body, _changed(self._frames[body], phase="Completed")),
            loop=(
                loop,
                _changed(
                    self._loops[loop],
                    stage=_stage("AwaitingUntil"),
                    active_body_frame_id=None,
                    last_completed_iteration=iteration,
                ),
            ),
        )

    def _step(
        self,
        frame: str,
        step: str,
        member: str,
        output: JsonValue,
        of_loop: tuple[str, int] | None = None,
        *,
        unlocks: str | None = None,
        fails_first: bool = False,
    ) -> None:
        """A member works on a step: begins it, perhaps fails and begins again, completes it."""
        node, run_id = f"n-{step}", self._run_id
        step_id, meerkat_id = StepId(step), MeerkatId(member)
        self._begin(frame, step, member)
        if fails_first:
            reason = "attempt 1 timed out"
            failed = StepTargetFailed(
                run_id=run_id, step_id=step_id, meerkat_id=meerkat_id, reason=reason
            )
            self._make(
                Move(
                    what=f"{member} fails at {step}: {reason}",
                    method="cas_grant_node_slot",
                    step=(step, member, "failed", None),
                    failure=(step, reason),
                    events=(failed,),
                ),
                flow=_changed(
                    self._counting(nodes=-1),
                    step_status={step: _run_status("Failed")},
                    failure_count=1,
                    target_retry_counts={f"{step}::{member}": 1},
                ),
                frame=(frame, self._with_nodes(frame, {node: "Ready"})),
            )
            self._begin(frame, step, member)
        nodes = {node: "Completed"} | ({unlocks: "Ready"} if unlocks else {})
        self._make(
            Move(
                what=f"{member} completes {step}",
                method="cas_complete_step_and_record_output",
                step=(step, member, "completed", output),
                output=(step, output, of_loop),
                events=(
                    StepTargetCompleted(run_id=run_id, step_id=step_id, meerkat_id=meerkat_id),
                    StepCompleted(run_id=run_id, step_id=step_id),
                ),
            ),
            flow=_changed(
                self._counting(nodes=-1),
                step_status={step: _run_status("Completed")},
                output_recorded={step: True},
            ),
            frame=(frame, self._with_nodes(frame, nodes)),
        )

    def _begin(self, frame: str, step: str, member: str) -> None:
        dispatched = StepDispatched(
            run_id=self._run_id, step_id=StepId(step), meerkat_id=MeerkatId(member)
        )
        self._make(
            Move(
                what=f"{member} begins {step}",
                method="cas_grant_node_slot",
                step=(step, member, "dispatched", None),
                events=(dispatched,),
            ),
            flow=_changed(
                self._counting(nodes=1),
                step_status={step: _run_status("Dispatched")},
                last_granted_frame=frame,
            ),
            frame=(frame, self._with_nodes(frame, {f"n-{step}": "Running"})),
        )

    def _make(
        self,
        move: Move,
        *,
        status: MobRunStatus | None = None,
        flow: KernelState | None = None,
        frame: tuple[str, KernelState] | None = None,
        loop: tuple[str, KernelState] | None = None,
    ) -> None:
        """Add a move that leads to these states from those reached before."""
        if status:
            move = replace(move, status=(self._status, status))
            self._status = status
        if flow:
            move = replace(move, flow=Swap("", self._flow, flow))
            self._flow = flow
        if frame:
            key, state = frame
            move = replace(move, frame=Swap(key, self._frames.get(key), state))
            self._frames[key] = state
        if loop:
            key, state = loop
            move = replace(move, loop=Swap(key, self._loops.get(key), state))
            self._loops[key] = state
        self.moves.append(move)
        self.places[self._states()] = len(self.moves)

    def _states(self) -> States:
        return (
            self._status,
            self._flow.to_json(),
            frozenset((key, state.to_json()) for key, state in self._frames.items()),
            frozenset((key, state.to_json()) for key, state in self._loops.items()),
        )

    def _counting(self, *, nodes: int = 0, frames: int = 0) -> KernelState:
        """The flow state with so many more active nodes and frames."""
        fields = self._flow.fields
        return _changed(
            self._flow,
            active_node_count=cast("int", fields["active_node_count"]) + nodes,
            active_frame_count=cast("int", fields["active_frame_count"]) + frames,
        )

    def _with_nodes(self, frame: str, changes: Mapping[str, str]) -> KernelState:
        """A frame's state with other node states."""
        statuses: dict[KernelValue, KernelValue] = {
            node: NamedVariant("NodeRunStatus", to) for node, to in changes.items()
        }
        return _changed(self._frames[frame], node_status=statuses)


def _changed(state: KernelState, *, phase: str = "", **changes: KernelValue) -> KernelState:
    """A state with other fields; of a map only the entries given change."""
    fields = dict(state.fields)
    for name, value in changes.items():
        before = fields[name]
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            fields[name] = {**before, **value}
        else:
            fields[name] = value
    return KernelState(phase or state.phase, fields)


def _frame(
    frame_id: str, spec: FrameSpec, loop_instance_id: str = "", iteration: int = 0
) -> KernelState:
    """The first state of a frame: the nodes that depend on nothing are ready."""
    names = tuple(spec.nodes)
    fields: dict[str, KernelValue] = {
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


def _loop(loop_instance_id: str, frame_id: str, spec: RepeatUntilSpec) -> KernelState:
    """The first state of a loop."""
    fields: dict[str, KernelValue] = {
        "loop_instance_id": loop_instance_id,
        "parent_frame_id": frame_id,
        "parent_node_id": loop_instance_id.removeprefix(f"{frame_id}::"),
        "loop_id": spec.loop_id,
        "depth": 1,
        "current_iteration": 0,
        "last_completed_iteration": 0,
        "max_iterations": spec.max_iterations,
        "stage": _stage("AwaitingBodyFrame"),
        "active_body_frame_id": None,
    }
    return KernelState("Running", fields)


def _stage(stage: str) -> NamedVariant:
    return NamedVariant("LoopIterationStage", stage)


def _run_status(status: str) -> NamedVariant:
    return NamedVariant("StepRunStatus", status)
