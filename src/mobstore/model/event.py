"""Events of a mob: the kinds, each written with its tag first."""

from contextlib import suppress
from typing import Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from mobstore.errors import SerializationError, UsageError
from mobstore.model.checks import require
from mobstore.model.definition import MobDefinition
from mobstore.model.display import Displayed
from mobstore.model.ids import (
    FlowId,
    MeerkatId,
    MobId,
    OpaquePrincipalToken,
    ProfileName,
    RunId,
    StepId,
    TaskId,
)
from mobstore.model.json import I64_MAX
from mobstore.model.other_event import OtherEvent
from mobstore.model.profile import MobRuntimeMode
from mobstore.model.record import (
    EXACTLY,
    NO_VALUE,
    U64,
    Array,
    FreeJson,
    OptionalSessionUuid,
    Record,
    RunUuid,
    SessionUuid,
    SortedMap,
    build,
    decode,
    no_value,
    validate,
)
from mobstore.model.tagged_union import TaggedUnion
from mobstore.model.text import brief
from mobstore.model.timestamp import Timestamp

TaskStatus: TypeAlias = Literal["open", "in_progress", "completed", "cancelled"]
MobMemberKickoffPhase: TypeAlias = Literal[
    "pending", "starting", "callback_pending", "started", "failed", "cancelled"
]


# Parts of events -------------------------------------------------------------------------------


class SessionMember(Record):
    """A member in a session."""

    kind: Literal["session"] = "session"
    session_id: SessionUuid


class BackendPeerMember(Record):
    """A member behind an address, perhaps with a session too."""

    kind: Literal["backend_peer"] = "backend_peer"
    peer_id: str
    address: str
    session_id: OptionalSessionUuid = Field(default=NO_VALUE, exclude_if=no_value)


_MEMBERS: dict[str, type[Record]] = {
    "session": SessionMember,
    "backend_peer": BackendPeerMember,
}


_MEMBER_KEYS = SessionMember.model_fields.keys() | BackendPeerMember.model_fields.keys()


def _read_member(value: object, info: ValidationInfo) -> object:
    """Try the reference's three forms: tagged, then by session id, then a bare UUID."""
    if isinstance(value, str):
        return SessionMember.model_validate({"session_id": value})
    if isinstance(value, dict):
        member = cast("dict[str, Any]", value)
        if info.context is EXACTLY and not member.keys() <= _MEMBER_KEYS:
            raise PydanticKnownError("extra_forbidden")
        kind = member.get("kind")
        if type(kind) is str and kind in _MEMBERS:
            try:
                return _MEMBERS[kind].model_validate(member)
            except ValueError:
                pass  # the second form decides
        return SessionMember.model_validate({"session_id": member.get("session_id")})
    return value


MemberRef: TypeAlias = Annotated[SessionMember | BackendPeerMember, BeforeValidator(_read_member)]


class TrustedPeerSpec(Record):
    """The address of a peer outside the mob. Stored names may be ones that `checked` rejects."""

    name: str
    peer_id: str
    address: str

    @classmethod
    def checked(cls, name: str, peer_id: str, address: str) -> Self:
        """Return a peer with a usable name.

        Raises:
            UsageError: the name is blank or contains control characters; or an argument is not
                text.
        """
        require(name, "name", str)
        if not name.strip():
            raise UsageError("peer name cannot be empty")
        if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
            raise UsageError("peer name cannot contain control characters")
        return build(cls, name=name, peer_id=peer_id, address=address)


class MobToolCallerProvenance(Record):
    """The caller of a tool of the mob, as far as known."""

    caller_session_id: OptionalSessionUuid = Field(default=NO_VALUE, exclude_if=no_value)
    caller_mob_id: str | None = Field(default=None, exclude_if=no_value)
    caller_member_id: str | None = Field(default=None, exclude_if=no_value)


class SystemTime(Record, extra="forbid"):
    """Seconds and nanoseconds since 1970-01-01T00:00:00Z; never before it."""

    secs_since_epoch: U64
    nanos_since_epoch: Annotated[int, Field(ge=0, le=2**32 - 1)]

    @model_validator(mode="after")
    def _carry(self) -> Self:
        carried, nanos = divmod(self.nanos_since_epoch, 10**9)
        secs = self.secs_since_epoch + carried
        if secs > I64_MAX:
            raise ValueError("a system time is at most 2**63-1 seconds after 1970")
        object.__setattr__(self, "secs_since_epoch", secs)  # frozen, but not finished yet
        object.__setattr__(self, "nanos_since_epoch", nanos)
        return self


class MobMemberKickoffSnapshot(Record):
    """The progress of a member's first turn."""

    phase: MobMemberKickoffPhase
    error: str | None = Field(default=None, exclude_if=no_value)
    updated_at: SystemTime


