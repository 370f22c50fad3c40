"""Results as tables for people. Stored text is shown, never obeyed: no markup, no control codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from mobstore.cli.output import LONGEST_CELL, cell
from mobstore.cli.queries import Inventory, RunLine
from mobstore.cli.sheet import Sheet
from mobstore.dicts import fields_of
from mobstore.displays.markup import DEEPEST, ends
from mobstore.displays.texts import fields, moment, named
from mobstore.displays.texts import value as one_line
from mobstore.displays.tree import Branch, branches_of, nodes, phase
from mobstore.errors import SerializationError
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.kernel import KernelState
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import (
    FailureLedgerEntry,
    FrameSnapshot,
    LoopSnapshot,
    MobRun,
    StepLedgerEntry,
)
from mobstore.model.shown import count, cut
from mobstore.transfer import Summary

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


def inventory(console: Console, url: str, found: Inventory, medium: Mapping[str, str]) -> None:
    """How much a store holds, and what is known of its medium."""
    shown = Sheet(url, "", "", right=[1])
    for name, value in found._asdict().items():
        shown.add_row(name.replace("_", " "), f"{value:,}" if type(value) is int else value)
    for name, known in medium.items():
        shown.add_row(name, known)
    console.print(shown)


def events(console: Console, found: Iterable[MobEvent]) -> None:
    """Events, one a line."""
    shown = Sheet("events", "cursor", "time", "mob", "kind", "what", right=[0])
    for event in found:
        shown.add_row(
            event.cursor, moment(event.timestamp), event.mob_id, event.kind.type, _what(event)
        )
    console.print(shown)


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


def runs(console: Console, found: Iterable[RunLine]) -> None:
    """Runs, one a line."""
    shown = Sheet("runs", "run", "mob", "flow", "status", "created", "steps", "failures")
    for run, steps, failures in found:
        shown.add_row(
            run.run_id, run.mob_id, run.flow_id, status(run.status),
            moment(run.created_at), steps, failures,
        )  # fmt: skip
    console.print(shown)


def run(console: Console, found: MobRun, timeline: Sheet) -> None:
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

    steps = Sheet("step ledger", "time", "step", "member", "status", "output")
    _ends(console, steps, found.step_ledger, step)

    def failure(of: FailureLedgerEntry) -> Sequence[object]:
        return moment(of.timestamp), of.step_id, of.reason

    if found.failure_ledger:
        failures = Sheet("failure ledger", "time", "step", "reason")
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
        _ends(console, Sheet("outputs", "of", "step", "output"), given, output)


def _ends(
    console: Console, sheet: Sheet, items: Sequence[T], row: Callable[[T], Sequence[object]]
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


class SpecLine(NamedTuple):
    """A spec in a list: what it is of, and names of what it defines."""

    mob_id: str
    revision: int
    profiles: str
    flows: str

    @classmethod
    def of(cls, mob_id: str, revision: int, definition: MobDefinition) -> SpecLine:
        """What a list shows of a definition; the rest of it need not be kept."""
        names = (", ".join(part) for part in (definition.profiles, definition.flows))
        return cls(mob_id, revision, *(cut(text, LONGEST_CELL) for text in names))


def specs(console: Console, found: Iterable[SpecLine]) -> None:
    """Specs, one a line."""
    shown = Sheet("specs", "mob", "revision", "profiles", "flows")
    for spec in found:
        shown.add_row(*spec)
    console.print(shown)


def profiles(console: Console, found: Iterable[StoredRealmProfile]) -> None:
    """Realm profiles, one a line."""
    shown = Sheet("realm profiles", "name", "revision", "model", "updated", "description")
    for stored in found:
        shown.add_row(
            stored.name, stored.revision, stored.profile.model,
            moment(stored.updated_at), stored.profile.peer_description,
        )  # fmt: skip
    console.print(shown)


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
