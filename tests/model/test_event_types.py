"""The types of events: all of them, those that a mob is resumed from, and who is named."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from inspect import getsource
from textwrap import dedent
from typing import Any, cast, get_args

import pytest

from mobstore import EVENT_TYPES, STRUCTURAL_KINDS, MobEventKind, members_of
from mobstore.model import event as kinds
from mobstore.model.event_types import MEMBER_TYPES
from mobstore.model.ids import MeerkatId, OpaquePrincipalToken, ProfileName, SessionId
from mobstore.testing.kinds import every_kind
from mobstore.testing.samples import definition

KINDS: tuple[Any, ...] = get_args(get_args(MobEventKind)[0])
ANN, BOB, LEAD = MeerkatId("ann"), MeerkatId("bob"), ProfileName("lead")
SESSION = kinds.SessionMember(session_id=cast("SessionId", "00000000-0000-4000-8000-000000000001"))
PEER = kinds.TrustedPeerSpec(name="far", peer_id="p", address="a")
PENDING = kinds.MobMemberKickoffSnapshot(
    phase="started", updated_at=kinds.SystemTime(secs_since_epoch=0, nanos_since_epoch=0)
)


def spawned(member: MeerkatId) -> kinds.MeerkatSpawned:
    return kinds.MeerkatSpawned(meerkat_id=member, role=LEAD, member_ref=SESSION)


WIRED, UNWIRED = kinds.PeersWired(a=ANN, b=BOB), kinds.PeersUnwired(a=ANN, b=BOB)
FAR, NO_FAR = (
    kinds.ExternalPeerWired(local=ANN, spec=PEER),
    kinds.ExternalPeerUnwired(local=ANN, peer_name="far"),
)
CREATED = kinds.MobCreated(definition=definition())
KICKED_OFF = kinds.MeerkatKickoffUpdated(meerkat_id=ANN, kickoff=PENDING)
RETIRED = kinds.MeerkatRetired(meerkat_id=BOB, role=LEAD, member_ref=SESSION)
TASK = kinds.TaskCreated(task_id="t", subject="tides", description="", blocked_by=())
DONE = kinds.TaskUpdated(task_id="t", status="completed")
LOGS: dict[str, Sequence[MobEventKind]] = {
    "mob_created": [CREATED],
    "mob_completed": [CREATED, kinds.MobCompleted()],
    "mob_reset": [CREATED, spawned(ANN), kinds.MobReset(), spawned(BOB)],
    "meerkat_spawned": [CREATED, spawned(ANN)],
    "meerkat_retired": [CREATED, spawned(ANN), spawned(BOB), RETIRED],
    "meerkat_kickoff_updated": [CREATED, spawned(ANN), KICKED_OFF],
    "peers_wired": [CREATED, spawned(ANN), spawned(BOB), WIRED],
    "peers_unwired": [CREATED, spawned(ANN), spawned(BOB), WIRED, UNWIRED],
    "external_peer_wired": [CREATED, spawned(ANN), FAR],
    "external_peer_unwired": [CREATED, spawned(ANN), FAR, NO_FAR],
    "task_created": [CREATED, TASK],
    "task_updated": [CREATED, TASK, DONE],
}
"""For each structural type, a log from which a mob cannot be resumed without it."""


def fold(log: Sequence[MobEventKind]) -> object:
    """Return what a runtime needs to resume a mob, as far as a log shows it."""
    created: object = None
    completed = False
    members: dict[str, Any] = {}
    wires: set[tuple[str, str]] = set()
    tasks: dict[str, list[Any]] = {}
    for kind in log:
        match kind:
            case kinds.MobCreated():
                created = kind.definition
            case kinds.MobCompleted():
                completed = True
            case kinds.MobReset():
                members, completed = {}, False
                wires = set()
            case kinds.MeerkatSpawned():
                members[kind.meerkat_id] = [kind, None]
            case kinds.MeerkatRetired():
                members.pop(kind.meerkat_id, None)
                wires = {wire for wire in wires if kind.meerkat_id not in wire}
            case kinds.MeerkatKickoffUpdated():
                members[kind.meerkat_id][1] = kind.kickoff
            case kinds.PeersWired():
                wires.add((kind.a, kind.b))
            case kinds.PeersUnwired():
                wires.discard((kind.a, kind.b))
            case kinds.ExternalPeerWired():
                wires.add((kind.local, kind.spec.name))
            case kinds.ExternalPeerUnwired():
                wires.discard((kind.local, kind.peer_name))
            case kinds.TaskCreated():
                tasks[kind.task_id] = [kind, None]
            case kinds.TaskUpdated() if kind.task_id in tasks:
                tasks[kind.task_id][1] = kind
            case _:
                pass
    return created, completed, members, wires, tasks


def test_there_are_25_types() -> None:
    assert len(EVENT_TYPES) == len(KINDS) == 25
    assert {kind.type for kind in every_kind()} == EVENT_TYPES


def test_each_structural_type_has_a_log() -> None:
    assert set(LOGS) == STRUCTURAL_KINDS


@pytest.mark.parametrize("of_type", sorted(STRUCTURAL_KINDS))
def test_a_mob_cannot_be_resumed_without_it(of_type: str) -> None:
    log = LOGS[of_type]
    others = [kind for kind in every_kind() if kind.type not in STRUCTURAL_KINDS]
    mixed = [kind for one in log for kind in (*others, one)]
    kept = [kind for kind in mixed if kind.type in STRUCTURAL_KINDS]
    assert fold(kept) == fold(mixed)
    assert fold([kind for kind in kept if kind.type != of_type]) != fold(mixed)


def fields_of_members(kind: type) -> set[str]:
    """Return the fields declared as ids of members; in the schema, these ids are plain texts."""
    (declared,) = ast.parse(dedent(getsource(kind))).body
    return {
        ast.unparse(one.target)
        for one in cast("ast.ClassDef", declared).body
        if isinstance(one, ast.AnnAssign) and "MeerkatId" in ast.unparse(one.annotation)
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_with_the_id_of_a_member_is_found(kind: Any) -> None:
    names = fields_of_members(kind)
    of_type = kind.model_fields["type"].default
    if kind is not kinds.OperatorActionRecorded:
        assert (of_type in MEMBER_TYPES) == bool(names)
    for given in every_kind():
        if type(given) is kind and names:
            held = {given.__dict__[name] for name in names} - {None}
            assert members_of(given) == held


def test_the_caller_of_a_tool_is_a_member() -> None:
    by_ann, by_nobody = (
        kinds.OperatorActionRecorded(
            tool_name="t",
            principal_token=OpaquePrincipalToken("p"),
            caller_provenance=caller,
        )
        for caller in (kinds.MobToolCallerProvenance(caller_member_id="ann"), None)
    )
    assert members_of(by_ann) == {"ann"}
    assert members_of(by_nobody) == frozenset()
    assert by_ann.type in MEMBER_TYPES
