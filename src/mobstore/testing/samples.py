"""Sample timestamps, states, events, runs, specs and profiles for tests.

Every function returns a new object. Samples of one kind differ by a small number or a name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from pydantic import JsonValue

from mobstore.model.definition import LimitsSpec, MobDefinition
from mobstore.model.event import MobCompleted, MobEvent, MobEventKind, NewMobEvent, PeersWired
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
from mobstore.model.other_event import OtherEvent
from mobstore.model.profile import Profile, RealmProfileRef, StoredRealmProfile, ToolConfig
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
"""Names in code point order. In order of UTF-16 units, the last two would come before U+E000."""

HOSTILE_TEXTS = (
    *BY_CODE_POINT, " ", "a ", " a", "A", "e\u0301", "\u00df", "ss", "\ufeff", "\u202e", '"', "%",
    "_", "\\", "\n", "\r\n", "null", "1e3", "'; DROP TABLE events; --", "x" * 10_000,
)  # fmt: skip
"""Text that engines are known to confuse, truncate, trim, fold or execute."""


def timestamp(nanoseconds: int) -> Timestamp:
    """Return the timestamp this many nanoseconds after a fixed one; a negative number is before."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return Timestamp(f"{_START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z")


def event(
    mob: str = "mob",
    *,
    at: Timestamp | None = None,
    kind: MobEventKind | OtherEvent | None = None,
) -> NewMobEvent:
    """Return an event to append."""
    return NewMobEvent(
        mob_id=MobId(mob),
        kind=kind or MobCompleted(),
        timestamp=at,
        allow_other=isinstance(kind, OtherEvent),
    )


def tagged_event(tag: str, padding: str = "") -> NewMobEvent:
    """Return an event that `tag_of` recognizes, as large as `padding` makes it."""
    return event(kind=PeersWired(a=MeerkatId(tag), b=MeerkatId(padding)))


def tag_of(kind: MobEventKind | OtherEvent) -> str:
    """Return the tag of a `tagged_event`."""
    return cast("PeersWired", kind).a


def stored_event(
    cursor: int = 1,
    mob: str = "mob",
    *,
    at: int = 0,
    kind: MobEventKind | OtherEvent | None = None,
) -> MobEvent:
    """Return an event of the log."""
    return MobEvent(
        cursor=cursor, timestamp=timestamp(at), mob_id=MobId(mob), kind=kind or MobCompleted()
    )


def state(n: int, padding: str = "") -> KernelState:
    """Return the kernel state with this number, as large as `padding` makes it."""
    return KernelState("Running", {"n": n, "padding": padding} if padding else {"n": n})


def number_of(kernel_state: KernelState) -> int:
    """Return the number of a `state`."""
    return cast("int", kernel_state.fields["n"])


def frame(n: int) -> FrameSnapshot:
    """Return a frame in the state with this number."""
    return FrameSnapshot(kernel_state=state(n))


def loop(n: int) -> LoopSnapshot:
    """Return a loop in the state with this number."""
    return LoopSnapshot(kernel_state=state(n))


def run_id(n: int) -> RunId:
    """Return the id of the run with this number."""
    return RunId(UUID(int=n))


def step(
    step_id: str = "step",
    member: str = "ann",
    status: StepRunStatus = "dispatched",
    output: JsonValue = None,
    at: int = 0,
) -> StepLedgerEntry:
    """Return an entry of the step ledger."""
    return StepLedgerEntry(
        step_id=StepId(step_id),
        meerkat_id=MeerkatId(member),
        status=status,
        output=output,
        timestamp=timestamp(at),
    )


def failure(step_id: str = "step", reason: str = "why", at: int = 0) -> FailureLedgerEntry:
    """Return an entry of the failure ledger."""
    return FailureLedgerEntry(step_id=StepId(step_id), reason=reason, timestamp=timestamp(at))


def iteration(n: int, loop_id: str = "loop", frame_id: str = "frame") -> LoopIterationLedgerEntry:
    """Return an entry of the loop iteration ledger."""
    return LoopIterationLedgerEntry(
        loop_instance_id=LoopInstanceId(loop_id), iteration=n, frame_id=FrameId(frame_id)
    )


def make_run(n: int = 1, mob: str = "mob", flow: str = "flow", **parts: Any) -> MobRun:
    """Return a pending run in flow state 0 that is empty except for `parts`."""
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
    """Return a run with content in every field; one frame is named "frame", one loop "loop"."""
    everything: dict[str, Any] = {
        "status": "failed",
        "activation_params": {"a": [1, 1.0, True, None, "\0"], "b": {}},
        "created_at": timestamp(1),
        "completed_at": timestamp(-1),
        # Neither times nor steps are in order, and one entry occurs twice.
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
    """Return a definition with a flow. Its steps are not in alphabetical order."""
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
    """Return a profile that holds free JSON."""
    return Profile(
        model=model,
        skills=("b", "a"),
        tools=ToolConfig(memory=True, mcp=("m",)),
        max_inline_peer_notifications=-(2**31),
        output_schema={"type": "object", "n": [1, 1.0, True]},
        provider_params={"t": 0.1},
    )


def stored_profile(
    name: str = "profile", model: str = "model", revision: int = 1
) -> StoredRealmProfile:
    """Return a realm profile created at timestamp 0 and updated at timestamp 1."""
    return StoredRealmProfile(
        name=name,
        profile=profile(model),
        revision=revision,
        created_at=timestamp(0),
        updated_at=timestamp(1),
    )
