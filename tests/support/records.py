"""Samples of every public record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import mobstore as m
from mobstore.testing.kinds import every_kind, other_kinds
from mobstore.testing.samples import (
    definition,
    event,
    full_run,
    make_run,
    run_id,
    stored_event,
    stored_profile,
    timestamp,
)

_PACKAGE: Any = m  # type checkers do not see its `__all__`
PUBLIC: set[type[m.Record]] = {
    part
    for name in _PACKAGE.__all__
    if isinstance(part := getattr(m, name), type)
    and issubclass(part, m.Record)
    and part is not m.Record
}


def samples() -> list[m.Record]:
    """Return records that hold at least one of each public type, with all that they hold."""
    equal = m.ConditionEq(path="params.a", value={"b": [None, 1.5]})
    less = m.ConditionLt(path="params.a", value=1)
    among = m.ConditionIn(path="params.a", values=[1, "a", None])
    steps = {
        "text": m.FlowStepSpec(
            role="lead",
            message=[
                m.TextBlock(text="t"),
                m.InlineImageBlock(media_type="image/png", data="AA=="),
                m.BlobImageBlock(media_type="image/png", blob_id="b"),
                m.VideoBlock(media_type="video/mp4", duration_ms=2**64 - 1, data="AA=="),
            ],
            condition=m.ConditionAnd(exprs=[equal, m.ConditionOr(exprs=[less, among])]),
            collection_policy=m.CollectAny(),
            timeout_ms=5,
            allowed_tools=["a"],
        ),
        "not": m.FlowStepSpec(role="lead", message="", condition=m.ConditionNot(expr=equal)),
    }
    topology = m.TopologySpec(
        mode="strict", rules=[m.TopologyRule(from_role="a", to_role="b", allowed=True)]
    )
    supervisor, limits = m.SupervisorSpec(role="a", escalation_threshold=3), m.LimitsSpec()
    whole = m.MobDefinition(
        id="whole",
        orchestrator=m.OrchestratorConfig(profile="lead"),
        profiles={"lead": m.Profile(model="m")},
        mcp_servers={"tools": m.McpServerConfig(command=["run"], env={"b": "", "a": "1"})},
        wiring=m.WiringRules(role_wiring=[m.RoleWiringRule(a="lead", b="lead")]),
        skills={"in": m.InlineSkill(content="c"), "at": m.PathSkill(path="p")},
        backend=m.BackendConfig(
            default="external", external=m.ExternalBackendConfig(address_base="a")
        ),
        flows={"flow": m.FlowSpec(description="d", steps=steps)},
        topology=topology,
        supervisor=supervisor,
        limits=limits,
        spawn_policy=m.SpawnAuto(profile_map={"b": "lead", "a": "lead"}),
        event_router=m.EventRouterConfig(include_patterns=["*"]),
        owner_session_id="s",
        session_cleanup_policy="destroy_on_owner_archive",
    )
    header = m.RunHeader(
        run_id=run_id(1),
        mob_id="mob",
        flow_id="flow",
        status="running",
        activation_params={"a": [1]},
        created_at=timestamp(0),
        holder="worker",
        epoch=2**64 - 1,
        due_at=timestamp(7),
    )
    claim: dict[str, Any] = {"holder": "worker", "epoch": 1, "expires_at": timestamp(1), "ttl": 30}
    run = full_run()
    return [
        whole,
        definition(),
        m.MobDefinition(id="policy", spawn_policy=m.SpawnNone()),
        m.FlowRunConfig.from_definition("flow", whole),
        run,
        make_run(),
        m.FlowContext.from_run_aggregate(run, run.run_id, run.activation_params),
        header,
        m.Claim(name="name", **claim),
        m.RunClaim(name=f"run/{run_id(1)}", run=header, **claim),
        m.Consumer(name="", cursor=2**64 - 1, updated_at=timestamp(-1)),
        m.Overview(
            identity=UUID(int=7),
            events=3,
            next_cursor=5,
            runs=2,
            specs=1,
            realm_profiles=0,
            claims=1,
            imported_from="0.7",
            consumers=[m.ConsumerOverview(name="c", cursor=4)],
            mobs=[
                m.MobOverview(mob_id="a", revision=None, events=3, runs=0),
                m.MobOverview(mob_id="b", revision=1, events=0, runs=2),
            ],
        ),
        stored_profile(),
        *every_kind(),
        *other_kinds(),
        *(stored_event(kind=kind) for kind in (*every_kind(), *other_kinds())),
        *(event(at=timestamp(1), kind=kind) for kind in (*every_kind(), *other_kinds())),
        event(),
    ]


def within(value: object) -> Iterator[m.Record]:
    """Yield the records in a value, itself included."""
    if isinstance(value, m.Record):
        yield value
        yield from within(vars(value))
    elif isinstance(value, dict):
        yield from within(list(cast("dict[str, object]", value).values()))
    elif isinstance(value, (list, tuple)):
        for part in cast("list[object]", value):
            yield from within(part)


RECORDS = list(within(samples()))
"""Records of every public type."""
