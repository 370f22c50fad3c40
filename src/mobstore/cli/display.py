"""Results as tables for people. Stored text is shown, never obeyed: no markup, no control codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from mobstore.cli.output import fitting
from mobstore.cli.queries import Inventory, RunLine
from mobstore.cli.sheet import Sheet
from mobstore.dicts import fields_of
from mobstore.displays.texts import fields, moment, named
from mobstore.displays.texts import value as one_line
from mobstore.displays.tree import Branch, branches_of, nodes, phase
from mobstore.errors import SerializationError
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.kernel import KernelState
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import FrameSnapshot, LoopSnapshot, MobRun
from mobstore.model.shown import count, plain
from mobstore.transfer import Summary

_COLORS = {
    "completed": "green",
    "running": "cyan",
    "dispatched": "cyan",
    "failed": "red",
    "canceled": "yellow",
    "skipped": "yellow",
    "pending": "dim",
}


_VALUE = 60  # characters of a value in a cell


def inventory(console: Console, url: str, found: Inventory, medium: Mapping[str, str]) -> None:
    """How much a store holds, and what is known of its medium."""
    shown = Sheet(plain(url), "", "", right=[1])
    for name, value in found._asdict().items():
        shown.add_row(name.replace("_", " "), f"{value:,}" if type(value) is int else str(value))
    for name, known in medium.items():
        shown.add_row(name, known)
    console.print(shown)


def events(console: Console, found: Iterable[MobEvent]) -> None:
    """Events, one a line."""
    shown = Sheet("events", "cursor", "time", "mob", "kind", "what", right=[0])
    for event in found:
        shown.add_row(
            str(event.cursor), moment(event.timestamp), cell(event.mob_id),
            event.kind.type, cell(_what(event)),
        )  # fmt: skip
    console.print(shown)


def event_line(console: Console, event: MobEvent) -> None:
    """One event as a line of its own, for those who follow the log."""
    line = Text(f"{event.cursor:>8}  {moment(event.timestamp)}  ")
    line.append(plain(event.mob_id), style="bold")
    line.append(f"  {event.kind.type}  ", style="cyan")
    line.append(plain(_what(event)), style="dim")
    console.print(line, soft_wrap=True)


def runs(console: Console, found: Iterable[RunLine]) -> None:
    """Runs, one a line."""
    shown = Sheet("runs", "run", "mob", "flow", "status", "created", "steps", "failures")
    for run, steps, failures in found:
        shown.add_row(
            str(run.run_id), cell(run.mob_id), cell(run.flow_id), status(run.status),
            moment(run.created_at), str(steps), str(failures),
        )  # fmt: skip
    console.print(shown)


def run(console: Console, found: MobRun, timeline: Sheet) -> None:
    """One run: its head, its frames and loops, its timeline, its ledgers and outputs."""
    head = Text.assemble(
        (f"run {found.run_id}", "bold"),
        f"  {plain(found.mob_id)} / {plain(found.flow_id)}  ",
        status(found.status),
    )
    console.print(head)
    console.print(
        f"created {moment(found.created_at)}, completed {moment(found.completed_at)},"
        f" flow state {plain(phase(found.flow_state))}"
    )
    console.print(_tree(found))
    console.print(timeline)
    steps = Sheet("step ledger", "time", "step", "member", "status", "output")
    for step in found.step_ledger:
        steps.add_row(
            moment(step.timestamp), cell(step.step_id), cell(step.meerkat_id),
            status(step.status), cell(one_line(step.output, _VALUE)),
        )  # fmt: skip
    console.print(steps)
    if found.failure_ledger:
        failures = Sheet("failure ledger", "time", "step", "reason")
        for failure in found.failure_ledger:
            failures.add_row(moment(failure.timestamp), cell(failure.step_id), cell(failure.reason))
        console.print(failures)
    outputs = Sheet("outputs", "of", "step", "output")
    for step_id, output in found.root_step_outputs.items():
        outputs.add_row("flow", cell(step_id), cell(one_line(output, _VALUE)))
    for loop_id, iterations in found.loop_iteration_outputs.items():
        for number, iteration in enumerate(iterations):
            for step_id, output in iteration.items():
                of = cell(f"{loop_id} [{number}]")
                outputs.add_row(of, cell(step_id), cell(one_line(output, _VALUE)))
    if outputs.rows:
        console.print(outputs)


def specs(console: Console, found: Iterable[tuple[str, MobDefinition, int]]) -> None:
    """Specs, one a line."""
    shown = Sheet("specs", "mob", "revision", "profiles", "flows")
    for mob_id, definition, revision in found:
        shown.add_row(
            cell(mob_id), str(revision),
            cell(", ".join(definition.profiles)), cell(", ".join(definition.flows)),
        )  # fmt: skip
    console.print(shown)


def profiles(console: Console, found: Iterable[StoredRealmProfile]) -> None:
    """Realm profiles, one a line."""
    shown = Sheet("realm profiles", "name", "revision", "model", "updated", "description")
    for stored in found:
        shown.add_row(
            cell(stored.name), str(stored.revision), cell(stored.profile.model),
            moment(stored.updated_at), cell(stored.profile.peer_description),
        )  # fmt: skip
    console.print(shown)


def moved(console: Console, done: str, summary: Summary, left_out: Iterable[object] = ()) -> None:
    """What was copied, exported or imported."""
    console.print(
        f"{done} {count(summary.events, 'event')}, {count(summary.runs, 'run')},"
        f" {count(summary.specs, 'spec')}, {count(summary.realm_profiles, 'realm profile')}"
    )
    for unreadable in left_out:
        console.print(Text(plain(f"left out: {unreadable}"), style="yellow"))


def _what(event: MobEvent) -> str:
    return fields(fields_of(event.kind, without=("type",)))


def _tree(found: MobRun) -> Tree:
    """Frames and loops as they lie in each other, in the order of notebooks and of the page."""
    frames, loops = count(len(found.frames), "frame"), count(len(found.loops), "loop")
    trunk = Tree(f"{frames}, {loops}")
    open_at: list[Tree] = [trunk]  # by depth
    for branch in branches_of(found):
        of = found.frames if branch.of == "frame" else found.loops
        snapshot: FrameSnapshot | LoopSnapshot = cast("Any", of)[branch.id]
        del open_at[branch.depth + 1 :]
        open_at.append(open_at[-1].add(_line(branch, snapshot.kernel_state)))
    return trunk


def _line(branch: Branch, state: KernelState) -> Text:
    line = Text.assemble((f"{branch.of} ", "dim"), (fitting(plain(named(branch.label))), "bold"))
    if branch.iteration is not None:
        line.append(f"  iteration {branch.iteration:,}", style="dim")
    line.append("  ").append_text(status(phase(state)))
    if branch.of == "frame" and (told := _nodes(state)):
        line.append(f"  {told}", style="dim")
    return line


def _nodes(state: KernelState) -> str:
    try:
        found = nodes(state)
    except SerializationError:
        return ""  # its phase says so
    return fitting(plain(", ".join(f"{named(node.node_id)}={node.status}" for node in found)))


def console(*, stderr: bool = False) -> Console:
    """Where results go; wide if nobody is looking, so that a pipe does not break lines.

    Text is printed as it stands: no markup, no emoji by their names, no colours of its own.
    """
    out = Console(stderr=stderr)
    return Console(
        stderr=stderr,
        width=None if out.is_terminal else 140,
        markup=False,
        emoji=False,
        highlight=False,
    )


def cell(of: object) -> Text:
    """Stored text for a cell."""
    return Text(fitting(plain(of)))


def status(name: str) -> Text:
    """The status of a run, step or node, in its colour."""
    return Text(fitting(plain(name)), style=_COLORS.get(name.lower(), ""))
