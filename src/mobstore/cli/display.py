"""Results as tables for people. Stored text is shown, never obeyed: no markup, no control codes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from mobstore.cli.queries import Inventory, RunLine
from mobstore.displays.texts import moment
from mobstore.meerkat import Unreadable
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.kernel import KernelState, NamedVariant
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import FrameSnapshot, LoopSnapshot, MobRun
from mobstore.model.shown import cut, plain
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


# Never broken to fit a narrow terminal: ids and times are for copying.
_WHOLE = {"run", "cursor", "time", "created", "status", "steps", "revision", "updated"}


def inventory(console: Console, url: str, found: Inventory) -> None:
    """How much a store holds."""
    shown = table(plain(url), "", "")
    shown.columns[1].justify = "right"
    for name, value in found._asdict().items():
        shown.add_row(name.replace("_", " "), f"{value:,}" if type(value) is int else str(value))
    console.print(shown)


def events(console: Console, found: Iterable[MobEvent]) -> None:
    """Events, one a line."""
    shown = table("events", "cursor", "time", "mob", "kind", "what")
    shown.columns[0].justify = "right"
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
    shown = table("runs", "run", "mob", "flow", "status", "created", "steps", "failures")
    for run, steps, failures in found:
        shown.add_row(
            str(run.run_id), cell(run.mob_id), cell(run.flow_id), status(run.status),
            moment(run.created_at), str(steps), str(failures),
        )  # fmt: skip
    console.print(shown)


def run(console: Console, found: MobRun, timeline: Table) -> None:
    """One run: its head, its frames and loops, its timeline, its ledgers and outputs."""
    head = Text.assemble(
        (f"run {found.run_id}", "bold"),
        f"  {plain(found.mob_id)} / {plain(found.flow_id)}  ",
        status(found.status),
    )
    console.print(head)
    console.print(
        f"created {moment(found.created_at)}, completed {moment(found.completed_at)},"
        f" flow state {plain(found.flow_state.phase)}",
        markup=False,
    )
    console.print(_tree(found))
    console.print(timeline)
    steps = table("step ledger", "time", "step", "member", "status", "output")
    for step in found.step_ledger:
        steps.add_row(
            moment(step.timestamp), cell(step.step_id), cell(step.meerkat_id),
            status(step.status), cell("" if step.output is None else _short(step.output)),
        )  # fmt: skip
    console.print(steps)
    if found.failure_ledger:
        failures = table("failure ledger", "time", "step", "reason")
        for failure in found.failure_ledger:
            failures.add_row(moment(failure.timestamp), cell(failure.step_id), cell(failure.reason))
        console.print(failures)
    outputs = table("outputs", "of", "step", "output")
    for step_id, output in found.root_step_outputs.items():
        outputs.add_row("flow", cell(step_id), cell(_short(output)))
    for loop_id, iterations in found.loop_iteration_outputs.items():
        for number, iteration in enumerate(iterations):
            for step_id, output in iteration.items():
                of = cell(f"{loop_id} [{number}]")
                outputs.add_row(of, cell(step_id), cell(_short(output)))
    if outputs.row_count:
        console.print(outputs)


def specs(console: Console, found: Iterable[tuple[str, MobDefinition, int]]) -> None:
    """Specs, one a line."""
    shown = table("specs", "mob", "revision", "profiles", "flows")
    for mob_id, definition, revision in found:
        shown.add_row(
            cell(mob_id), str(revision),
            cell(", ".join(definition.profiles)), cell(", ".join(definition.flows)),
        )  # fmt: skip
    console.print(shown)


def profiles(console: Console, found: Iterable[StoredRealmProfile]) -> None:
    """Realm profiles, one a line."""
    shown = table("realm profiles", "name", "revision", "model", "updated", "description")
    for stored in found:
        shown.add_row(
            cell(stored.name), str(stored.revision), cell(stored.profile.model),
            moment(stored.updated_at), cell(stored.profile.peer_description),
        )  # fmt: skip
    console.print(shown)


def moved(
    console: Console, done: str, summary: Summary, left_out: Iterable[Unreadable] = ()
) -> None:
    """What was copied, exported or imported."""
    console.print(
        f"{done} {_count(summary.events, 'event')}, {_count(summary.runs, 'run')},"
        f" {_count(summary.specs, 'spec')}, {_count(summary.realm_profiles, 'realm profile')}",
        highlight=False,
    )
    for unreadable in left_out:
        console.print(Text(plain(f"left out: {unreadable}"), style="yellow"))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _what(event: MobEvent) -> str:
    kind = event.kind.model_dump(mode="json", exclude={"type"})
    return " ".join(f"{key}={_short(value, 36)}" for key, value in kind.items())


def _tree(found: MobRun) -> Tree:
    """Frames and loops as they lie in each other, told from their ids: frame::node::iter-n."""
    trunk = Tree("frames and loops")
    branches: dict[str, Tree] = {}
    places: list[tuple[str, FrameSnapshot | LoopSnapshot]]
    places = [*found.frames.items(), *found.loops.items()]
    for place, snapshot in sorted(places, key=lambda item: item[0]):
        above = branches.get(place.rpartition("::")[0], trunk)
        branches[place] = above.add(_state_line(place, snapshot.kernel_state))
    return trunk


def _state_line(place: str, state: KernelState) -> Text:
    fields = state.fields
    line = Text(plain(place), style="bold")
    line.append(f"  {plain(state.phase)}", style="not bold")
    nodes = fields.get("node_status")
    if isinstance(nodes, Mapping):
        shown = ", ".join(
            f"{node}={status.variant if isinstance(status, NamedVariant) else status}"
            for node, status in nodes.items()
        )
        line.append(f"  {plain(shown)}", style="not bold dim")
    if "max_iterations" in fields:
        counted = f"  iteration {fields.get('current_iteration')} of {fields['max_iterations']}"
        line.append(plain(counted), style="not bold dim")
    return line


def table(title: str, *columns: str) -> Table:
    """A table with a title; without names of columns it has no head."""
    made = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        show_header=any(columns),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    return made


def console() -> Console:
    """Where results go; wide if nobody is looking, so that a pipe does not break lines."""
    out = Console()
    return out if out.is_terminal else Console(width=140)


def cell(value: object) -> Text:
    """Stored text for a cell."""
    return Text(plain(value))


def status(name: str) -> Text:
    """The status of a run, step or node, in its colour."""
    return Text(plain(name), style=_COLORS.get(name, ""))


def _short(value: Any, most: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, most)
