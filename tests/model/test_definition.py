"""Definitions: TOML, implicit mobs, and the profiles they resolve to."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from mobstore import (
    InternalError,
    MobDefinition,
    MobStoreError,
    NotFoundError,
    OrchestratorConfig,
    Profile,
    ReadFailedError,
    RealmProfileRef,
    SerializationError,
    StoredRealmProfile,
    Timestamp,
    ToolConfig,
    WiringRules,
)
from support import golden

TIDE_DESK = (golden.GOLDEN / "tide-desk.toml").read_text(encoding="utf-8")
HEAD = '[mob]\nid = "m"\n'


def toml(text: str) -> MobDefinition:
    return MobDefinition.from_toml(HEAD + text)


def params(value: str) -> Any:
    """Return the form of a TOML value in a free-JSON field."""
    profile = toml(f'[profiles.p]\nmodel = "m"\nprovider_params = {value}').profiles["p"]
    assert isinstance(profile, Profile)
    return profile.provider_params


# TOML --------------------------------------------------------------------------------------------


def test_the_golden_definition() -> None:
    as_json = json.loads((golden.GOLDEN / "tide-desk.json").read_text(encoding="utf-8"))
    del as_json["flows"]["polish"]  # the JSON has a flow more
    from_toml = MobDefinition.from_toml(TIDE_DESK)
    assert from_toml == MobDefinition.from_json(json.dumps(as_json))
    # The JSON file has its keys sorted; the order of the steps is that of the TOML file.
    assert list(from_toml.flows["daily"].steps) == [
        "outline",
        "research",
        "draft",
        "signoff",
    ]
    assert golden.same(json.loads(from_toml.to_json()), as_json)


def test_the_smallest_definition() -> None:
    assert toml("") == MobDefinition(id="m")
    assert MobDefinition.from_toml('mob = { id = "" }') == MobDefinition(id="")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[mob]",
        'mob = "m"',
        "mob = 5",
        '[[mob]]\nid = "m"',
        "[mob]\nid = 5",
        "[mob]\nid = 2026-03-04",
        '[mob]\nid = "m"\nid = "n"',
        'id = "m"',
        "not toml",
        '[mob]\nid = "m"\n[mob]\n',
        '[mob]\nid = "\\ud800"',
    ],
)
def test_the_id_is_required(text: str) -> None:
    with pytest.raises(SerializationError):
        MobDefinition.from_toml(text)


@pytest.mark.parametrize("value", ['"lead"', '{ profile = "lead" }', '{ profile = "lead", x = 1 }'])
def test_forms_of_the_orchestrator(value: str) -> None:
    definition = MobDefinition.from_toml(f'[mob]\nid = "m"\norchestrator = {value}')
    assert definition.orchestrator == OrchestratorConfig(profile="lead")


@pytest.mark.parametrize("value", ["5", "true", "{}", "[]", '["lead"]', "{ profile = 5 }", "1.5"])
def test_what_is_no_orchestrator(value: str) -> None:
    with pytest.raises(SerializationError):
        MobDefinition.from_toml(f'[mob]\nid = "m"\norchestrator = {value}')


def test_servers_are_under_mcp() -> None:
    definition = toml('[mcp.a]\ncommand = ["x"]\n[mcp_servers.b]\ncommand = ["y"]')
    assert list(definition.mcp_servers) == ["a"]


def test_the_life_cycle_is_not_read() -> None:
    lines = 'owner_session_id = "s"\nis_implicit = true\n'
    lines += 'session_cleanup_policy = "destroy_on_owner_archive"\n'
    for text in (lines + HEAD, HEAD + lines):
        definition = MobDefinition.from_toml(text)
        assert definition.owner_session_id is None
        assert definition.session_cleanup_policy == "manual"
        assert definition.is_implicit is False


def test_unknown_keys_are_ignored() -> None:
    assert toml('[unknown]\nx = 1\n[limits]\nunknown = "x"').limits is not None


def test_steps_keep_the_order_of_their_first_appearance() -> None:
    text = "\n".join(
        f'[flows.f.steps.{step}]\nrole = "r"\nmessage = "x"' for step in ("z", "a", "m", "b")
    )
    assert list(toml(text).flows["f"].steps) == ["z", "a", "m", "b"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{ a = 1, b = [true, 1.5] }", {"a": 1, "b": [True, 1.5]}),
        ("nan", None),
        ("{ a = inf, b = [-inf, nan] }", {"a": None, "b": [None, None]}),
        ("2026-03-04", {"$__toml_private_datetime": "2026-03-04"}),
        ("05:06:07", {"$__toml_private_datetime": "05:06:07"}),
        ("2026-03-04T05:06:07", {"$__toml_private_datetime": "2026-03-04T05:06:07"}),
        ("2026-03-04 05:06:07", {"$__toml_private_datetime": "2026-03-04T05:06:07"}),
        ("2026-03-04T05:06:07+02:00", {"$__toml_private_datetime": "2026-03-04T05:06:07+02:00"}),
        ("2026-03-04T05:06:07Z", {"$__toml_private_datetime": "2026-03-04T05:06:07Z"}),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("{ z = 1, a = 2 }", {"a": 2, "z": 1}),
    ],
)
def test_free_json_from_toml(value: str, expected: Any) -> None:
    assert golden.same(params(value), expected)


@pytest.mark.parametrize("value", ["9223372036854775808", "-9223372036854775809", "9" * 5000])
def test_integers_of_toml_have_64_bits_with_sign(value: str) -> None:
    with pytest.raises(SerializationError):
        params(value)
    with pytest.raises(SerializationError):
        toml(f"[limits]\nmax_flow_duration_ms = {value}")


@pytest.mark.parametrize("value", ["nan", "inf", "1.0", "-1", '"1"', "true", "2026-03-04"])
def test_a_limit_is_a_whole_number(value: str) -> None:
    with pytest.raises(SerializationError):
        toml(f"[limits]\nmax_flow_duration_ms = {value}")


def test_nesting_of_toml_never_exhausts_the_stack() -> None:
    for levels in (200, 20_000):
        for text in (
            f"x = {'[' * levels}{']' * levels}",
            f'[profiles.p]\nmodel = "m"\nprovider_params = {"[" * levels}{"]" * levels}',
            f"[profiles.p.provider_params.{'.'.join('a' * levels)}]\nx = 1",
            f"[limits.{'.'.join('a' * levels)}]\nx = 1",
        ):
            with suppress(SerializationError):
                toml(text)


def test_toml_has_no_lone_surrogates() -> None:
    with pytest.raises(SerializationError):
        MobDefinition.from_toml('[mob]\nid = "\ud800"')


def test_nodes_of_frames_take_the_defaults_of_steps() -> None:
    short = """
        [flows.f.root.nodes.draft]
        kind = "step"
        step_id = "d"
        [flows.f.root.nodes.polish]
        kind = "repeat_until"
        loop_id = "l"
        max_iterations = 3
        until = { op = "eq", path = "p", value = 1 }
        depends_on = ["draft"]
        [flows.f.root.nodes.polish.body.nodes.critique]
        kind = "step"
        step_id = "c"
        depends_on_mode = "any"
    """
    root = toml(short).flows["f"].root
    assert root is not None
    assert json.loads(root.to_json()) == {
        "nodes": {
            "draft": {
                "kind": "step",
                "step_id": "d",
                "depends_on": [],
                "depends_on_mode": "all",
                "branch": None,
            },
            "polish": {
                "kind": "repeat_until",
                "loop_id": "l",
                "depends_on": ["draft"],
                "depends_on_mode": "all",
                "body": {
                    "nodes": {
                        "critique": {
                            "kind": "step",
                            "step_id": "c",
                            "depends_on": [],
                            "depends_on_mode": "any",
                            "branch": None,
                        }
                    }
                },
                "until": {"op": "eq", "path": "p", "value": 1},
                "max_iterations": 3,
            },
        }
    }


@pytest.mark.parametrize(
    "flows",
    [
        "flows = 5",
        "flows.f = 5",
        "flows.f.root = 5",
        "flows.f.root.nodes = 5",
        "flows.f.root.nodes.n = 5",
        "flows.f.root.nodes = [5]",
        'flows.f.root.nodes.n = { kind = "step" }',
        'flows.f.root.nodes.n = { kind = "repeat_until", body = 5 }',
    ],
)
def test_nodes_of_another_form_are_rejected(flows: str) -> None:
    with pytest.raises(SerializationError):
        MobDefinition.from_toml(f"{flows}\n{HEAD}")


def test_in_json_nodes_of_frames_have_no_defaults() -> None:
    flow = {"root": {"nodes": {"n": {"kind": "step", "step_id": "s"}}}}
    with pytest.raises(SerializationError, match="depends_on"):
        MobDefinition.from_json(json.dumps({"id": "m", "flows": {"f": flow}}))


# Implicit mobs -----------------------------------------------------------------------------------


def test_implicit() -> None:
    definition = MobDefinition.implicit("s-1", "model-small")
    assert definition == MobDefinition(
        id="implicit-s-1",
        profiles={
            "delegate": Profile(
                model="model-small",
                tools=ToolConfig(comms=True),
                peer_description="Delegated sub-agent",
            )
        },
        wiring=WiringRules(auto_wire_orchestrator=True),
        owner_session_id="s-1",
        session_cleanup_policy="destroy_on_owner_archive",
        is_implicit=True,
    )
    keys = list(json.loads(definition.to_json()))
    assert keys[-3:] == ["owner_session_id", "session_cleanup_policy", "is_implicit"]
    assert MobDefinition.from_json(definition.to_json()) == definition


def test_sessions() -> None:
    implicit, plain = MobDefinition.implicit("s", "m"), MobDefinition(id="m")
    assert implicit.is_owned_by_session("s")
    assert implicit.is_session_scoped_to("s")
    assert not implicit.is_owned_by_session("t")
    assert not plain.is_owned_by_session("s")
    owned = plain.model_copy(update={"owner_session_id": "s"})
    assert owned.is_owned_by_session("s")
    assert not owned.is_session_scoped_to("s")
    scoped = plain.session_scoped("s")
    assert scoped.is_session_scoped_to("s")
    assert not scoped.is_session_scoped_to("t")
    assert plain.owner_session_id is None
    cleared = implicit.without_lifecycle_flags()
    assert cleared.owner_session_id == "s"
    assert not cleared.is_implicit
    assert cleared.session_cleanup_policy == "manual"
    assert implicit.is_implicit


# Profiles ----------------------------------------------------------------------------------------

NOW = Timestamp("2026-03-04T05:06:07Z")
DESK = MobDefinition.from_toml(TIDE_DESK)


async def realm(name: str) -> StoredRealmProfile | None:
    if name != "web-scout":
        return None
    return StoredRealmProfile(
        name=name, profile=Profile(model="found"), revision=1, created_at=NOW, updated_at=NOW
    )


async def broken(name: str) -> StoredRealmProfile | None:
    raise ReadFailedError(name)


async def empty(name: str) -> StoredRealmProfile | None:
    assert name == "web-scout"
    return None


def test_inline_profiles() -> None:
    editor = DESK.resolve_inline_profile("editor")
    assert editor is not None
    assert editor.model == "model-large"
    assert DESK.resolve_inline_profile("scout") is None
    assert DESK.resolve_inline_profile("nobody") is None
    assert DESK.profiles["scout"] == RealmProfileRef(realm_profile="web-scout")


def test_resolving() -> None:
    assert asyncio.run(DESK.resolve_profile("editor")).model == "model-large"
    assert asyncio.run(DESK.resolve_profile("editor", broken)).model == "model-large"
    assert asyncio.run(DESK.resolve_profile("scout", realm)).model == "found"


@pytest.mark.parametrize(
    ("name", "lookup", "error", "text"),
    [
        ("nobody", realm, NotFoundError, "profile not found: nobody"),
        ("nobody", None, NotFoundError, "profile not found: nobody"),
        # Named by the definition's name for it, not by the realm's.
        ("scout", empty, NotFoundError, "profile not found: scout"),
        (
            "scout",
            None,
            InternalError,
            "realm profile store not available for RealmRef resolution",
        ),
        ("scout", broken, ReadFailedError, "web-scout"),
    ],
)
def test_what_cannot_be_resolved(
    name: str, lookup: Any, error: type[MobStoreError], text: str
) -> None:
    with pytest.raises(error) as caught:
        asyncio.run(DESK.resolve_profile(name, lookup))
    assert caught.value.detail == text