# The kinds -------------------------------------------------------------------------------------


class MobCreated(Record):
    """The first event of a mob: its definition as it was then.

    Later changes of the spec are in the spec store and are no events.
    """

    type: Literal["mob_created"] = "mob_created"
    definition: MobDefinition


class MobCompleted(Record):
    """The completion of the mob as a whole, not of one of its runs."""

    type: Literal["mob_completed"] = "mob_completed"


class MobReset(Record):
    """A reset of the mob; its earlier events stay in the log."""

    type: Literal["mob_reset"] = "mob_reset"


class MeerkatSpawned(Record):
    """A new member: its role, its mode, and the session or peer behind it.

    A roster is the members spawned and not retired since.
    """

    type: Literal["meerkat_spawned"] = "meerkat_spawned"
    meerkat_id: MeerkatId
    role: ProfileName
    runtime_mode: MobRuntimeMode = "autonomous_host"
    member_ref: MemberRef
    labels: SortedMap[str, str] = Field(
        default_factory=dict[str, str], exclude_if=lambda labels: not labels
    )


class MeerkatRetired(Record):
    """The departure of a member; it is no longer in the roster."""

    type: Literal["meerkat_retired"] = "meerkat_retired"
    meerkat_id: MeerkatId
    role: ProfileName
    member_ref: MemberRef


class MeerkatKickoffUpdated(Record):
    """A new phase of a member's first turn, or the error that ended it."""

    type: Literal["meerkat_kickoff_updated"] = "meerkat_kickoff_updated"
    meerkat_id: MeerkatId
    kickoff: MobMemberKickoffSnapshot


class PeersWired(Record):
    """A connection between two members of the mob: each is a peer of the other."""

    type: Literal["peers_wired"] = "peers_wired"
    a: MeerkatId
    b: MeerkatId


class ExternalPeerWired(Record):
    """A connection of a member to a peer outside the mob, with its address."""

    type: Literal["external_peer_wired"] = "external_peer_wired"
    local: MeerkatId
    spec: TrustedPeerSpec


class ExternalPeerUnwired(Record):
    """The end of a member's connection to a peer outside the mob, which is named."""

    type: Literal["external_peer_unwired"] = "external_peer_unwired"
    local: MeerkatId
    peer_name: str


class PeersUnwired(Record):
    """The end of a connection between two members."""

    type: Literal["peers_unwired"] = "peers_unwired"
    a: MeerkatId
    b: MeerkatId


class TaskCreated(Record):
    """A new task on the mob's board, and the tasks that block it.

    Each later change of its status or owner is a `TaskUpdated`.
    """

    type: Literal["task_created"] = "task_created"
    task_id: TaskId
    subject: str
    description: str
    blocked_by: Array[TaskId]


class TaskUpdated(Record):
    """A new status of a task and its owner, or None."""

    type: Literal["task_updated"] = "task_updated"
    task_id: TaskId
    status: TaskStatus
    owner: MeerkatId | None = None


class FlowStarted(Record):
    """The start of a run of a flow, with its parameters.

    The first event with this run id. The parameters are the run's `activation_params`.
    """

    type: Literal["flow_started"] = "flow_started"
    run_id: RunUuid
    flow_id: FlowId
    params: FreeJson


class FlowCompleted(Record):
    """The end of a run that completed.

    A run ends with one of `FlowCompleted`, `FlowFailed` and `FlowCanceled`, when its status
    becomes terminal.
    """

    type: Literal["flow_completed"] = "flow_completed"
    run_id: RunUuid
    flow_id: FlowId


class FlowFailed(Record):
    """The end of a run that failed, and why."""

    type: Literal["flow_failed"] = "flow_failed"
    run_id: RunUuid
    flow_id: FlowId
    reason: str


class FlowCanceled(Record):
    """The end of a run that was canceled."""

    type: Literal["flow_canceled"] = "flow_canceled"
    run_id: RunUuid
    flow_id: FlowId


class StepDispatched(Record):
    """The sending of a step's message to a member: one event for each member."""

    type: Literal["step_dispatched"] = "step_dispatched"
    run_id: RunUuid
    step_id: StepId
    meerkat_id: MeerkatId


class StepTargetCompleted(Record):
    """The success of one member in a step; the step itself may need more of them."""

    type: Literal["step_target_completed"] = "step_target_completed"
    run_id: RunUuid
    step_id: StepId
    meerkat_id: MeerkatId


class StepTargetFailed(Record):
    """The failure of one member in a step; the step itself may still complete."""

    type: Literal["step_target_failed"] = "step_target_failed"
    run_id: RunUuid
    step_id: StepId
    meerkat_id: MeerkatId
    reason: str


