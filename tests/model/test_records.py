"""Rules of all records, and of reading the unusual ones."""

from __future__ import annotations

import json
import pickle
from copy import copy, deepcopy
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

import mobstore
from mobstore import (
    BackendPeerMember,
    FlowStarted,
    KernelState,
    MeerkatKickoffUpdated,
    MeerkatSpawned,
    MobDefinition,
    MobRun,
    MobToolCallerProvenance,
    Profile,
    RealmProfileRef,
    Record,
    SerializationError,
    SessionMember,
    SystemTime,
    Timestamp,
    TrustedPeerSpec,
    event_kind_from_json,
)
from support import golden

SESSION = "018f3c1e-5a00-7000-8000-00000000000a"
RUN = "5f0c1a52-0e6b-4f0b-9a7a-1d2f3a4b5c6d"
BASE: dict[str, Any] = {
    "run_id": RUN,
    "mob_id": "desk",
    "flow_id": "daily",
    "status": "running",
    "flow_state": {"phase": "Running", "fields": {}},
    "activation_params": None,
    "created_at": "2026-03-04T05:06:07Z",
    "step_ledger": [],
    "failure_ledger": [],
}


def run(**changes: Any) -> MobRun:
    return MobRun.from_json(json.dumps({**BASE, **changes}))


def spawned(member: object) -> str:
    return json.dumps(
        {"type": "meerkat_spawned", "meerkat_id": "m", "role": "r", "member_ref": member}
    )


def member(ref: object) -> SessionMember | BackendPeerMember:
    kind = event_kind_from_json(spawned(ref))
    assert isinstance(kind, MeerkatSpawned)
    return kind.member_ref


# Structs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        '{"model":"m","model":"m"}',
        '{"model":"m","skills":[],"skills":[]}',
        '{"model":"m","tools":{"shell":true,"shell":true}}',
        '{"model":"m","output_schema":1,"output_schema":1}',
        '{"model":"m","backend":null,"backend":null}',
    ],
)
def test_a_key_that_stands_twice_in_a_struct_is_refused(document: str) -> None:
    with pytest.raises(SerializationError):
        Profile.from_json(document)


def test_the_tag_must_not_stand_twice() -> None:
    with pytest.raises(SerializationError):
        event_kind_from_json('{"type":"mob_reset","type":"mob_reset"}')
    with pytest.raises(SerializationError):
        KernelState.from_json('{"phase":"P","fields":{"x":{"type":"none","type":"none"}}}')


def test_an_unknown_key_is_ignored_even_twice() -> None:
    assert Profile.from_json('{"model":"m","x":1,"x":2}') == Profile(model="m")


@pytest.mark.parametrize(
    "field",
    ["skills", "tools", "peer_description", "external_addressable", "runtime_mode", "model"],
)
def test_null_is_refused_where_none_belongs(field: str) -> None:
    with pytest.raises(SerializationError):
        Profile.from_json(json.dumps({"model": "m", field: None}))


@pytest.mark.parametrize(
    "field", ["backend", "max_inline_peer_notifications", "output_schema", "provider_params"]
)
def test_null_of_an_option_is_its_absence(field: str) -> None:
    assert Profile.from_json(json.dumps({"model": "m", field: None})) == Profile(model="m")


@pytest.mark.parametrize("value", [1.0, True, "1", 2**31, -(2**31) - 1, [1], {}])
def test_integers_are_strict_and_bounded(value: Any) -> None:
    with pytest.raises(SerializationError):
        Profile.from_json(json.dumps({"model": "m", "max_inline_peer_notifications": value}))
    with pytest.raises(ValidationError):
        Profile(model="m", max_inline_peer_notifications=value)


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31), -1, 0])
def test_integers_at_their_bounds(value: int) -> None:
    record = Profile(model="m", max_inline_peer_notifications=value)
    assert Profile.from_json(record.to_json()) == record


@pytest.mark.parametrize("value", [1, 0, "true", None, 1.0])
def test_booleans_are_strict(value: Any) -> None:
    with pytest.raises(SerializationError):
        Profile.from_json(json.dumps({"model": "m", "external_addressable": value}))


