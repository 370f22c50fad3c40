"""The definition of a mob: profiles, wiring, flows and limits, without cross-checks."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field

from mobstore.errors import NotFoundError, UsageError
from mobstore.model.checks import require, require_function
from mobstore.model.display import Displayed
from mobstore.model.flow import FlowSpec
from mobstore.model.ids import FlowId, MobId, ProfileName
from mobstore.model.profile import (
    MobBackendKind,
    Profile,
    ProfileBinding,
    StoredRealmProfile,
    ToolConfig,
)
from mobstore.model.record import (
    NO_ITEMS,
    NO_VALUE,
    U32,
    U64,
    Array,
    OptionalArray,
    Record,
    SortedMap,
    build,
    no_value,
    validate,
)
from mobstore.model.text import brief, count
from mobstore.model.toml import definition_fields

PolicyMode: TypeAlias = Literal["advisory", "strict"]
SessionCleanupPolicy: TypeAlias = Literal["manual", "destroy_on_owner_archive"]


# The mob around the flows ----------------------------------------------------------------------


class OrchestratorConfig(Record):
    """The profile whose member leads the mob."""

    profile: ProfileName


class McpServerConfig(Record):
    """A tool server: a command to start, with its environment, or a URL to connect to.

    Profiles refer to it by its name in `ToolConfig.mcp`.
    """

    command: Array[str] = NO_ITEMS
    url: str | None = None
    env: SortedMap[str, str] = Field(default_factory=dict[str, str])


class RoleWiringRule(Record):
    """Two roles whose members are connected to each other."""

    a: ProfileName
    b: ProfileName


class WiringRules(Record):
    """The connections that a runtime makes when it spawns members.

    Each one that it makes is a `PeersWired` event.
    """

    auto_wire_orchestrator: bool = False
    role_wiring: Array[RoleWiringRule] = NO_ITEMS


class InlineSkill(Record):
    """A skill whose text is in the definition; profiles refer to it by name."""

    source: Literal["inline"] = "inline"
    content: str


class PathSkill(Record):
    """A skill in a file, which the runtime reads."""

    source: Literal["path"] = "path"
    path: str


SkillSource: TypeAlias = Annotated[InlineSkill | PathSkill, Field(discriminator="source")]


class ExternalBackendConfig(Record):
    """The base of the addresses of members behind the `external` backend."""

    address_base: str


class BackendConfig(Record):
    """The backend of members whose profile names none."""

    default: MobBackendKind = "session"
    external: ExternalBackendConfig | None = None


class TopologyRule(Record):
    """A permission or prohibition of messages from one role to another."""

    from_role: ProfileName
    to_role: ProfileName
    allowed: bool


class TopologySpec(Record):
    """The rules for messages between roles.

    `strict` rules are enforced, `advisory` ones only reported.
    Requires an orchestrator.
    """

    mode: PolicyMode
    rules: Array[TopologyRule]


class SupervisorSpec(Record):
    """The role that takes over when failures in a run reach the threshold.

    The threshold is a field of the flow state, beside the count of consecutive failures.
    """

    role: ProfileName
    escalation_threshold: U32


class LimitsSpec(Record):
    """The limits of runs; None means that the definition sets none.

    Times are in milliseconds. Retries, active nodes, active frames and frame depth are copied
    into the flow state of a new run, where None is 0.
    """

    max_flow_duration_ms: U64 | None = None
    max_step_retries: U32 | None = None
    max_orphaned_turns: U32 | None = None
    cancel_grace_timeout_ms: U64 | None = None
    max_active_nodes: U64 | None = None
    max_active_frames: U64 | None = None
    max_frame_depth: U64 | None = None


class SpawnNone(Record):
    """The policy to spawn no members on demand."""

    mode: Literal["none"] = "none"


class SpawnAuto(Record):
    """The policy to spawn members on demand, by a map from names to profiles."""

    mode: Literal["auto"] = "auto"
    profile_map: SortedMap[str, ProfileName]


SpawnPolicyConfig: TypeAlias = Annotated[SpawnNone | SpawnAuto, Field(discriminator="mode")]


class EventRouterConfig(Record):
    """The router of the members' events: the size of its buffer, and patterns of events."""

    buffer_size: U64 = 256
    include_patterns: OptionalArray[str] = Field(default=NO_VALUE, exclude_if=no_value)
    exclude_patterns: OptionalArray[str] = Field(default=NO_VALUE, exclude_if=no_value)


ProfileLookup: TypeAlias = Callable[[str], Awaitable[StoredRealmProfile | None]]
"""Finds a realm profile by its name, as `stores.realm_profiles.get` does."""


