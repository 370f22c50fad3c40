"""A run's steps over time, for a terminal: a line for each step, drawn where it was at work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from mobstore.cli import display
from mobstore.cli.table import AdaptiveTable
from mobstore.model.run import StepLedgerEntry
from mobstore.notebook.bars import Bar, bars
from mobstore.notebook.formatting import instant, span

STEPS = 40
"""Steps that are drawn: the last, since what happens now is what one looks for."""

_WIDTH, _LEAST = 40, 10
"""Characters of a line where there is room, and the fewest that show anything."""


def timeline(
    ledger: Sequence[StepLedgerEntry], *, width: int = 140, ascii_only: bool = False
) -> AdaptiveTable:
    """The steps in the order in which they began, for a terminal of so many characters."""
    found = bars((entry.step_id, entry.meerkat_id, entry.status) for entry in ledger)
    drawn = [times for bar in found[-STEPS:] if (times := _times(bar, ledger))]
    title = "timeline" if len(drawn) == len(found) else f"timeline of the last {len(drawn)} steps"
    sheet = AdaptiveTable(title, "member", "step", "when", "took", "status")
    if not drawn:
        return sheet
    begun = min(start for _, start, _ in drawn)
    ended = max(moment for _, start, end in drawn for moment in (start, end) if moment)
    whole = (ended - begun).total_seconds() or 1.0
    for bar, start, end in drawn:
        took = span(end - start) if end else "at work"
        sheet.add_row(bar.member_id, bar.step_id, "", took, display.status(bar.status))
    room = max(_LEAST, min(_WIDTH, width - sheet.least_width() + len("when")))
    for row, (bar, start, end) in zip(sheet.rows, drawn, strict=True):
        first = int((room - 1) * (start - begun).total_seconds() / whole)
        last = int((room - 1) * ((end or ended) - begun).total_seconds() / whole)
        line = " " * first + ("=" if ascii_only else "━") * max(1, last - first + 1)
        row[2] = Text(line.ljust(room), style=display.status(bar.status).style)
    return sheet


def _times(
    bar: Bar, ledger: Sequence[StepLedgerEntry]
) -> tuple[Bar, datetime, datetime | None] | None:
    start = instant(ledger[bar.first].timestamp)
    end = None if bar.end is None else instant(ledger[bar.end].timestamp)
    return None if start is None else (bar, start, end)