@pytest.mark.parametrize("word", ["Turn_driven", "turn-driven", "", "turn_driven ", 1])
def test_enumerations_are_exact(word: Any) -> None:
    with pytest.raises(SerializationError):
        Profile.from_json(json.dumps({"model": "m", "runtime_mode": word}))


@pytest.mark.parametrize("document", ["null", "[]", '"x"', "1", "", "{", '{"model":"m"} x'])
def test_a_record_is_one_object(document: str) -> None:
    with pytest.raises(SerializationError):
        Profile.from_json(document)


def test_the_message_tells_the_place_and_not_the_value() -> None:
    with pytest.raises(SerializationError, match=r"tools\.shell") as caught:
        Profile.from_json('{"model":"m","tools":{"shell":"secret"}}')
    assert "secret" not in str(caught.value)


def test_records_are_frozen() -> None:
    record: Any = Profile(model="m")
    with pytest.raises(ValidationError):
        record.model = "n"


def test_records_have_a_hash_unless_they_hold_maps() -> None:
    assert hash(Profile(model="m")) == hash(Profile(model="m"))
    with pytest.raises(TypeError):
        hash(MobDefinition(id="m"))


def test_sequences_are_copied() -> None:
    skills = ["a"]
    record = Profile(model="m", skills=cast("Any", skills))
    skills.append("b")
    assert record.skills == ("a",)


# Maps --------------------------------------------------------------------------------------------


def test_the_last_of_equal_keys_of_a_map_wins_at_the_first_s_place() -> None:
    document = json.dumps({**BASE, "root_step_outputs": 0}).replace(
        '"root_step_outputs": 0', '"root_step_outputs":{"z":1,"a":2,"z":{"k":3},"b":4}'
    )
    outputs = MobRun.from_json(document).root_step_outputs
    assert list(outputs.items()) == [("z", {"k": 3}), ("a", 2), ("b", 4)]


def test_the_last_of_equal_keys_of_a_sorted_map_wins() -> None:
    document = spawned({"kind": "session", "session_id": SESSION})[:-1]
    kind = event_kind_from_json(document + ',"labels":{"b":"1","a":"2","b":"3"}}')
    assert isinstance(kind, MeerkatSpawned)
    assert list(kind.labels.items()) == [("a", "2"), ("b", "3")]


def test_order_of_an_ordered_map_is_kept_and_does_not_count() -> None:
    one, other = (
        run(root_step_outputs=outputs) for outputs in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    assert one.root_step_outputs == other.root_step_outputs
    assert one == other
    assert one.to_json() != other.to_json()


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), st.integers(0, 9)))
def test_sorted_maps_are_written_by_code_point(labels: dict[str, int]) -> None:
    outputs = {key: [{"s": value}] for key, value in labels.items()}
    written = json.loads(run(loop_iteration_outputs=outputs).to_json())["loop_iteration_outputs"]
    assert list(written) == sorted(labels, key=str.encode)
    assert written == outputs


def test_maps_are_copied() -> None:
    labels = {"a": "1"}
    kind = MeerkatSpawned(
        meerkat_id="m",
        role="r",
        member_ref=cast("Any", SESSION),
        labels=labels,
    )
    labels["b"] = "2"
    assert kind.labels == {"a": "1"}


# Equality ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, False)])
def test_equality_sees_the_types_in_free_json(one: Any, other: Any) -> None:
    assert run(activation_params=[one]) != run(activation_params=[other])
    assert run(root_step_outputs={"s": one}) != run(root_step_outputs={"s": other})
    assert run(root_step_outputs={"s": one}) == run(root_step_outputs={"s": one})


def test_equality_sees_the_type_of_the_record() -> None:
    assert mobstore.FrameSnapshot(kernel_state=KernelState()) != mobstore.LoopSnapshot(
        kernel_state=KernelState()
    )
    assert Profile(model="m") != {"model": "m"}


