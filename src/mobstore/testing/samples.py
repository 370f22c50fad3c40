"""Small values for cases: moments, states, events, runs, specs, profiles. All are new objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from pydantic import JsonValue

from mobstore.model.definition import LimitsSpec, MobDefinition
from mobstore.model.event import MobCompleted, MobEventKind, NewMobEvent
from mobstore.model.flow import (
    CollectQuorum,
    ConditionGt,
    FlowSpec,
    FlowStepSpec,
    FrameSpec,
    FrameStepSpec,
    RepeatUntilSpec,
)
from mobstore.model.ids import (
    FlowId,
    FlowNodeId,
    FrameId,
    LoopId,
    LoopInstanceId,
    MeerkatId,
    MobId,
    ProfileName,
    RunId,
    StepId,
)
from mobstore.model.kernel import KernelState
from mobstore.model.profile import Profile, RealmProfileRef, ToolConfig
from mobstore.model.run import (
    FailureLedgerEntry,
    FrameSnapshot,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MobRun,
    StepLedgerEntry,
    StepRunStatus,
)
from mobstore.model.timestamp import Timestamp

_START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

BY_CODE_POINT = (
    "", "\0", "\0\0", "10", "2", "Z", "a", "a\0", "a\0b", "ab", "\x7f", "\u00e9", "\ud7ff",
    "\ue000", "\uff5e", "\uffff", "\U00010000", "\U0001f99d", "\U0010ffff",
)  # fmt: skip
"""Names in their order; by UTF-16 unit the last three would come before U+E000."""

HOSTILE_TEXTS = (
    *BY_CODE_POINT, " ", "a ", " a", "A", "e\u0301", "\u00df", "ss", "\ufeff", "\u202e", '"', "%",
    "_", "\\", "\n", "\r\n", "null", "1e3", "'; DROP TABLE events; --", "x" * 10_000,
)  # fmt: skip
"""Text that engines are known to confuse, cut, trim, fold or run."""


def timestamp(nanoseconds: int) -> Timestamp:
    """A moment, so many nanoseconds after a fixed one, or before it."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return Timestamp(f"{_START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z")


def event(
    mob: str = "mob", *, at: Timestamp | None = None, kind: MobEventKind | None = None
) -> NewMobEvent:
    """An event to append."""
    return NewMobEvent(mob_id=MobId(mob), kind=kind or MobCompleted(), timestamp=at)


def state(n: int) -> KernelState:
    """A kernel state that holds this number."""
    return KernelState("Running", {"n": n})


def number(of: KernelState) -> int:
    """The number that a kernel state holds."""
    return cast("int", of.fields["n"])


def frame(n: int) -> FrameSnapshot:
    """A frame in the state of this number."""
    return FrameSnapshot(kernel_state=state(n))


def loop(n: int) -> LoopSnapshot:
    """A loop in the state of this number."""
    return LoopSnapshot(kernel_state=state(n))


def run_id(n: int) -> RunId:
    """The id of the run of this number."""
    return RunId(UUID(int=n))


def step(
    step_id: str = "step",
    member: str = "ann",
    status: StepRunStatus = "dispatched",
    output: JsonValue = None,
    at: int = 0,
) -> StepLedgerEntry:
    """An entry of the step ledger."""
    return StepLedgerEntry(
        step_id=StepId(step_id),
        meerkat_id=MeerkatId(member),
        status=status,
        output=output,
        timestamp=timestamp(at),
    )


def failure(step_id: str = "step", reason: str = "why", at: int = 0) -> FailureLedgerEntry:
    """An entry of the failure ledger."""
    return FailureLedgerEntry(step_id=StepId(step_id), reason=reason, timestamp=timestamp(at))


def iteration(n: int, loop_id: str = "loop", frame_id: str = "frame") -> LoopIterationLedgerEntry:
    """An entry of the loop iteration ledger."""
    return LoopIterationLedgerEntry(
        loop_instance_id=LoopInstanceId(loop_id), iteration=n, frame_id=FrameId(frame_id)
    )


def make_run(n: int = 1, mob: str = "mob", flow: str = "flow", **parts: Any) -> MobRun:
    """A pending run in flow state 0 without anything in it but `parts`."""
    fields: dict[str, Any] = {
        "run_id": run_id(n),
        "mob_id": MobId(mob),
        "flow_id": FlowId(flow),
        "status": "pending",
        "flow_state": state(0),
        "activation_params": None,
        "created_at": timestamp(0),
        "step_ledger": (),
        "failure_ledger": (),
        "schema_version": 4,
    }
    return MobRun(**{**fields, **parts})


def full_run(n: int = 1, **parts: Any) -> MobRun:
    """A run with something in every field, also in frames and loops named "frame" and "loop"."""
    everything: dict[str, Any] = {
        "status": "failed",
        "activation_params": {"a": [1, 1.0, True, None, "\0"], "b": {}},
        "created_at": timestamp(1),
        "completed_at": timestamp(-1),
        # Neither times nor steps are in order, and one entry stands twice.
        "step_ledger": (step("s2", at=9), step("s1", "bob", "completed", [1], 3), step("s2", at=9)),
        "failure_ledger": (failure("s2", "late", 5), failure("s1", "", 4)),
        "frames": {"frame": frame(0), "": frame(7), "\U0001f99d": frame(8)},
        "loops": {"loop": loop(0), "": loop(9)},
        "loop_iteration_ledger": (iteration(2**64 - 1), iteration(0, "other", "")),
        "schema_version": 2**32 - 1,
        "root_step_outputs": {"z": 1, "a": None, "m": {"k": [True]}},
        "loop_iteration_outputs": {"loop": ({}, {"z": 1, "a": 1.5}, {}), "never": ()},
    }
    return make_run(n, **{**everything, **parts})


def definition(mob: str = "mob", model: str = "model") -> MobDefinition:
    """A definition with a flow whose steps are not in alphabetical order."""
    first = FlowStepSpec(
        role=ProfileName("lead"),
        message="go",
        collection_policy=CollectQuorum(n=2),
        condition=ConditionGt(path="params.n", value=1.0),
    )
    body = FrameSpec(
        nodes={
            FlowNodeId("n"): FrameStepSpec(
                step_id=StepId("a"), depends_on=(), depends_on_mode="any"
            )
        }
    )
    repeat = RepeatUntilSpec(
        loop_id=LoopId("loop"),
        depends_on=(),
        depends_on_mode="all",
        body=body,
        until=ConditionGt(path="x", value={"deep": [None, True, 1]}),
        max_iterations=2**32 - 1,
    )
    flow = FlowSpec(
        steps={
            StepId("z"): first,
            StepId("a"): FlowStepSpec(
                role=ProfileName("lead"), message="", depends_on=(StepId("z"),)
            ),
        },
        root=FrameSpec(nodes={FlowNodeId("loop"): repeat, FlowNodeId("after"): repeat}),
    )
    return MobDefinition(
        id=MobId(mob),
        profiles={
            ProfileName("lead"): profile(model),
            ProfileName("realm"): RealmProfileRef(realm_profile="shared"),
        },
        flows={FlowId("flow"): flow},
        limits=LimitsSpec(max_flow_duration_ms=2**64 - 1),
    )


def profile(model: str = "model") -> Profile:
    """A profile with free JSON in it."""
    return Profile(
        model=model,
        skills=("b", "a"),
        tools=ToolConfig(memory=True, mcp=("m",)),
        max_inline_peer_notifications=-(2**31),
        output_schema={"type": "object", "n": [1, 1.0, True]},
        provider_params={"t": 0.1},
    )
