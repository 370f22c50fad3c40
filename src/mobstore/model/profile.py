"""Profiles: templates of members, inline in a definition or stored in a realm."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mobstore.model.display import Displayed
from mobstore.model.record import I32, NO_ITEMS, NO_VALUE, U64, Array, FreeJson, Record
from mobstore.model.text import brief
from mobstore.model.timestamp import Timestamp

MobBackendKind: TypeAlias = Literal["session", "external"]
MobRuntimeMode: TypeAlias = Literal["autonomous_host", "turn_driven"]


class ToolConfig(Record):
    """The tools that a member may use: groups of them, and tool servers by name."""

    builtins: bool = False
    shell: bool = False
    comms: bool = False
    memory: bool = False
    mob: bool = False
    mob_tasks: bool = False
    schedule: bool = False
    mcp: Array[str] = NO_ITEMS
    rust_bundles: Array[str] = NO_ITEMS


class Profile(Record):
    """A template for members. `None` and JSON `null` are the same in the two free-JSON fields."""

    model: str
    skills: Array[str] = NO_ITEMS
    tools: ToolConfig = Field(default_factory=ToolConfig)
    peer_description: str = ""
    external_addressable: bool = False
    backend: MobBackendKind | None = None
    runtime_mode: MobRuntimeMode = "autonomous_host"
    max_inline_peer_notifications: I32 | None = None
    output_schema: FreeJson = NO_VALUE
    provider_params: FreeJson = NO_VALUE


class RealmProfileRef(Record):
    """A reference to a profile of the realm, in place of a profile.

    A runtime resolves it when it spawns a member: see `MobDefinition.resolve_profile`.
    """

    realm_profile: str


# The first one that fits: with a text `realm_profile` it is a reference, whatever else it has.
ProfileBinding: TypeAlias = Annotated[RealmProfileRef | Profile, Field(union_mode="left_to_right")]


class StoredRealmProfile(Displayed, Record):
    """A realm profile as stored.

    `revision` is 1 after creation and grows by one with each update. Both times come from the
    store's clock.
    """

    name: str
    profile: Profile
    revision: U64
    created_at: Timestamp
    updated_at: Timestamp

    def __repr__(self) -> str:
        what = f"revision {self.revision}, model {brief(self.profile.model)}"
        return f"<StoredRealmProfile {brief(self.name)}, {what}>"

    __str__ = __repr__