# Identifiers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [RUN, RUN.upper(), RUN.replace("-", ""), f"{{{RUN}}}", f"urn:uuid:{RUN}"]
)
def test_forms_of_a_uuid(form: str) -> None:
    read = run(run_id=form)
    assert read.run_id == UUID(RUN)
    assert json.loads(read.to_json())["run_id"] == RUN


@pytest.mark.parametrize(
    "form", ["", "x", RUN[:-1], RUN + "0", 5, None, RUN.replace("-", "_"), f" {RUN}", f"{{{RUN}"]
)
def test_what_is_no_uuid(form: Any) -> None:
    with pytest.raises(SerializationError):
        run(run_id=form)


@pytest.mark.parametrize("form", [RUN, UUID(RUN)])
def test_a_uuid_from_python(form: Any) -> None:
    kind = FlowStarted(run_id=form, flow_id="f", params=None)
    assert kind.run_id == UUID(RUN)


@pytest.mark.parametrize("form", [UUID(RUN).bytes, RUN.encode(), UUID(RUN).int, None])
def test_no_uuid_from_python(form: Any) -> None:
    with pytest.raises(ValidationError):
        FlowStarted(run_id=form, flow_id="f", params=None)


# MemberRef ---------------------------------------------------------------------------------------

SESSION_MEMBER = SessionMember(session_id=cast("Any", UUID(SESSION)))


@pytest.mark.parametrize(
    "ref",
    [
        {"kind": "session", "session_id": SESSION},
        {"kind": "session", "session_id": SESSION, "peer_id": "p", "address": "a"},
        {"session_id": SESSION},
        {"kind": "unknown", "session_id": SESSION},
        {"kind": 5, "session_id": SESSION},
        {"kind": None, "session_id": SESSION},
        {"kind": "backend_peer", "session_id": SESSION},
        {"kind": "backend_peer", "peer_id": "p", "session_id": SESSION},
        {"kind": "backend_peer", "peer_id": "p", "address": 5, "session_id": SESSION},
        SESSION,
        SESSION.upper(),
        SESSION.replace("-", ""),
    ],
)
def test_what_reads_as_a_session(ref: object) -> None:
    assert member(ref) == SESSION_MEMBER


@pytest.mark.parametrize(
    ("ref", "session"),
    [
        ({"kind": "backend_peer", "peer_id": "p", "address": "a"}, None),
        ({"kind": "backend_peer", "peer_id": "p", "address": "a", "session_id": None}, None),
        ({"kind": "backend_peer", "peer_id": "p", "address": "a", "session_id": SESSION}, SESSION),
        ({"kind": "backend_peer", "peer_id": "p", "address": "a", "other": 1}, None),
    ],
)
def test_what_reads_as_a_peer(ref: object, session: str | None) -> None:
    found = member(ref)
    assert isinstance(found, BackendPeerMember)
    assert (found.peer_id, found.address) == ("p", "a")
    assert found.session_id == (None if session is None else UUID(session))
    written = json.loads(found.to_json())
    assert list(written) == ["kind", "peer_id", "address"] + ["session_id"] * bool(session)


@pytest.mark.parametrize(
    "ref",
    [
        None,
        5,
        [],
        {},
        "",
        "x",
        {"kind": "session"},
        {"kind": "session", "session_id": None},
        {"kind": "session", "session_id": "x"},
        {"kind": "backend_peer", "peer_id": "p"},
        {"kind": "backend_peer", "peer_id": "p", "address": "a", "session_id": "x"},
        {"kind": "backend_peer", "peer_id": "p", "address": "a", "session_id": 5},
        {"kind": "unknown"},
    ],
)
def test_what_is_no_member(ref: object) -> None:
    with pytest.raises(SerializationError):
        member(ref)


def test_members_from_python() -> None:
    peer = BackendPeerMember(peer_id="p", address="a")
    for given_ref, expected in (
        (peer, peer),
        (SESSION_MEMBER, SESSION_MEMBER),
        (SESSION, SESSION_MEMBER),
    ):
        kind = MeerkatSpawned(meerkat_id="m", role="r", member_ref=cast("Any", given_ref))
        assert kind.member_ref == expected


