"""Results as tables for people. Stored text is shown, never obeyed: no markup, no control codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from mobstore.cli.output import cell
from mobstore.cli.table import AdaptiveTable
from mobstore.errors import SerializationError
from mobstore.maintenance.transfer import Summary
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.kernel import KernelState
from mobstore.model.overview import Overview
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import (
    FailureLedgerEntry,
    FrameSnapshot,
    LoopSnapshot,
    MobRun,
    StepLedgerEntry,
)
from mobstore.model.text import count
from mobstore.notebook.formatting import fields, moment, named, value as one_line
from mobstore.notebook.markup import DEEPEST, ends
from mobstore.notebook.tabular import fields_of
from mobstore.notebook.tree import Branch, branches_of, nodes, phase
from mobstore.operations.overview import RunSummary

T = TypeVar("T")

_COLORS = {
    "completed": "green",
    "running": "cyan",
    "dispatched": "cyan",
    "failed": "red",
    "canceled": "yellow",
    "skipped": "yellow",
    "pending": "dim",
}


ROWS = 1_000
"""Lines of a table or tree: the first and the last; the others are counted."""

_VALUE = 60  # characters of a value in a cell
_GAP = Text("  ")


def overview(console: Console, url: str, found: Overview, medium: Mapping[str, str]) -> None:
    """How much a store holds, and what is known of its medium."""
    shown = AdaptiveTable(url, "", "", right=[1])
    for name, value in fields_of(found, without=("mobs",)).items():
        shown.add_row(name.replace("_", " "), f"{value:,}" if type(value) is int else value)
    for name, known in medium.items():
        shown.add_row(name, known)
    console.print(shown)


class Lines:
    """The lines of a long list, printed as a table whenever there are `ROWS` of them.

    Leaving it prints the rest; an empty table if there was no line, unless an error says why.
    """

    def __init__(self, console: Console, make: Callable[[], AdaptiveTable]) -> None:
        self._console, self._make = console, make
        self._sheet, self._is_printed = make(), False

    def add(self, *cells: object) -> None:
        """Add a line."""
        self._sheet.add_row(*cells)
        if len(self._sheet.rows) == ROWS:
            self._print()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._sheet.rows or not (self._is_printed or error):
            self._print()

    def _print(self) -> None:
        sheet, self._sheet, self._is_printed = self._sheet, self._make(), True
        self._console.print(sheet)


def events(console: Console) -> Lines:
    """A table for events; see `event_cells`."""
    return Lines(
        console, lambda: AdaptiveTable("events", "cursor", "time", "mob", "kind", "what", right=[0])
    )


def event_cells(event: MobEvent) -> Sequence[object]:
    """An event as a line of a table."""
    return event.cursor, moment(event.timestamp), event.mob_id, event.kind.type, _what(event)


def event_line(console: Console, event: MobEvent) -> None:
    """One event as a line of its own, for those who follow the log."""
    parts = [
        cell(f"{event.cursor:>8}"),
        cell(moment(event.timestamp)),
        cell(event.mob_id, "bold"),
        cell(event.kind.type, "cyan"),
        cell(_what(event), "dim"),
    ]
    console.print(_GAP.join(parts), soft_wrap=True)


def runs(console: Console) -> Lines:
    """A table for runs; see `run_cells`."""
    columns = ("run", "mob", "flow", "status", "created", "steps", "failures")
    return Lines(console, lambda: AdaptiveTable("runs", *columns))


def run_cells(line: RunSummary) -> Sequence[object]:
    """A run as a line of a table."""
    run, steps, failures = line
    created = moment(run.created_at)
    return run.run_id, run.mob_id, run.flow_id, status(run.status), created, steps, failures


def run(console: Console, found: MobRun, timeline: AdaptiveTable) -> None:
    """One run: its head, its frames and loops, its timeline, its ledgers and outputs."""
    names = Text(" / ").join([cell(found.mob_id), cell(found.flow_id)])
    console.print(_GAP.join([cell(f"run {found.run_id}", "bold"), names, status(found.status)]))
    times = f"created {moment(found.created_at)}, completed {moment(found.completed_at)}"
    console.print(cell(f"{times}, flow state {phase(found.flow_state)}"))
    _tree(console, found)
    console.print(timeline)

    def step(of: StepLedgerEntry) -> Sequence[object]:
        output = one_line(of.output, _VALUE)
        return moment(of.timestamp), of.step_id, of.meerkat_id, status(of.status), output

    steps = AdaptiveTable("step ledger", "time", "step", "member", "status", "output")
    _ends(console, steps, found.step_ledger, step)

    def failure(of: FailureLedgerEntry) -> Sequence[object]:
        return moment(of.timestamp), of.step_id, of.reason

    if found.failure_ledger:
        failures = AdaptiveTable("failure ledger", "time", "step", "reason")
        _ends(console, failures, found.failure_ledger, failure)

    def output(of: tuple[str | None, int, str, object]) -> Sequence[object]:
        loop_id, number, step_id, value = of
        where = "flow" if loop_id is None else f"{loop_id} [{number}]"
        return where, step_id, one_line(value, _VALUE)

    given: list[tuple[str | None, int, str, object]] = [
        (None, 0, step_id, value) for step_id, value in found.root_step_outputs.items()
    ]
    given += [
        (loop_id, number, step_id, value)
        for loop_id, iterations in found.loop_iteration_outputs.items()
        for number, iteration in enumerate(iterations)
        for step_id, value in iteration.items()
    ]
    if given:
        _ends(console, AdaptiveTable("outputs", "of", "step", "output"), given, output)


def _ends(
    console: Console, sheet: AdaptiveTable, items: Sequence[T], row: Callable[[T], Sequence[object]]
) -> None:
    """The first and the last of many items, and how many are left out between them."""
    first, omitted, last = ends(items, ROWS)
    for item in first:
        sheet.add_row(*row(item))
    if omitted:
        sheet.add_row(*("…" for _ in sheet.columns))
    for item in last:
        sheet.add_row(*row(item))
    console.print(sheet)
    _left_out(console, omitted)


def _left_out(console: Console, number: int) -> None:
    if number:
        console.print(cell(f"{number:,} more between the first and the last; --json tells all"))


def specs(console: Console) -> Lines:
    """A table for specs; see `spec_cells`."""
    return Lines(console, lambda: AdaptiveTable("specs", "mob", "revision", "profiles", "flows"))


def spec_cells(mob_id: str, definition: MobDefinition, revision: int) -> Sequence[object]:
    """A spec as a line of a table."""
    return mob_id, revision, ", ".join(definition.profiles), ", ".join(definition.flows)


def profiles(console: Console) -> Lines:
    """A table for realm profiles; see `profile_cells`."""
    columns = ("name", "revision", "model", "updated", "description")
    return Lines(console, lambda: AdaptiveTable("realm profiles", *columns))


def profile_cells(stored: StoredRealmProfile) -> Sequence[object]:
    """A realm profile as a line of a table."""
    profile, updated = stored.profile, moment(stored.updated_at)
    return stored.name, stored.revision, profile.model, updated, profile.peer_description


def moved(console: Console, done: str, summary: Summary, left_out: Iterable[object] = ()) -> None:
    """What was copied, exported or imported."""
    console.print(
        f"{done} {count(summary.events, 'event')}, {count(summary.runs, 'run')},"
        f" {count(summary.specs, 'spec')}, {count(summary.realm_profiles, 'realm profile')}"
    )
    for unreadable in left_out:
        console.print(cell(f"left out: {unreadable}", "yellow"))


def _what(event: MobEvent) -> str:
    return fields(fields_of(event.kind, without=("type",)))


def _tree(console: Console, found: MobRun) -> None:
    """Frames and loops as they lie in each other, in the order of notebooks and of the page."""
    frames, loops = count(len(found.frames), "frame"), count(len(found.loops), "loop")
    trunk = Tree(f"{frames}, {loops}")
    open_at: list[Tree] = [trunk]  # by depth
    first, omitted, last = ends(branches_of(found), ROWS)
    for branch in (*first, *last):
        of = found.frames if branch.of == "frame" else found.loops
        snapshot: FrameSnapshot | LoopSnapshot = cast("Any", of)[branch.id]
        # What is left out between the two may hold what the last lie in.
        del open_at[min(branch.depth, DEEPEST) + 1 :]
        open_at.append(open_at[-1].add(_line(branch, snapshot.kernel_state)))
    console.print(trunk)
    _left_out(console, omitted)


def _line(branch: Branch, state: KernelState) -> Text:
    parts = [Text(" ").join([cell(branch.of, "dim"), cell(named(branch.label), "bold")])]
    if branch.iteration is not None:
        parts.append(cell(f"iteration {branch.iteration:,}", "dim"))
    parts.append(status(phase(state)))
    if branch.of == "frame" and (told := _nodes(state)):
        parts.append(cell(told, "dim"))
    return _GAP.join(parts)


def _nodes(state: KernelState) -> str:
    try:
        found = nodes(state)
    except SerializationError:
        return ""  # its phase says so
    return ", ".join(f"{named(node.node_id)}={node.status}" for node in found)


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


def status(name: str) -> Text:
    """The status of a run, step or node, in its colour."""
    return cell(name, _COLORS.get(name.lower(), ""))
