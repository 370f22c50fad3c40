"""The definition of a mob: profiles, wiring, flows and limits. Nothing is cross-checked here."""

import re
from collections.abc import Awaitable, Callable
from math import isfinite
from typing import Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import Field

from mobstore.errors import InternalError, NotFoundError, SerializationError
from mobstore.model.display import Displayed
from mobstore.model.flow import FlowSpec
from mobstore.model.ids import FlowId, MobId, ProfileName
from mobstore.model.json import I64_MAX, I64_MIN, NULL_IN_FREE_JSON
from mobstore.model.profile import (
    MobBackendKind,
    Profile,
    ProfileBinding,
    StoredRealmProfile,
    ToolConfig,
)
from mobstore.model.record import U32, U64, Array, Record, SortedMap, no_value, validate
from mobstore.model.text import bounded, brief, count

PolicyMode: TypeAlias = Literal["advisory", "strict"]
SessionCleanupPolicy: TypeAlias = Literal["manual", "destroy_on_owner_archive"]


# The mob around the flows ----------------------------------------------------------------------


class OrchestratorConfig(Record):
    profile: ProfileName


class McpServerConfig(Record):
    command: Array[str] = ()
    url: str | None = None
    env: SortedMap[str, str] = Field(default_factory=dict[str, str])


class RoleWiringRule(Record):
    a: ProfileName
    b: ProfileName


class WiringRules(Record):
    auto_wire_orchestrator: bool = False
    role_wiring: Array[RoleWiringRule] = ()


class InlineSkill(Record):
    source: Literal["inline"] = "inline"
    content: str


class PathSkill(Record):
    source: Literal["path"] = "path"
    path: str


SkillSource: TypeAlias = Annotated[InlineSkill | PathSkill, Field(discriminator="source")]


class ExternalBackendConfig(Record):
    address_base: str


class BackendConfig(Record):
    default: MobBackendKind = "session"
    external: ExternalBackendConfig | None = None


class TopologyRule(Record):
    from_role: ProfileName
    to_role: ProfileName
    allowed: bool


class TopologySpec(Record):
    mode: PolicyMode
    rules: Array[TopologyRule]


class SupervisorSpec(Record):
    role: ProfileName
    escalation_threshold: U32


class LimitsSpec(Record):
    max_flow_duration_ms: U64 | None = None
    max_step_retries: U32 | None = None
    max_orphaned_turns: U32 | None = None
    cancel_grace_timeout_ms: U64 | None = None
    max_active_nodes: U64 | None = None
    max_active_frames: U64 | None = None
    max_frame_depth: U64 | None = None


class SpawnNone(Record):
    mode: Literal["none"] = "none"


class SpawnAuto(Record):
    mode: Literal["auto"] = "auto"
    profile_map: SortedMap[str, ProfileName]


SpawnPolicyConfig: TypeAlias = Annotated[SpawnNone | SpawnAuto, Field(discriminator="mode")]


class EventRouterConfig(Record):
    buffer_size: U64 = 256
    include_patterns: Array[str] | None = Field(default=None, exclude_if=no_value)
    exclude_patterns: Array[str] | None = Field(default=None, exclude_if=no_value)


ProfileLookup: TypeAlias = Callable[[str], Awaitable[StoredRealmProfile | None]]
"""How a realm reference is looked up; `stores.realm_profiles.get` is one."""