# ProfileBinding ----------------------------------------------------------------------------------


def binding(value: object) -> Profile | RealmProfileRef:
    (found,) = MobDefinition.from_json(
        json.dumps({"id": "m", "profiles": {"p": value}})
    ).profiles.values()
    return found


@pytest.mark.parametrize(
    "value",
    [
        {"realm_profile": "x"},
        {"realm_profile": "x", "model": "m"},
        {"realm_profile": "x", "model": 5, "other": None},
    ],
)
def test_what_reads_as_a_reference(value: object) -> None:
    assert binding(value) == RealmProfileRef(realm_profile="x")
    assert binding(value).to_json() == '{"realm_profile":"x"}'


@pytest.mark.parametrize("realm_profile", [None, 5, True, ["x"], {}])
def test_what_reads_as_an_inline_profile(realm_profile: object) -> None:
    assert binding({"model": "m", "realm_profile": realm_profile}) == Profile(model="m")


@pytest.mark.parametrize(
    "value", [None, {}, "x", [], {"realm_profile": None}, {"realm_profile": 5}]
)
def test_what_is_no_binding(value: object) -> None:
    with pytest.raises(SerializationError):
        binding(value)


# SystemTime --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secs", "nanos", "carried"),
    [
        (0, 0, (0, 0)),
        (5, 999_999_999, (5, 999_999_999)),
        (5, 1_000_000_000, (6, 0)),
        (5, 2**32 - 1, (9, 294_967_295)),
        (2**63 - 1, 0, (2**63 - 1, 0)),
        (2**63 - 2, 1_000_000_000, (2**63 - 1, 0)),
    ],
)
def test_nanoseconds_are_carried(secs: int, nanos: int, carried: tuple[int, int]) -> None:
    time = SystemTime(secs_since_epoch=secs, nanos_since_epoch=nanos)
    assert (time.secs_since_epoch, time.nanos_since_epoch) == carried
    document = json.dumps({"secs_since_epoch": secs, "nanos_since_epoch": nanos})
    assert SystemTime.from_json(document) == time
    assert SystemTime.from_json(time.to_json()) == time


@pytest.mark.parametrize(
    "value",
    [
        {"secs_since_epoch": 1},
        {"nanos_since_epoch": 1},
        {"secs_since_epoch": 1, "nanos_since_epoch": 1, "other": 1},
        {"secs_since_epoch": -1, "nanos_since_epoch": 0},
        {"secs_since_epoch": 2**63, "nanos_since_epoch": 0},
        {"secs_since_epoch": 2**63 - 1, "nanos_since_epoch": 10**9},
        {"secs_since_epoch": 1, "nanos_since_epoch": 2**32},
        {"secs_since_epoch": 1.0, "nanos_since_epoch": 0},
        {"secs_since_epoch": 1, "nanos_since_epoch": None},
        [1, 2, 3],
    ],
)
def test_what_is_no_system_time(value: object) -> None:
    with pytest.raises(SerializationError):
        SystemTime.from_json(json.dumps(value))


def test_system_time_in_an_event() -> None:
    kind = event_kind_from_json(
        '{"type":"meerkat_kickoff_updated","meerkat_id":"m","kickoff":{"phase":"failed",'
        '"updated_at":{"nanos_since_epoch":1000000001,"secs_since_epoch":1}}}'
    )
    assert isinstance(kind, MeerkatKickoffUpdated)
    assert kind.to_json() == (
        '{"type":"meerkat_kickoff_updated","meerkat_id":"m","kickoff":{"phase":"failed",'
        '"updated_at":{"secs_since_epoch":2,"nanos_since_epoch":1}}}'
    )


# Others ------------------------------------------------------------------------------------------


