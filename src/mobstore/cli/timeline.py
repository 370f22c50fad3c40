"""A run's steps over time, for a terminal: a line for each step, drawn where it was at work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from mobstore.cli import display
from mobstore.displays.texts import instant, span
from mobstore.displays.timeline import Bar, bars
from mobstore.model.run import StepLedgerEntry

STEPS = 40
"""Steps that are drawn: the last, since what happens now is what one looks for."""

_WIDTH = 40  # characters


def timeline(ledger: Sequence[StepLedgerEntry], *, ascii_only: bool = False) -> Table:
    """The steps in the order in which they began."""
    found = bars((entry.step_id, entry.meerkat_id, entry.status) for entry in ledger)
    drawn = [times for bar in found[-STEPS:] if (times := _times(bar, ledger))]
    title = "timeline" if len(drawn) == len(found) else f"timeline of the last {len(drawn)} steps"
    table = display.table(title, "member", "step", "when", "took", "status")
    if not drawn:
        return table
    begun = min(start for _, start, _ in drawn)
    ended = max(moment for _, start, end in drawn for moment in (start, end) if moment)
    whole = (ended - begun).total_seconds() or 1.0
    for bar, start, end in drawn:
        first = int((_WIDTH - 1) * (start - begun).total_seconds() / whole)
        last = int((_WIDTH - 1) * ((end or ended) - begun).total_seconds() / whole)
        status = display.status(bar.status)
        line = " " * first + ("=" if ascii_only else "━") * max(1, last - first + 1)
        table.add_row(
            display.cell(bar.member_id), display.cell(bar.step_id),
            Text(line.ljust(_WIDTH), style=status.style),
            span(end - start) if end else "at work", status,
        )  # fmt: skip
    return table


def _times(
    bar: Bar, ledger: Sequence[StepLedgerEntry]
) -> tuple[Bar, datetime, datetime | None] | None:
    start = instant(ledger[bar.first].timestamp)
    end = None if bar.end is None else instant(ledger[bar.end].timestamp)
    return None if start is None else (bar, start, end)
