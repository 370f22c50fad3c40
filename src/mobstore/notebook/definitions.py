"""The display of a mob's definition."""

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
from mobstore.notebook.formatting import format_names, format_value, name_text
from mobstore.notebook.markup import (
    DEEPEST,
    Content,
    Markup,
    block,
    cell_text,
    details,
    element,
    first_and_last,
    heading,
    inline,
    join,
    omission,
    portion,
    table,
)
from mobstore.notebook.records import field_list, tools
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


def definition(mob: MobDefinition) -> Markup:
    """Show the definition of a mob: its profiles, its flows and its other fields."""
    others = fields_of(mob, without=("id", "profiles", "flows"))
    profiles, flows = list(mob.profiles.items()), list(mob.flows.items())
    first, omitted, last = first_and_last(flows, FLOWS)
    number = len(first) + len(last)
    return join(
        heading("mob", name_text(mob.id)),
        block("title", count(len(profiles), "profile")) if profiles else None,
        _profiles(profiles) if profiles else None,
        *(_flow(name, flow, number) for name, flow in first),
        omission(omitted, "flow"),
        *(_flow(name, flow, number) for name, flow in last),
        details("other fields", field_list(others)),
    )


def _profiles(profiles: Sequence[tuple[str, ProfileBinding]]) -> Markup:
    def row(item: tuple[str, ProfileBinding]) -> tuple[Content, ...]:
        name, bound = item
        if not isinstance(bound, Profile):
            return name_text(name), f"realm profile {bound.realm_profile}", "", ""
        return name_text(name), bound.model, cell_text(bound.peer_description), tools(bound)

    columns = ("profile", "model", "description", "tools")
    return table(columns, profiles, row, most=PROFILES, noun="profile")


def _flow(name: str, flow: FlowSpec, among: int) -> Markup:
    def row(item: tuple[str, FlowStepSpec]) -> tuple[Content, ...]:
        step, spec = item
        mode = spec.dispatch_mode.replace("_", " ")
        after = cell_text(format_names(spec.depends_on))
        return name_text(step), spec.role, after, mode, cell_text(_message(spec))

    steps = list(flow.steps.items())
    columns = ("step", "role", "after", "dispatch", "message")
    return join(
        block("title", f"flow {name_text(name)}", inline("quiet", f" {flow.description or ''}")),
        table(columns, steps, row, most=portion(STEPS, among), noun="step"),
        None if flow.root is None else _frames(flow.root, portion(NODES, among)),
    )


def _frames(root: FrameSpec, most: int) -> Markup:
    """Show the nodes of a flow's frames, and those of a loop's body below the loop."""
    stack = [(name, node, 0) for name, node in reversed(tuple(root.nodes.items()))]
    lines: list[Markup] = []
    while stack and len(lines) < most:
        name, node, depth = stack.pop()
        lines.append(_node(name, node, depth))
        if isinstance(node, RepeatUntilSpec):
            body = reversed(tuple(node.body.nodes.items()))
            stack += [(name, node, depth + 1) for name, node in body]
    more = inline("left-out", "… more nodes …") if stack else None
    return join(block("title", "frames"), *lines, more)


def _node(name: str, node: FlowNodeSpec, depth: int) -> Markup:
    if isinstance(node, RepeatUntilSpec):
        kind = "loop"
        text = f"at most {node.max_iterations:,} times, until {condition(node.until)}"
    else:
        kind = "step"
        text = "" if node.step_id == name else name_text(node.step_id)
    after = f"after {format_names(node.depends_on)}" if node.depends_on else ""
    parts = (inline("quiet", kind), element("b", name_text(name)), text, inline("quiet", after))
    return block("branch", *parts, style={"--ms-depth": str(min(depth, DEEPEST))})


def condition(expression: ConditionExpr) -> str:
    """Return a condition in infix notation."""
    match expression:
        case ConditionAnd() | ConditionOr():
            parts = [f"({condition(part)})" for part in expression.exprs[:PARTS]]
            return f" {expression.op} ".join(parts) or expression.op
        case ConditionNot():
            return f"not ({condition(expression.expr)})"
        case ConditionIn():
            return f"{expression.path} in {format_value(expression.values, 60)}"
        case _:
            sign = {"eq": "=", "gt": ">", "lt": "<"}[expression.op]
            return f"{expression.path} {sign} {format_value(expression.value, 60)}"


def _message(step: FlowStepSpec) -> str:
    if isinstance(step.message, str):
        return step.message
    return " ".join(
        part.text if isinstance(part, TextBlock) else f"[{part.type}]"
        for part in step.message[:PARTS]
    )
