"""Results as tables and text. Stored text is never interpreted: no markup, no control codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, cast

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from mobstore.cli.console import cell
from mobstore.cli.table import AdaptiveTable
from mobstore.errors import SerializationError
from mobstore.model.claim import Claim
from mobstore.model.consumer import Consumer
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
from mobstore.model.text import count
from mobstore.model.timestamp import Timestamp
from mobstore.notebook.formatting import format_fields, format_time, format_value, name_text
from mobstore.notebook.markup import DEEPEST, first_and_last
from mobstore.notebook.tabular import fields_of
from mobstore.notebook.tree import Branch, nodes, phase, run_branches
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
"""Rows of a table or tree: the first and the last; the others are counted."""

_VALUE = 60  # characters of a value in a cell
_GAP = Text("  ")


class LongTable:
    """A table that is printed in parts of `ROWS` rows.

    The end of the block prints the last part. Without rows it prints an empty table, unless an
    error is raised.
    """

    def __init__(self, console: Console, make: Callable[[], AdaptiveTable]) -> None:
        self._console, self._make = console, make
        self._table, self._is_printed = make(), False

    def add(self, *cells: object) -> None:
        """Add a row."""
        self._table.add_row(*cells)
        if len(self._table.rows) == ROWS:
            self._print()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._table.rows or not (self._is_printed or error):
            self._print()

    def _print(self) -> None:
        table, self._table, self._is_printed = self._table, self._make(), True
        self._console.print(table)


def events_table(console: Console) -> LongTable:
    """Return a table for rows of `event_cells`."""
    return LongTable(
        console, lambda: AdaptiveTable("events", "cursor", "time", "mob", "kind", "what", right=[0])
    )


def event_cells(event: MobEvent) -> Sequence[object]:
    """Return an event as a row."""
    return (
        event.cursor,
        format_time(event.timestamp),
        event.mob_id,
        event.kind.type,
        _details(event),
    )


def print_event(console: Console, event: MobEvent) -> None:
    """Print an event as a line, for `--follow`."""
    parts = [
        cell(f"{event.cursor:>8}"),
        cell(format_time(event.timestamp)),
        cell(event.mob_id, "bold"),
        cell(event.kind.type, "cyan"),
        cell(_details(event), "dim"),
    ]
    console.print(_GAP.join(parts), soft_wrap=True)


def runs_table(console: Console) -> LongTable:
    """Return a table for rows of `run_cells`."""
    columns = ("run", "mob", "flow", "status", "created", "steps", "failures", "holder", "due")
    return LongTable(console, lambda: AdaptiveTable("runs", *columns))


def run_cells(summary: RunSummary, now: Timestamp) -> Sequence[object]:
    """Return a run as a row; a time at which it is due only if that is not now."""
    run, steps, failures = summary
    due = run.due_at if run.due_at is not None and (run.holder or run.due_at > now) else None
    return (
        run.run_id,
        run.mob_id,
        run.flow_id,
        status(run.status),
        format_time(run.created_at),
        steps,
        failures,
        run.holder or "",
        "" if due is None else format_time(due),
    )


def claims_table(console: Console) -> LongTable:
    """Return a table for rows of `claim_cells`."""
    columns = ("claim", "holder", "epoch", "expires", "status")
    return LongTable(console, lambda: AdaptiveTable("claims", *columns, right=[2]))


def claim_cells(claim: Claim, now: Timestamp) -> Sequence[object]:
    """Return a claim as a row."""
    state = "expired" if claim.expires_at <= now else "held"
    return claim.name, claim.holder, claim.epoch, format_time(claim.expires_at), state


def print_run(console: Console, found: MobRun, timeline: AdaptiveTable) -> None:
    """Print a run: its header, its frames and loops, its timeline, its ledgers and outputs."""
    names = Text(" / ").join([cell(found.mob_id), cell(found.flow_id)])
    console.print(_GAP.join([cell(f"run {found.run_id}", "bold"), names, status(found.status)]))
    times = f"created {format_time(found.created_at)}, completed {format_time(found.completed_at)}"
    console.print(cell(f"{times}, flow state {phase(found.flow_state)}"))
    _print_tree(console, found)
    console.print(timeline)

    def step(entry: StepLedgerEntry) -> Sequence[object]:
        time, output = format_time(entry.timestamp), format_value(entry.output, _VALUE)
        return time, entry.step_id, entry.meerkat_id, status(entry.status), output

    steps = AdaptiveTable("step ledger", "time", "step", "member", "status", "output")
    _print_ends(console, steps, found.step_ledger, step)

    def failure(entry: FailureLedgerEntry) -> Sequence[object]:
        return format_time(entry.timestamp), entry.step_id, entry.reason

    if found.failure_ledger:
        failures = AdaptiveTable("failure ledger", "time", "step", "reason")
        _print_ends(console, failures, found.failure_ledger, failure)

    def output(one: tuple[str | None, int, str, object]) -> Sequence[object]:
        loop_id, number, step_id, value = one
        where = "flow" if loop_id is None else f"{loop_id} [{number}]"
        return where, step_id, format_value(value, _VALUE)

    outputs: list[tuple[str | None, int, str, object]] = [
        (None, 0, step_id, value) for step_id, value in found.root_step_outputs.items()
    ]
    outputs += [
        (loop_id, number, step_id, value)
        for loop_id, iterations in found.loop_iteration_outputs.items()
        for number, iteration in enumerate(iterations)
        for step_id, value in iteration.items()
    ]
    if outputs:
        _print_ends(console, AdaptiveTable("outputs", "of", "step", "output"), outputs, output)


def _print_ends(
    console: Console, table: AdaptiveTable, items: Sequence[T], row: Callable[[T], Sequence[object]]
) -> None:
    """Print the first and the last items, and how many are omitted between them."""
    first, omitted, last = first_and_last(items, ROWS)
    for item in first:
        table.add_row(*row(item))
    if omitted:
        table.add_row(*("…" for _ in table.columns))
    for item in last:
        table.add_row(*row(item))
    console.print(table)
    _print_omission(console, omitted)


def _print_omission(console: Console, number: int) -> None:
    if number:
        console.print(
            cell(f"{number:,} more between the first and the last; use --json to print all")
        )


def specs_table(console: Console) -> LongTable:
    """Return a table for rows of `spec_cells`."""
    return LongTable(
        console, lambda: AdaptiveTable("specs", "mob", "revision", "profiles", "flows")
    )


def spec_cells(mob_id: str, definition: MobDefinition, revision: int) -> Sequence[object]:
    """Return a spec as a row."""
    return mob_id, revision, ", ".join(definition.profiles), ", ".join(definition.flows)


def profiles_table(console: Console) -> LongTable:
    """Return a table for rows of `profile_cells`."""
    columns = ("name", "revision", "model", "updated", "description")
    return LongTable(console, lambda: AdaptiveTable("realm profiles", *columns))


def profile_cells(stored: StoredRealmProfile) -> Sequence[object]:
    """Return a realm profile as a row."""
    profile, updated = stored.profile, format_time(stored.updated_at)
    return stored.name, stored.revision, profile.model, updated, profile.peer_description


def consumers_table(console: Console) -> LongTable:
    """Return a table for rows of `consumer_cells`."""
    columns = ("name", "cursor", "behind", "updated")
    return LongTable(console, lambda: AdaptiveTable("consumers", *columns, right=(1, 2)))


def consumer_cells(consumer: Consumer, behind: int | None) -> Sequence[object]:
    """Return a consumer as a row, with how many cursors it is behind; None: it is stale."""
    updated = format_time(consumer.updated_at)
    return consumer.name, consumer.cursor, "stale" if behind is None else behind, updated


def _details(event: MobEvent) -> str:
    return format_fields(fields_of(event.kind, without=("type",)))


def _print_tree(console: Console, found: MobRun) -> None:
    """Print the tree of frames and loops, in the same order as notebooks and the page."""
    frames, loops = count(len(found.frames), "frame"), count(len(found.loops), "loop")
    trunk = Tree(f"{frames}, {loops}")
    open_branches: list[Tree] = [trunk]  # by depth
    first, omitted, last = first_and_last(run_branches(found), ROWS)
    for branch in (*first, *last):
        of = found.frames if branch.of == "frame" else found.loops
        snapshot: FrameSnapshot | LoopSnapshot = cast("Any", of)[branch.id]
        # The parent of one of the last branches may be among the omitted.
        del open_branches[min(branch.depth, DEEPEST) + 1 :]
        open_branches.append(open_branches[-1].add(_line(branch, snapshot.kernel_state)))
    console.print(trunk)
    _print_omission(console, omitted)


def _line(branch: Branch, state: KernelState) -> Text:
    parts = [Text(" ").join([cell(branch.of, "dim"), cell(name_text(branch.label), "bold")])]
    if branch.iteration is not None:
        parts.append(cell(f"iteration {branch.iteration:,}", "dim"))
    parts.append(status(phase(state)))
    if branch.of == "frame" and (text := _nodes(state)):
        parts.append(cell(text, "dim"))
    return _GAP.join(parts)


def _nodes(state: KernelState) -> str:
    try:
        found = nodes(state)
    except SerializationError:
        return ""  # the phase shows it
    return ", ".join(f"{name_text(node.node_id)}={node.status}" for node in found)


def status(name: str) -> Text:
    """Return the status of a run, step or node in its colour."""
    return cell(name, _COLORS.get(name.lower(), ""))
