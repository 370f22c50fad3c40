"""Sample events of every kind, with every optional part at least once."""

from __future__ import annotations

from uuid import UUID

from mobstore.model import event as kinds
from mobstore.model.event import MobEventKind, SystemTime
from mobstore.model.ids import (
    FlowId,
    MeerkatId,
    OpaquePrincipalToken,
    ProfileName,
    SessionId,
    StepId,
    TaskId,
)
from mobstore.model.json import JsonInput
from mobstore.model.other_event import OtherEvent
from mobstore.testing.samples import definition, run_id

_SESSION = SessionId(UUID(int=2**128 - 1))


def every_kind() -> tuple[MobEventKind, ...]:
    """Return at least one event of each kind."""
    run, flow, step, ann, bob = run_id(1), FlowId("f"), StepId("s"), MeerkatId("ann"), MeerkatId("")
    lead, helper = ProfileName("lead"), ProfileName("\0")
    session = kinds.SessionMember(session_id=_SESSION)
    far = kinds.BackendPeerMember(peer_id="p", address="a:1", session_id=_SESSION)
    time = SystemTime(secs_since_epoch=2**63 - 1, nanos_since_epoch=999_999_999)
    failed = kinds.MobMemberKickoffSnapshot(phase="failed", error="\U0001f99d", updated_at=time)
    known = kinds.MobToolCallerProvenance(caller_session_id=_SESSION, caller_mob_id="m")
    peer = kinds.TrustedPeerSpec(name="", peer_id="p", address="a")
    return (
        kinds.MobCreated(definition=definition()),
        kinds.MobCompleted(),
        kinds.MobReset(),
        kinds.MeerkatSpawned(
            meerkat_id=ann,
            role=lead,
            runtime_mode="turn_driven",
            member_ref=session,
            labels={"b": "", "a": "1"},
        ),
        kinds.MeerkatRetired(meerkat_id=ann, role=helper, member_ref=far),
        kinds.MeerkatKickoffUpdated(meerkat_id=bob, kickoff=failed),
        kinds.PeersWired(a=ann, b=bob),
        kinds.ExternalPeerWired(local=ann, spec=peer),
        kinds.ExternalPeerUnwired(local=ann, peer_name="p"),
        kinds.PeersUnwired(a=bob, b=ann),
        kinds.TaskCreated(
            task_id=TaskId("t"), subject="s", description="", blocked_by=(TaskId("u"), TaskId("t"))
        ),
        kinds.TaskUpdated(task_id=TaskId("t"), status="in_progress", owner=None),
        kinds.TaskUpdated(task_id=TaskId("t"), status="cancelled", owner=ann),
        kinds.FlowStarted(run_id=run, flow_id=flow, params={"n": [1, 1.0, True, None, "1"]}),
        kinds.FlowCompleted(run_id=run, flow_id=flow),
        kinds.FlowFailed(run_id=run, flow_id=flow, reason="\r\n"),
        kinds.FlowCanceled(run_id=run, flow_id=flow),
        kinds.StepDispatched(run_id=run, step_id=step, meerkat_id=ann),
        kinds.StepTargetCompleted(run_id=run, step_id=step, meerkat_id=ann),
        kinds.StepTargetFailed(run_id=run, step_id=step, meerkat_id=ann, reason=""),
        kinds.StepCompleted(run_id=run, step_id=step),
        kinds.StepFailed(run_id=run, step_id=step, reason="r"),
        kinds.StepSkipped(run_id=run, step_id=step, reason="r"),
        kinds.TopologyViolation(from_role=lead, to_role=helper),
        kinds.SupervisorEscalation(run_id=run, step_id=step, escalated_to=ann),
        kinds.OperatorActionRecorded(tool_name="t", principal_token=OpaquePrincipalToken("p")),
        kinds.OperatorActionRecorded(
            tool_name="t",
            principal_token=OpaquePrincipalToken(""),
            caller_provenance=known,
            audit_invocation_id="i",
        ),
    )


def other_kinds() -> tuple[OtherEvent, ...]:
    """Return events of kinds, or with keys, that this version does not know."""
    run = str(run_id(1))
    within: dict[str, JsonInput] = {
        "": None, "__proto__": {"constructor": 1}, "\0\x7f\u2028\ufffd\U0001f99d": "\r\n\"\\/",
        "z": [1, 1.0, True, 2**64 - 1, -(2**63), -0.0, 1e16, 1e-7, 5e-324, []], "a": {},
    }  # fmt: skip
    deep: JsonInput = {"b": 1, "a": 2}
    for _ in range(123):
        deep = [deep]
    return (
        OtherEvent(type="mob_stopped", fields={}),
        OtherEvent(type="remote_turn_bound", fields={"run_id": run, **within}),
        OtherEvent(type="", fields={"fields": {"type": "x"}, "cursor": 7, "kind": "k"}),
        OtherEvent(type='MOB_reset\n"', fields={"type_": 1, "deep": deep}),
        OtherEvent(type="mob_reset", fields={"by": None}),
        OtherEvent(
            type="flow_failed", fields={"reason": "r", "run_id": run, "flow_id": "f", "cause": {}}
        ),
        OtherEvent(type="step_dispatched", fields={"run_id": run, "target": {"identity": "ann"}}),
        OtherEvent(
            type="meerkat_retired",
            fields={
                "meerkat_id": "ann",
                "role": "lead",
                "member_ref": {"kind": "session", "session_id": str(_SESSION), "bridge": 1},
            },
        ),
        OtherEvent(type="mob_created", fields={"definition": {"id": "m", "models": {"z": 1}}}),
    )
