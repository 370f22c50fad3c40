"""The definition of a mob."""

from __future__ import annotations

from collections.abc import Sequence

from mobstore.dicts import fields_of
from mobstore.displays.markup import (
    Content,
    Markup,
    block,
    ends,
    folded,
    head,
    inline,
    left_out,
    long,
    table,
    together,
)
from mobstore.displays.records import rest, tools
from mobstore.displays.texts import joined, named
from mobstore.model.definition import MobDefinition
from mobstore.model.flow import FlowSpec, FlowStepSpec, TextBlock
from mobstore.model.profile import Profile, ProfileBinding
from mobstore.model.shown import count

PROFILES = 20
"""Profiles: the first and the last."""
FLOWS = 10
"""Flows: the first and the last."""
STEPS = 30
"""Steps of a flow: the first and the last."""
PARTS = 8
"""Blocks of the message of a step: the first."""


def definition(shown: MobDefinition) -> Markup:
    """The definition of a mob: its profiles and flows, and what binds them."""
    others = fields_of(shown)
    for name in ("id", "profiles", "flows"):
        others.pop(name)
    profiles, flows = list(shown.profiles.items()), list(shown.flows.items())
    first, omitted, last = ends(flows, FLOWS)
    return together(
        head("mob", named(shown.id)),
        block("title", count(len(profiles), "profile")) if profiles else None,
        _profiles(profiles) if profiles else None,
        *(_flow(name, flow) for name, flow in first),
        left_out(omitted, "flow"),
        *(_flow(name, flow) for name, flow in last),
        folded("the rest", rest(others)),
    )


def _profiles(profiles: Sequence[tuple[str, ProfileBinding]]) -> Markup:
    def row(item: tuple[str, ProfileBinding]) -> tuple[Content, ...]:
        name, bound = item
        if not isinstance(bound, Profile):
            return named(name), f"realm profile {bound.realm_profile}", "", ""
        return named(name), bound.model, long(bound.peer_description), tools(bound)

    columns = ("profile", "model", "description", "tools")
    return table(columns, profiles, row, most=PROFILES, noun="profile")


def _flow(name: str, flow: FlowSpec) -> Markup:
    def row(item: tuple[str, FlowStepSpec]) -> tuple[Content, ...]:
        step, spec = item
        how = spec.dispatch_mode.replace("_", " ")
        after = long(joined(spec.depends_on))
        return named(step), spec.role, after, how, long(_message(spec))

    steps = list(flow.steps.items())
    columns = ("step", "role", "after", "dispatch", "message")
    return together(
        block("title", f"flow {named(name)}", inline("quiet", f" {flow.description or ''}")),
        table(columns, steps, row, most=STEPS, noun="step"),
    )


def _message(step: FlowStepSpec) -> str:
    if isinstance(step.message, str):
        return step.message
    return " ".join(
        part.text if isinstance(part, TextBlock) else f"[{part.type}]"
        for part in step.message[:PARTS]
    )