class StepCompleted(Record):
    """The completion of a step: the members' results satisfy its collection policy."""

    type: Literal["step_completed"] = "step_completed"
    run_id: RunUuid
    step_id: StepId


class StepFailed(Record):
    """The failure of a step as a whole, and why."""

    type: Literal["step_failed"] = "step_failed"
    run_id: RunUuid
    step_id: StepId
    reason: str


class StepSkipped(Record):
    """A step that does not run, and why, such as a condition that does not hold."""

    type: Literal["step_skipped"] = "step_skipped"
    run_id: RunUuid
    step_id: StepId
    reason: str


class TopologyViolation(Record):
    """A message between two roles that the definition's topology does not allow."""

    type: Literal["topology_violation"] = "topology_violation"
    from_role: ProfileName
    to_role: ProfileName


class SupervisorEscalation(Record):
    """The referral of a step to a member of the supervisor's role, after too many failures."""

    type: Literal["supervisor_escalation"] = "supervisor_escalation"
    run_id: RunUuid
    step_id: StepId
    escalated_to: MeerkatId


class OperatorActionRecorded(Record):
    """An entry of the audit trail: the use of a tool of the mob, and by whom."""

    type: Literal["operator_action_recorded"] = "operator_action_recorded"
    tool_name: str
    principal_token: OpaquePrincipalToken
    caller_provenance: MobToolCallerProvenance | None = Field(default=None, exclude_if=no_value)
    audit_invocation_id: str | None = Field(default=None, exclude_if=no_value)


MobEventKind: TypeAlias = Annotated[
    MobCreated
    | MobCompleted
    | MobReset
    | MeerkatSpawned
    | MeerkatRetired
    | MeerkatKickoffUpdated
    | PeersWired
    | ExternalPeerWired
    | ExternalPeerUnwired
    | PeersUnwired
    | TaskCreated
    | TaskUpdated
    | FlowStarted
    | FlowCompleted
    | FlowFailed
    | FlowCanceled
    | StepDispatched
    | StepTargetCompleted
    | StepTargetFailed
    | StepCompleted
    | StepFailed
    | StepSkipped
    | TopologyViolation
    | SupervisorEscalation
    | OperatorActionRecorded,
    Field(discriminator="type"),
]

EVENT_KINDS: TaggedUnion[MobEventKind] = TaggedUnion(MobEventKind, OtherEvent)
"""The kinds of events, with schemas that are built on demand."""


def run_of(kind: MobEventKind | OtherEvent) -> RunId | None:
    """Return the run of an event, None if it has none."""
    run_id = kind.__dict__.get("run_id")  # faster than `getattr` on a pydantic model
    if run_id is None and type(kind) is OtherEvent:
        with suppress(SerializationError):
            return validate(_Run, {"run_id": kind.fields.get("run_id")}).run_id
    return run_id


class _Run(Record):
    """The part of an event of another kind that says of which run it is."""

    run_id: RunUuid


class NewMobEvent(Record):
    """An event to append. The store assigns its cursor, and its time unless it has one.

    `allow_other` lets `kind` be an `OtherEvent`; without it, only kinds that this version knows are
    taken, because readers of other versions may not know what to do with others.
    """

    mob_id: MobId
    kind: Annotated[MobEventKind | OtherEvent, EVENT_KINDS]
    timestamp: Timestamp | None = None
    allow_other: bool = Field(default=False, exclude_if=lambda _: True)

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if type(self.kind) is OtherEvent and self.allow_other is not True:
            raise PydanticCustomError(
                "other_event", "an OtherEvent is taken only with allow_other=True"
            )
        return self


class MobEvent(Displayed, Record):
    """An event of the log.

    `cursor` is its position in the log. Cursors grow with every append and are never reused.
    `kind` is an `OtherEvent` if this version does not know the kind, or some of its keys.
    """

    cursor: U64
    timestamp: Timestamp
    mob_id: MobId
    kind: Annotated[MobEventKind | OtherEvent, EVENT_KINDS]

    @property
    def run_id(self) -> RunId | None:
        """The run of the event, None if it has none; no part of its JSON."""
        return run_of(self.kind)

    def __repr__(self) -> str:
        what = f"{self.kind.type} {self.timestamp}"
        return f"<MobEvent {self.cursor} {brief(self.mob_id)} {what}>"

    __str__ = __repr__


def event_kind_from_json(document: str | bytes) -> MobEventKind:
    """Read the JSON of an event's kind, as the reference does: unknown keys are dropped.

    `OtherEvent.from_json` reads the JSON of a kind that this version does not know.

    Raises:
        SerializationError: the document is none of the kinds.
        UsageError: the document is neither text nor bytes.
    """
    return decode(cast("type[MobEventKind]", MobEventKind), document)
