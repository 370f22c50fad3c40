"""The timeline of a run in a terminal: a line for each step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from mobstore.cli import display
from mobstore.cli.table import AdaptiveTable
from mobstore.model.run import StepLedgerEntry
from mobstore.notebook.bars import Bar, bars
from mobstore.notebook.formatting import format_duration, to_datetime

STEPS = 40
"""Steps: the last ones, because a reader looks for what happens now."""

_WIDTH, _LEAST = 40, 10
"""Characters of a bar's column, and its least width."""


def timeline(
    ledger: Sequence[StepLedgerEntry], *, width: int = 140, ascii_only: bool = False
) -> AdaptiveTable:
    """Return the steps in the order of their first entries, for a terminal of a width."""
    found = bars((entry.step_id, entry.meerkat_id, entry.status) for entry in ledger)
    drawn = [times for bar in found[-STEPS:] if (times := _times(bar, ledger))]
    title = "timeline" if len(drawn) == len(found) else f"timeline of the last {len(drawn)} steps"
    table = AdaptiveTable(title, "member", "step", "when", "took", "status")
    if not drawn:
        return table
    first_start = min(start for _, start, _ in drawn)
    last_time = max(time for _, start, end in drawn for time in (start, end) if time)
    whole = (last_time - first_start).total_seconds() or 1.0
    for bar, start, end in drawn:
        took = format_duration(end - start) if end else "running"
        table.add_row(bar.member_id, bar.step_id, "", took, display.status(bar.status))
    room = max(_LEAST, min(_WIDTH, width - table.least_width() + len("when")))
    for row, (bar, start, end) in zip(table.rows, drawn, strict=True):
        first = int((room - 1) * (start - first_start).total_seconds() / whole)
        last = int((room - 1) * ((end or last_time) - first_start).total_seconds() / whole)
        line = " " * first + ("=" if ascii_only else "━") * max(1, last - first + 1)
        row[2] = Text(line.ljust(room), style=display.status(bar.status).style)
    return table


def _times(
    bar: Bar, ledger: Sequence[StepLedgerEntry]
) -> tuple[Bar, datetime, datetime | None] | None:
    start = to_datetime(ledger[bar.first].timestamp)
    end = None if bar.end is None else to_datetime(ledger[bar.end].timestamp)
    return None if start is None else (bar, start, end)