class MobDefinition(Displayed, Record):
    """A mob as its author defined it."""

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
        """The mob that a session gets without defining one: a single `delegate` profile."""
        delegate = Profile(
            model=model,
            tools=ToolConfig(comms=True),
            peer_description="Delegated sub-agent",
        )
        return cls(
            id=MobId(f"implicit-{session_id}"),
            profiles={ProfileName("delegate"): delegate},
            wiring=WiringRules(auto_wire_orchestrator=True),
            is_implicit=True,
            owner_session_id=session_id,
            session_cleanup_policy="destroy_on_owner_archive",
        )

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read a definition as people write it: `[mob]` holds the id, `[mcp.<name>]` the servers.

        The mob has no owner and is not implicit, whatever the text says. A date or time in free
        JSON becomes an object with one key, NaN and infinity become null, as in the reference.

        Raises:
            SerializationError: the text is not TOML, or not a definition; or it has more than
                1,048,576 characters, or a key of more than 16 parts between dots.
        """
        document = _from_toml(text)
        mob: object = document.get("mob")
        if not isinstance(mob, dict):
            raise SerializationError("a definition has a table [mob]")
        head = cast("dict[str, Any]", mob)
        keys = (
            "profiles",
            "wiring",
            "skills",
            "backend",
            "flows",
            "topology",
            "supervisor",
            "limits",
            "spawn_policy",
            "event_router",
        )
        fields = {key: document[key] for key in keys if key in document}
        if "mcp" in document:
            fields["mcp_servers"] = document["mcp"]
        if "id" in head:
            fields["id"] = head["id"]
        orchestrator = head.get("orchestrator")
        if isinstance(orchestrator, str):
            orchestrator = {"profile": orchestrator}
        fields["orchestrator"] = orchestrator
        return validate(cls, fields)

    def is_owned_by_session(self, session_id: str) -> bool:
        """Whether the session owns this mob."""
        return self.owner_session_id == session_id

    def is_session_scoped_to(self, session_id: str) -> bool:
        """Whether the mob ends with the session that owns it."""
        return (
            self.is_owned_by_session(session_id)
            and self.session_cleanup_policy == "destroy_on_owner_archive"
        )

    def session_scoped(self, session_id: str) -> Self:
        """A copy that belongs to the session and ends with it."""
        return self.model_copy(
            update={
                "owner_session_id": session_id,
                "session_cleanup_policy": "destroy_on_owner_archive",
            }
        )

    def without_lifecycle_flags(self) -> Self:
        """A copy that is not implicit and is cleaned up by hand; the owner stays."""
        return self.model_copy(update={"is_implicit": False, "session_cleanup_policy": "manual"})

    def resolve_inline_profile(self, name: str) -> Profile | None:
        """The profile defined inline under this name, or None."""
        binding = self.profiles.get(ProfileName(name))
        return binding if isinstance(binding, Profile) else None

    async def resolve_profile(self, name: str, lookup: ProfileLookup | None = None) -> Profile:
        """The profile under this name, looked up in the realm if the definition refers to it.

        Args:
            name: the name within this definition.
            lookup: how to find a realm profile, such as `stores.realm_profiles.get`.

        Raises:
            NotFoundError: no such name, or the realm has no such profile.
            InternalError: the profile is in the realm and `lookup` is None.
        """
        binding = self.profiles.get(ProfileName(name))
        if binding is None:
            raise NotFoundError(f"profile not found: {name}")
        if isinstance(binding, Profile):
            return binding
        if lookup is None:
            raise InternalError("realm profile store not available for RealmRef resolution")
        stored = await lookup(binding.realm_profile)
        if stored is None:
            raise NotFoundError(f"profile not found: {name}")
        return stored.profile


def _from_toml(text: str) -> dict[str, Any]:
    import tomllib  # seldom needed, and slow to load

    if not isinstance(text, str):
        raise SerializationError(f"TOML is text, not {type(text).__name__}")
    if len(text) > _LONGEST_TOML:
        raise SerializationError(
            f"the TOML of a definition has at most {_LONGEST_TOML:,} characters, not {len(text):,};"
            " a longer definition can be read as JSON"
        )
    if re.search(_LONG_KEY, text):
        raise SerializationError(f"a key of TOML has at most {_MOST_PARTS} parts between dots")
    try:
        text.encode()  # tomllib lets lone surrogates through
        return cast("dict[str, Any]", _from_toml_value(tomllib.loads(text)))
    except RecursionError:
        why = "not a definition: nested too deeply"
    except ValueError as error:
        why = f"not TOML: {bounded(error, 200)}"
    raise SerializationError(why)


# The time that tomllib takes grows with the square of a key's parts: a definition within these
# limits takes it two seconds at most, one key of 40,000 parts takes a minute.
_LONGEST_TOML = 2**20
_MOST_PARTS = 16
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = rf"(?m)(?:^|[\[{{,])[ \t]*+(?:{_PART}[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}"


def _from_toml_value(value: object) -> object:
    """What a TOML value is in JSON."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return {key: _from_toml_value(item) for key, item in table.items()}
    if isinstance(value, list):
        return [_from_toml_value(item) for item in cast("list[object]", value)]
    if isinstance(value, float) and not isfinite(value):
        return NULL_IN_FREE_JSON
    if isinstance(value, int) and not I64_MIN <= value <= I64_MAX:
        raise ValueError("integers of TOML have 64 bits")
    if isinstance(value, (str, int, float)):
        return value
    # What is left are dates and times; UTC is mostly written Z, which Python forgets.
    text = str(value).replace(" ", "T")
    return {"$__toml_private_datetime": text.removesuffix("+00:00") + "Z" * ("+00:00" in text)}
