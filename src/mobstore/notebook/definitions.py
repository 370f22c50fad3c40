"""The definition of a mob."""

from __future__ import annotations

from collections.abc import Sequence

from mobstore.model.definition import MobDefinition
from mobstore.model.flow import (
    ConditionAnd,
    ConditionExpr,
    ConditionIn,
    ConditionNot,
    ConditionOr,
    FlowNodeSpec,
    FlowSpec,
    FlowStepSpec,
    FrameSpec,
    RepeatUntilSpec,
    TextBlock,
)
from mobstore.model.profile import Profile, ProfileBinding
from mobstore.model.text import count
from mobstore.notebook.formatting import joined, named, value
from mobstore.notebook.markup import (
    DEEPEST,
    Content,
    Markup,
    block,
    element,
    ends,
    folded,
    head,
    inline,
    left_out,
    long,
    share,
    table,
    together,
)
from mobstore.notebook.records import rest, tools
from mobstore.notebook.tabular import fields_of

PROFILES = 20
"""Profiles: the first and the last."""
FLOWS = 10
"""Flows: the first and the last."""
STEPS = 120
"""Steps of all flows: of each the first and the last."""
NODES = 120
"""Nodes of the frames of all flows: of each the first."""
PARTS = 8
"""Parts of a step's message or of a condition: the first."""


def definition(shown: MobDefinition) -> Markup:
    """The definition of a mob: its profiles and flows, and what binds them."""
    others = fields_of(shown, without=("id", "profiles", "flows"))
    profiles, flows = list(shown.profiles.items()), list(shown.flows.items())
    first, omitted, last = ends(flows, FLOWS)
    shown_flows = len(first) + len(last)
    return together(
        head("mob", named(shown.id)),
        block("title", count(len(profiles), "profile")) if profiles else None,
        _profiles(profiles) if profiles else None,
        *(_flow(name, flow, shown_flows) for name, flow in first),
        left_out(omitted, "flow"),
        *(_flow(name, flow, shown_flows) for name, flow in last),
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


def _flow(name: str, flow: FlowSpec, among: int) -> Markup:
    def row(item: tuple[str, FlowStepSpec]) -> tuple[Content, ...]:
        step, spec = item
        how = spec.dispatch_mode.replace("_", " ")
        after = long(joined(spec.depends_on))
        return named(step), spec.role, after, how, long(_message(spec))

    steps = list(flow.steps.items())
    columns = ("step", "role", "after", "dispatch", "message")
    return together(
        block("title", f"flow {named(name)}", inline("quiet", f" {flow.description or ''}")),
        table(columns, steps, row, most=share(STEPS, among), noun="step"),
        None if flow.root is None else _frames(flow.root, share(NODES, among)),
    )


def _frames(root: FrameSpec, most: int) -> Markup:
    """The nodes of a flow's frames, those of a loop's body below it."""
    waiting = [(name, node, 0) for name, node in reversed(tuple(root.nodes.items()))]
    lines: list[Markup] = []
    while waiting and len(lines) < most:
        name, node, depth = waiting.pop()
        lines.append(_node(name, node, depth))
        if isinstance(node, RepeatUntilSpec):
            inner = reversed(tuple(node.body.nodes.items()))
            waiting += [(name, node, depth + 1) for name, node in inner]
    rest_is_left_out = inline("left-out", "… more nodes …") if waiting else None
    return together(block("title", "frames"), *lines, rest_is_left_out)


def _node(name: str, node: FlowNodeSpec, depth: int) -> Markup:
    if isinstance(node, RepeatUntilSpec):
        kind = "loop"
        what = f"at most {node.max_iterations:,} times, until {condition(node.until)}"
    else:
        kind = "step"
        what = "" if node.step_id == name else named(node.step_id)
    after = f"after {joined(node.depends_on)}" if node.depends_on else ""
    told = (inline("quiet", kind), element("b", named(name)), what, inline("quiet", after))
    return block("branch", *told, style=f"--ms-depth:{min(depth, DEEPEST)}")


def condition(of: ConditionExpr) -> str:
    """A condition as people write it."""
    match of:
        case ConditionAnd() | ConditionOr():
            return f" {of.op} ".join(f"({condition(part)})" for part in of.exprs[:PARTS]) or of.op
        case ConditionNot():
            return f"not ({condition(of.expr)})"
        case ConditionIn():
            return f"{of.path} in {value(of.values, 60)}"
        case _:
            sign = {"eq": "=", "gt": ">", "lt": "<"}[of.op]
            return f"{of.path} {sign} {value(of.value, 60)}"


def _message(step: FlowStepSpec) -> str:
    if isinstance(step.message, str):
        return step.message
    return " ".join(
        part.text if isinstance(part, TextBlock) else f"[{part.type}]"
        for part in step.message[:PARTS]
    )
