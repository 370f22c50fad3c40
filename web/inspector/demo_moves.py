"""All moves of a demo run in order, each with the states that it changes.

The states are those of the reference's machines. The states of a stored run tell which move comes
next: the move that leads on from exactly these states. Nothing else has to be stored, so a reload
continues the run. If two tabs make the same move, one of them finds the states changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias, cast
from uuid import UUID

from pydantic import JsonValue

from inspector.demo_definition import DEMO_FLOW, definition, first_state
from inspector.demo_states import changed, loop_stage, new_frame, new_loop, step_run_status
from mobstore import (
    FlowCompleted,
    FlowNodeId,
    FrameSpec,
    KernelInput,
    KernelState,
    MeerkatId,
    MobEventKind,
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

States: TypeAlias = tuple[str, str, frozenset[tuple[str, str]], frozenset[tuple[str, str]]]
"""The status of a run, and its flow state, frames and loops as stored text, by id."""


class Swap(NamedTuple):
    """A compare-and-swap of one state.

    `key` is the id of the frame or loop, "" for the flow. `expected` is None for a new one.
    """

    key: str
    expected: KernelState | None
    next: KernelState


@dataclass(frozen=True, kw_only=True)
class Move:
    """One commit: the states it compares and swaps, and the records it adds."""

    summary: str
    method: str
    """The method of the run store that swaps the states, or ends the run."""
    status: tuple[MobRunStatus, MobRunStatus] | None = None
    """Expected and next."""
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


class MoveSequence:
    """All moves of one run.

    Attributes:
        moves: in order.
        counts: the number of moves made, by the states that a run then has.
    """

    def __init__(self, run_id: UUID) -> None:
        self._run_id = RunId(run_id)
        self._status: MobRunStatus = "pending"
        self._flow = first_state()
        self._frames: dict[str, KernelState] = {}
        self._loops: dict[str, KernelState] = {}
        self.moves: list[Move] = []
        self.counts: dict[States, int] = {self._states(): 0}
        self._add_run()

    def _add_run(self) -> None:
        root, loop = f"{self._run_id}-root", f"{self._run_id}-root::n-revise"
        spec = cast("FrameSpec", definition().flows[DEMO_FLOW].root)
        revise = cast("RepeatUntilSpec", spec.nodes[FlowNodeId("n-revise")])

        self._add(
            Move(summary="The run starts", method="cas_run_snapshot"),
            status="running",
            flow=changed(self._flow, phase="Running"),
        )
        self._add(
            Move(summary="The root frame opens", method="cas_frame_state"),
            frame=(root, new_frame(root, spec)),
        )
        self._add_step(root, "outline", "editor-1", {"sections": 3}, unlocks="n-revise")
        self._add(
            Move(summary="The loop starts", method="cas_start_loop"),
            flow=self._with_active(nodes=1),
            frame=(root, self._with_nodes(root, {"n-revise": "Running"})),
            loop=(loop, new_loop(loop, root, revise)),
        )
        for iteration, (words, score) in enumerate(((420, 0.6), (580, 0.9))):
            self._add_iteration(loop, revise, iteration, {"words": words}, {"score": score})
        ended = changed(self._loops[loop], phase="Completed")
        self._add(
            Move(summary="The loop ends: the score is above 0.8", method="cas_complete_loop"),
            flow=self._with_active(nodes=-1),
            frame=(root, self._with_nodes(root, {"n-revise": "Completed", "n-signoff": "Ready"})),
            loop=(loop, ended),
        )
        self._add_step(root, "signoff", "editor-1", {"approved": True})
        self._add(
            Move(summary="The root frame closes", method="cas_frame_state"),
            frame=(root, changed(self._frames[root], phase="Completed")),
        )
        self._add(
            Move(
                summary="The run completes",
                method="finish_run",
                events=(FlowCompleted(run_id=self._run_id, flow_id=DEMO_FLOW),),
            ),
            status="completed",
            flow=changed(self._flow, phase="Completed"),
        )

    def _add_iteration(
        self,
        loop: str,
        spec: RepeatUntilSpec,
        iteration: int,
        draft: JsonValue,
        critique: JsonValue,
    ) -> None:
        """Add the moves of one iteration of the loop."""
        body, of_loop = f"{loop}::iter-{iteration}", (str(spec.loop_id), iteration)
        self._add(
            Move(
                summary=f"The loop requests iteration {iteration}",
                method="cas_loop_request_body_frame",
            ),
            flow=changed(self._flow, pending_body_frame_loops=(loop,)),
            loop=(
                loop,
                changed(
                    self._loops[loop],
                    stage=loop_stage("AwaitingBodyFrame"),
                    current_iteration=iteration,
                ),
            ),
        )
        self._add(
            Move(
                summary=f"The frame of iteration {iteration} opens",
                method="cas_grant_body_frame_start",
                iteration=(loop, iteration, body),
            ),
            flow=changed(
                self._with_active(frames=1), pending_body_frame_loops=(), last_granted_loop=loop
            ),
            frame=(body, new_frame(body, spec.body, loop, iteration)),
            loop=(
                loop,
                changed(
                    self._loops[loop],
                    stage=loop_stage("BodyFrameActive"),
                    active_body_frame_id=body,
                ),
            ),
        )
        self._add_step(body, "draft", "writer-1", draft, of_loop, unlocks="n-critique")
        self._add_step(body, "critique", "critic-1", critique, of_loop, fails_first=iteration == 0)
        self._add(
            Move(
                summary=f"The frame of iteration {iteration} closes",
                method="cas_complete_body_frame",
            ),
            flow=self._with_active(frames=-1),
            frame=(body, changed(self._frames[body], phase="Completed")),
            loop=(
                loop,
                changed(
                    self._loops[loop],
                    stage=loop_stage("AwaitingUntil"),
                    active_body_frame_id=None,
                    last_completed_iteration=iteration,
                ),
            ),
        )

    def _add_step(
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
        """Add the moves of one step: dispatch, perhaps a failure and a retry, completion."""
        node, run_id = f"n-{step}", self._run_id
        step_id, meerkat_id = StepId(step), MeerkatId(member)
        self._add_dispatch(frame, step, member)
        if fails_first:
            reason = "attempt 1 timed out"
            failed = StepTargetFailed(
                run_id=run_id, step_id=step_id, meerkat_id=meerkat_id, reason=reason
            )
            self._add(
                Move(
                    summary=f"{member} fails at {step}: {reason}",
                    method="cas_grant_node_slot",
                    step=(step, member, "failed", None),
                    failure=(step, reason),
                    events=(failed,),
                ),
                flow=changed(
                    self._with_active(nodes=-1),
                    step_status={step: step_run_status("Failed")},
                    failure_count=1,
                    target_retry_counts={f"{step}::{member}": 1},
                ),
                frame=(frame, self._with_nodes(frame, {node: "Ready"})),
            )
            self._add_dispatch(frame, step, member)
        nodes = {node: "Completed"} | ({unlocks: "Ready"} if unlocks else {})
        self._add(
            Move(
                summary=f"{member} completes {step}",
                method="cas_complete_step_and_record_output",
                step=(step, member, "completed", output),
                output=(step, output, of_loop),
                events=(
                    StepTargetCompleted(run_id=run_id, step_id=step_id, meerkat_id=meerkat_id),
                    StepCompleted(run_id=run_id, step_id=step_id),
                ),
            ),
            flow=changed(
                self._with_active(nodes=-1),
                step_status={step: step_run_status("Completed")},
                output_recorded={step: True},
            ),
            frame=(frame, self._with_nodes(frame, nodes)),
        )

    def _add_dispatch(self, frame: str, step: str, member: str) -> None:
        dispatched = StepDispatched(
            run_id=self._run_id, step_id=StepId(step), meerkat_id=MeerkatId(member)
        )
        self._add(
            Move(
                summary=f"{member} starts {step}",
                method="cas_grant_node_slot",
                step=(step, member, "dispatched", None),
                events=(dispatched,),
            ),
            flow=changed(
                self._with_active(nodes=1),
                step_status={step: step_run_status("Dispatched")},
                last_granted_frame=frame,
            ),
            frame=(frame, self._with_nodes(frame, {f"n-{step}": "Running"})),
        )

    def _add(
        self,
        move: Move,
        *,
        status: MobRunStatus | None = None,
        flow: KernelState | None = None,
        frame: tuple[str, KernelState] | None = None,
        loop: tuple[str, KernelState] | None = None,
    ) -> None:
        """Add a move from the states reached so far to these."""
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
        self.counts[self._states()] = len(self.moves)

    def _states(self) -> States:
        return (
            self._status,
            self._flow.to_json(),
            frozenset((key, state.to_json()) for key, state in self._frames.items()),
            frozenset((key, state.to_json()) for key, state in self._loops.items()),
        )

    def _with_active(self, *, nodes: int = 0, frames: int = 0) -> KernelState:
        """Return the flow state with so many more active nodes and frames."""
        fields = self._flow.fields
        return changed(
            self._flow,
            active_node_count=cast("int", fields["active_node_count"]) + nodes,
            active_frame_count=cast("int", fields["active_frame_count"]) + frames,
        )

    def _with_nodes(self, frame: str, changes: Mapping[str, str]) -> KernelState:
        """Return the state of a frame with these node states changed."""
        statuses: dict[str, KernelInput] = {
            node: NamedVariant("NodeRunStatus", to) for node, to in changes.items()
        }
        return changed(self._frames[frame], node_status=statuses)