class MobDefinition(Displayed, Record):
    """A mob as its author defined it.

    Stored as a spec and in the `MobCreated` event. References between its parts are not
    checked.
    """

    id: MobId
    orchestrator: OrchestratorConfig | None = None
    profiles: SortedMap[ProfileName, ProfileBinding] = Field(
        default_factory=dict[ProfileName, ProfileBinding]
    )
    mcp_servers: SortedMap[str, McpServerConfig] = Field(default_factory=dict[str, McpServerConfig])
    wiring: WiringRules = Field(default_factory=WiringRules)
    skills: SortedMap[str, SkillSource] = Field(default_factory=dict[str, SkillSource])
    backend: BackendConfig = Field(default_factory=BackendConfig)
    flows: SortedMap[FlowId, FlowSpec] = Field(default_factory=dict[FlowId, FlowSpec])
    topology: TopologySpec | None = None
    supervisor: SupervisorSpec | None = None
    limits: LimitsSpec | None = None
    spawn_policy: SpawnPolicyConfig | None = None
    event_router: EventRouterConfig | None = None
    owner_session_id: str | None = Field(default=None, exclude_if=no_value)
    session_cleanup_policy: SessionCleanupPolicy = Field(
        default="manual", exclude_if=lambda policy: policy == "manual"
    )
    is_implicit: bool = False

    def __repr__(self) -> str:
        profiles, flows = count(len(self.profiles), "profile"), count(len(self.flows), "flow")
        return f"<MobDefinition {brief(self.id)}, {profiles}, {flows}>"

    __str__ = __repr__

    @classmethod
    def implicit(cls, session_id: str, model: str) -> Self:
        """Return the mob of a session that defines none: a single `delegate` profile.

        Raises:
            UsageError: an argument is not text.
        """
        require(session_id, "session_id", str)
        delegate = build(
            Profile,
            model=model,
            tools=ToolConfig(comms=True),
            peer_description="Delegated sub-agent",
        )
        return build(
            cls,
            id=MobId(f"implicit-{session_id}"),
            profiles={ProfileName("delegate"): delegate},
            wiring=WiringRules(auto_wire_orchestrator=True),
            is_implicit=True,
            owner_session_id=session_id,
            session_cleanup_policy="destroy_on_owner_archive",
        )

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read a definition from TOML: `[mob]` has the id, `[mcp.<name>]` the servers.

        The mob has no owner and is not implicit, whatever the text says. A date or time in free
        JSON becomes an object with one key; NaN and infinity become null, as in the reference.
        Nodes of frames may leave out `depends_on` and `depends_on_mode`, as steps of flows may.

        Raises:
            SerializationError: the text is not TOML, or not a definition; or it has more than
                1,048,576 characters, or a key of more than 16 parts between dots.
            UsageError: `text` is not text.
        """
        require(text, "a definition in TOML", str)
        return validate(cls, definition_fields(text))

    def is_owned_by_session(self, session_id: str) -> bool:
        """Return whether the session owns this mob.

        Raises:
            UsageError: the id is not text.
        """
        require(session_id, "session_id", str)
        return self.owner_session_id == session_id

    def is_session_scoped_to(self, session_id: str) -> bool:
        """Return whether the session owns this mob, and the mob ends with it.

        Raises:
            UsageError: the id is not text.
        """
        return (
            self.is_owned_by_session(session_id)
            and self.session_cleanup_policy == "destroy_on_owner_archive"
        )

    def session_scoped(self, session_id: str) -> Self:
        """Return a copy that the session owns, and that ends with it.

        Raises:
            UsageError: the id is not text.
        """
        require(session_id, "session_id", str)
        return self.model_copy(
            update={
                "owner_session_id": session_id,
                "session_cleanup_policy": "destroy_on_owner_archive",
            }
        )

    def without_lifecycle_flags(self) -> Self:
        """Return a copy with the same owner that is not implicit and is cleaned up by hand."""
        return self.model_copy(update={"is_implicit": False, "session_cleanup_policy": "manual"})

    def resolve_inline_profile(self, name: str) -> Profile | None:
        """Return the profile defined inline under this name, or None.

        Raises:
            UsageError: the name is not text.
        """
        require(name, "name", str)
        binding = self.profiles.get(ProfileName(name))
        return binding if isinstance(binding, Profile) else None

    async def resolve_profile(self, name: str, lookup: ProfileLookup | None = None) -> Profile:
        """Return the profile under this name, from the realm if the definition refers to one.

        Args:
            name: the name within this definition.
            lookup: finds a realm profile, such as `stores.realm_profiles.get`.

        Raises:
            NotFoundError: there is no such name, or the realm has no such profile.
            UsageError: the profile is in the realm and `lookup` is None; or an argument is of
                the wrong type.
        """
        require(name, "name", str)
        if lookup is not None:
            require_function(lookup, "lookup")
        binding = self.profiles.get(ProfileName(name))
        if binding is None:
            raise NotFoundError(f"profile not found: {name}")
        if isinstance(binding, Profile):
            return binding
        if lookup is None:
            raise UsageError("realm profile store not available for RealmRef resolution")
        stored = await lookup(binding.realm_profile)
        if stored is None:
            raise NotFoundError(f"profile not found: {name}")
        return stored.profile
