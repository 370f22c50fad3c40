"""The display of a run: its header, the tree of its frames and loops, its failures and outputs."""

from __future__ import annotations

from collections.abc import Sequence

from mobstore.errors import SerializationError
from mobstore.model.ids import FrameId, LoopInstanceId
from mobstore.model.kernel import KernelState
from mobstore.model.run import FailureLedgerEntry, FrameSnapshot, LoopSnapshot, MobRun
from mobstore.model.text import count, cut
from mobstore.notebook.formatting import (
    format_duration,
    format_time,
    format_value,
    name_text,
    to_datetime,
)
from mobstore.notebook.markup import (
    DEEPEST,
    Content,
    Markup,
    badge,
    block,
    cell_text,
    details,
    element,
    facts,
    first_and_last,
    heading,
    inline,
    join,
    omission,
    portion,
    symbol,
    table,
)
from mobstore.notebook.timeline import timeline
from mobstore.notebook.tree import Branch, Node, nodes, phase, run_branches

BRANCHES = 60
"""Frames and loops in the tree: the first and the last."""
NODES = 200
"""Nodes in the tree: of each frame the first and the last."""
FAILURES = 12
"""Entries of the failure ledger: the first and the last."""
OUTPUTS = 20
"""Outputs of steps: the first and the last."""


def run(record: MobRun) -> Markup:
    """Show a whole run."""
    return join(
        heading("run", str(record.run_id), badge(record.status)),
        facts(
            [
                ("mob", name_text(record.mob_id)),
                ("flow", name_text(record.flow_id)),
                ("flow state", phase(record.flow_state)),
                ("created", format_time(record.created_at)),
                ("ended", format_time(record.completed_at) if record.completed_at else None),
                ("took", _duration(record)),
                ("params", format_value(record.activation_params)),
            ]
        ),
        timeline(record.step_ledger),
        _tree(record),
        _failures(record.failure_ledger),
        _outputs(record),
    )


def _duration(record: MobRun) -> str:
    start = to_datetime(record.created_at)
    end = record.completed_at and to_datetime(record.completed_at)
    return format_duration(end - start) if start and end else ""


def _tree(record: MobRun) -> Markup | None:
    tree = run_branches(record)
    if not tree:
        return None

    first, omitted, last = first_and_last(tree, BRANCHES)
    most = portion(NODES, len(first) + len(last))

    def line(branch: Branch) -> Markup:
        snapshot: FrameSnapshot | LoopSnapshot
        if branch.of == "frame":
            snapshot = record.frames[FrameId(branch.id)]
        else:
            snapshot = record.loops[LoopInstanceId(branch.id)]
        return _line(branch, snapshot.kernel_state, most)

    frames, loops = count(len(record.frames), "frame"), count(len(record.loops), "loop")
    return join(
        block("title", f"{frames}, {loops}"),
        *map(line, first),
        omission(omitted, "frame or loop", "frames and loops"),
        *map(line, last),
    )


def _line(branch: Branch, state: KernelState, most: int) -> Markup:
    iteration = None if branch.iteration is None else f"iteration {branch.iteration}"
    content: list[Content] = [inline("quiet", branch.of), element("b", name_text(branch.label))]
    content += [inline("quiet", iteration) if iteration else None, badge(phase(state))]
    if branch.of == "frame":
        content.append(_nodes(state, most))
    depth = min(branch.depth, DEEPEST)
    return block("branch", *content, title=branch.id, style={"--ms-depth": str(depth)})


def _nodes(state: KernelState, most: int) -> Markup | None:
    try:
        first, omitted, last = first_and_last(nodes(state), most)
    except SerializationError:
        return None  # the phase shows it
    more = inline("quiet", f"… {count(omitted, 'node')} not shown … ") if omitted else None
    return element("span", *map(_node, first), more, *map(_node, last))


def _node(node: Node) -> Markup:
    name = cut(name_text(node.node_id), 60)
    return inline(
        "node",
        f"{symbol(node.status)} {name}",
        title=f"{name}: {node.status}" if node.status else name,
        data_status=node.status.lower(),
    )


def _failures(ledger: Sequence[FailureLedgerEntry]) -> Markup | None:
    if not ledger:
        return None

    def row(entry: FailureLedgerEntry) -> tuple[Content, ...]:
        return format_time(entry.timestamp), name_text(entry.step_id), cell_text(entry.reason)

    columns = ("time", "step", "reason")
    listed = table(columns, ledger, row, most=FAILURES, noun="failure")
    return join(block("title", count(len(ledger), "failure")), listed)


def _outputs(record: MobRun) -> Markup | None:
    outputs: list[tuple[str, str, object]] = [
        ("", step, output) for step, output in record.root_step_outputs.items()
    ]
    outputs += [
        (f"{name_text(loop)} [{number}]", step, output)
        for loop, iterations in record.loop_iteration_outputs.items()
        for number, iteration in enumerate(iterations)
        for step, output in iteration.items()
    ]
    if not outputs:
        return None

    def row(output: tuple[str, str, object]) -> tuple[Content, ...]:
        return output[0], name_text(output[1]), cell_text(format_value(output[2]))

    listed = table(("loop", "step", "output"), outputs, row, most=OUTPUTS, noun="output")
    return details(count(len(outputs), "output"), listed)
