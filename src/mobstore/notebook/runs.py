"""A run: its head, the tree of its frames and loops, its failures and its outputs."""

from __future__ import annotations

from collections.abc import Sequence

from mobstore.errors import SerializationError
from mobstore.model.ids import FrameId, LoopInstanceId
from mobstore.model.kernel import KernelState
from mobstore.model.run import FailureLedgerEntry, FrameSnapshot, LoopSnapshot, MobRun
from mobstore.model.text import count, cut
from mobstore.notebook.formatting import instant, moment, named, span, value
from mobstore.notebook.markup import (
    DEEPEST,
    Content,
    Markup,
    block,
    element,
    ends,
    facts,
    folded,
    head,
    inline,
    left_out,
    long,
    mark,
    pill,
    share,
    table,
    together,
)
from mobstore.notebook.timeline import timeline
from mobstore.notebook.tree import Branch, Node, branches_of, nodes, phase

BRANCHES = 60
"""Frames and loops in the tree: the first and the last."""
NODES = 200
"""Nodes in the tree: of each frame the first and the last."""
FAILURES = 12
"""Entries of the failure ledger: the first and the last."""
OUTPUTS = 20
"""Outputs of steps: the first and the last."""


def run(shown: MobRun) -> Markup:
    """A run in depth."""
    return together(
        head("run", str(shown.run_id), pill(shown.status)),
        facts(
            [
                ("mob", named(shown.mob_id)),
                ("flow", named(shown.flow_id)),
                ("flow state", phase(shown.flow_state)),
                ("created", moment(shown.created_at)),
                ("ended", moment(shown.completed_at) if shown.completed_at else None),
                ("took", _took(shown)),
                ("params", value(shown.activation_params)),
            ]
        ),
        timeline(shown.step_ledger),
        _tree(shown),
        _failures(shown.failure_ledger),
        _outputs(shown),
    )


def _took(shown: MobRun) -> str:
    begun = instant(shown.created_at)
    ended = shown.completed_at and instant(shown.completed_at)
    return span(ended - begun) if begun and ended else ""


def _tree(shown: MobRun) -> Markup | None:
    tree = branches_of(shown)
    if not tree:
        return None

    first, omitted, last = ends(tree, BRANCHES)
    most = share(NODES, len(first) + len(last))

    def line(branch: Branch) -> Markup:
        snapshot: FrameSnapshot | LoopSnapshot
        if branch.of == "frame":
            snapshot = shown.frames[FrameId(branch.id)]
        else:
            snapshot = shown.loops[LoopInstanceId(branch.id)]
        return _line(branch, snapshot.kernel_state, most)

    frames, loops = count(len(shown.frames), "frame"), count(len(shown.loops), "loop")
    return together(
        block("title", f"{frames}, {loops}"),
        *map(line, first),
        left_out(omitted, "frame or loop", "frames and loops"),
        *map(line, last),
    )


def _line(branch: Branch, state: KernelState, most: int) -> Markup:
    told = None if branch.iteration is None else f"iteration {branch.iteration}"
    content: list[Content] = [inline("quiet", branch.of), element("b", named(branch.label))]
    content += [inline("quiet", told) if told else None, pill(phase(state))]
    if branch.of == "frame":
        content.append(_nodes(state, most))
    depth = min(branch.depth, DEEPEST)
    return block("branch", *content, title=branch.id, style=f"--ms-depth:{depth}")


def _nodes(state: KernelState, most: int) -> Markup | None:
    try:
        first, omitted, last = ends(nodes(state), most)
    except SerializationError:
        return None  # its phase says so
    more = inline("quiet", f"… {count(omitted, 'node')} not shown … ") if omitted else None
    return element("span", *map(_node, first), more, *map(_node, last))


def _node(node: Node) -> Markup:
    name = cut(named(node.node_id), 60)
    return inline(
        "node",
        f"{mark(node.status)} {name}",
        title=f"{name}: {node.status}" if node.status else name,
        data_status=node.status.lower(),
    )


def _failures(ledger: Sequence[FailureLedgerEntry]) -> Markup | None:
    if not ledger:
        return None

    def row(entry: FailureLedgerEntry) -> tuple[Content, ...]:
        return moment(entry.timestamp), named(entry.step_id), long(entry.reason)

    columns = ("time", "step", "reason")
    listed = table(columns, ledger, row, most=FAILURES, noun="failure")
    return together(block("title", count(len(ledger), "failure")), listed)


def _outputs(shown: MobRun) -> Markup | None:
    outputs: list[tuple[str, str, object]] = [
        ("", step, output) for step, output in shown.root_step_outputs.items()
    ]
    outputs += [
        (f"{named(loop)} [{number}]", step, output)
        for loop, iterations in shown.loop_iteration_outputs.items()
        for number, iteration in enumerate(iterations)
        for step, output in iteration.items()
    ]
    if not outputs:
        return None

    def row(output: tuple[str, str, object]) -> tuple[Content, ...]:
        return output[0], named(output[1]), long(value(output[2]))

    listed = table(("loop", "step", "output"), outputs, row, most=OUTPUTS, noun="output")
    return folded(count(len(outputs), "output"), listed)
