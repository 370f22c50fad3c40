"""The types of events: those that exist, those that a mob cannot do without, and who is named."""

from __future__ import annotations

from typing import cast

from mobstore.model.event import (
    EVENT_KINDS,
    ExternalPeerUnwired,
    ExternalPeerWired,
    MeerkatKickoffUpdated,
    MeerkatRetired,
    MeerkatSpawned,
    MobCompleted,
    MobCreated,
    MobEventKind,
    MobReset,
    OperatorActionRecorded,
    PeersUnwired,
    PeersWired,
    TaskCreated,
    TaskUpdated,
)
from mobstore.model.other_event import OtherEvent
from mobstore.model.record import Record

_STRUCTURAL: tuple[type[Record], ...] = (
    MobCreated,
    MobCompleted,
    MobReset,
    MeerkatSpawned,
    MeerkatRetired,
    MeerkatKickoffUpdated,
    PeersWired,
    PeersUnwired,
    ExternalPeerWired,
    ExternalPeerUnwired,
    TaskCreated,
    TaskUpdated,
)


def _type_of(kind: type[Record]) -> str:
    return cast("str", kind.model_fields["type"].default)


EVENT_TYPES: frozenset[str] = frozenset(EVENT_KINDS.models)
"""The types of the kinds of events that this version knows, such as `step_failed`."""

STRUCTURAL_KINDS: frozenset[str] = frozenset(map(_type_of, _STRUCTURAL))
"""The types of the events without which a mob cannot be resumed, for `MobEventStore.prune(keep=)`.

A runtime reads a mob's definition, its end, its roster and its tasks from the log. `mob_created`
has the definition; `mob_completed` says that the mob must not be resumed. The roster is a fold:
members join by `meerkat_spawned`, with role, mode, labels and session, and leave by
`meerkat_retired`, or all of them by `mob_reset`; `meerkat_kickoff_updated` shows the progress of a
member's first turn; wires come and go by `peers_wired`, `peers_unwired`, `external_peer_wired` and
`external_peer_unwired`. Events that take back others are among them: without a `mob_reset`, members
from before it would be back. The task board is a fold of `task_created` and `task_updated`; an
update of an unknown task is ignored. The state of runs is in the run store.
"""

_MEMBERS_IN = ("meerkat_id", "a", "b", "local", "owner", "escalated_to")
"""The fields of kinds that hold the id of a member."""

MEMBER_TYPES: frozenset[str] = frozenset(
    type_
    for type_, kind in EVENT_KINDS.models.items()
    if kind is OperatorActionRecorded or not kind.model_fields.keys().isdisjoint(_MEMBERS_IN)
)
"""The types of the events that may name a member, of those in `EVENT_TYPES`."""

_MEMBERS_IN_OTHERS = (*_MEMBERS_IN, "agent_identity", "member", "identity")
"""The same for events of other kinds: newer releases of the reference renamed `meerkat_id`."""


def may_name_members(type_: str) -> bool:
    """Return whether events of a type may name a member."""
    return type_ in MEMBER_TYPES or type_ not in EVENT_TYPES


def members_of(kind: MobEventKind | OtherEvent) -> frozenset[str]:
    """Return the members of its mob that an event names.

    They are the member it is about, both ends of a wire, the owner of a task, the member that a
    supervisor escalates to, and the caller of an operator's tool. In an `OtherEvent` they are
    looked for in the fields for them of all kinds, in `agent_identity`, `member` and `identity`,
    and in the same fields of its `target`.
    """
    if isinstance(kind, OtherEvent):
        return _members_of_other(kind)
    if isinstance(kind, OperatorActionRecorded):
        caller = kind.caller_provenance
        named = [None if caller is None else caller.caller_member_id]
    else:
        fields = kind.__dict__
        named = [fields.get(name) for name in _MEMBERS_IN]
    return frozenset(member for member in named if member is not None)


def _members_of_other(kind: OtherEvent) -> frozenset[str]:
    if not may_name_members(kind.type):
        return frozenset()
    target = kind.fields.get("target")
    parts = (kind.fields, target) if isinstance(target, dict) else (kind.fields,)
    named = [fields.get(name) for fields in parts for name in _MEMBERS_IN_OTHERS]
    return frozenset(member for member in named if isinstance(member, str))