def test_a_peer_s_name_is_checked_only_on_request() -> None:
    assert TrustedPeerSpec.from_json('{"name":"","peer_id":"","address":""}').name == ""
    assert TrustedPeerSpec.checked("n", "p", "a") == TrustedPeerSpec(
        name="n", peer_id="p", address="a"
    )
    for name in ("", " ", "\u3000\t"):
        with pytest.raises(ValueError, match="peer name cannot be empty"):
            TrustedPeerSpec.checked(name, "p", "a")
    for name in ("a\nb", "\0", "a\x7f", "\x85x"):
        with pytest.raises(ValueError, match=r"cannot (contain control characters|be empty)"):
            TrustedPeerSpec.checked(name, "p", "a")


def test_provenance_may_be_empty() -> None:
    assert MobToolCallerProvenance().to_json() == "{}"
    assert MobToolCallerProvenance.from_json('{"caller_mob_id":null}') == MobToolCallerProvenance()


def test_optional_keys_of_an_operator_action() -> None:
    text = '{"type":"operator_action_recorded","tool_name":"t","principal_token":"p"}'
    assert event_kind_from_json(text[:-1] + ',"caller_provenance":null}').to_json() == text
    with_empty = text[:-1] + ',"caller_provenance":{}}'
    assert event_kind_from_json(with_empty).to_json() == with_empty


SURROGATE: Any = "\ud800"


@pytest.mark.parametrize(
    "record",
    [
        Profile(model=SURROGATE),
        RealmProfileRef(realm_profile=SURROGATE),
        Profile(model="m", provider_params={"a": [SURROGATE]}),
        Profile(model="m", provider_params={SURROGATE: 1}),
        MobDefinition(id=SURROGATE),
        MobDefinition(id="m", profiles={SURROGATE: Profile(model="m")}),
        MobDefinition(id="m", flows={SURROGATE: mobstore.FlowSpec()}),
        mobstore.McpServerConfig(env={SURROGATE: "x"}),
        mobstore.FrameSpec(
            nodes={
                SURROGATE: mobstore.FrameStepSpec(step_id="s", depends_on=(), depends_on_mode="all")
            }
        ),
        run().model_copy(update={"root_step_outputs": {SURROGATE: 1}}),
    ],
    ids=lambda record: type(record).__name__,
)
def test_lone_surrogates_cannot_be_written(record: Record) -> None:
    """Neither text nor keys with surrogates are written, or changed silently."""
    with pytest.raises(SerializationError):
        record.to_json()


ACCEPTED = [v for v in golden.vectors() if v.rewritten is not None and v.type != "KernelState"]


@pytest.mark.parametrize("vector", ACCEPTED[::5], ids=lambda v: v.type)
def test_copies_and_pickles(vector: golden.Vector) -> None:
    record = golden.READERS[vector.type](vector.document)
    assert isinstance(record, Record)
    for again in (
        copy(record),
        deepcopy(record),
        pickle.loads(pickle.dumps(record)),  # noqa: S301
        record.model_copy(deep=True),
    ):
        assert type(again) is type(record)
        assert again == record
        assert again.to_json() == record.to_json()


def test_a_changed_copy_leaves_the_original() -> None:
    one = run()
    other = one.model_copy(update={"completed_at": Timestamp("2026-03-04T05:06:08Z")})
    assert one.completed_at is None
    assert one != other
    assert one.model_copy() == one


def test_a_nested_condition_is_as_deep_as_a_document_may_be() -> None:
    def steps(levels: int) -> str:
        condition = '{"op":"eq","path":"p","value":1}'
        for _ in range(levels):
            condition = f'{{"op":"not","expr":{condition}}}'
        return (
            '{"id":"m","flows":{"f":{"steps":{"s":{"role":"r","message":"x","condition":'
            + condition
            + "}}}}}"
        )

    fits = MobDefinition.from_json(steps(121))
    assert MobDefinition.from_json(fits.to_json()) == fits
    assert deepcopy(fits) == fits
    for levels in (122, 5_000):
        with pytest.raises(SerializationError):
            MobDefinition.from_json(steps(levels))


def test_records_nested_too_deeply_to_be_written_are_refused() -> None:
    condition: Any = mobstore.ConditionEq(path="p", value=1)
    for _ in range(5_000):
        condition = mobstore.ConditionNot(expr=condition)
    with pytest.raises(SerializationError):
        condition.to_json()
