"""Outcomes of works: rates, ratios with their targets, notes; as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.turns import Measured


@dataclass
class Check:
    """A figure and its target, if it has one.

    Attributes:
        text: name of the figure.
        value: the figure.
        target: the value to reach.
        at_most: whether the target is an upper bound.
        unit: printed after the figure.
        spread: the lowest and highest value of the rounds.
    """

    text: str
    value: float
    target: float | None = None
    at_most: bool = False
    unit: str = "x"
    spread: tuple[float, float] | None = None

    @property
    def reached(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass
class Outcome:
    """One table of results.

    Attributes:
        title: what was measured.
        unit: of the rates.
        measured: the contestants.
        checks: figures, with their targets.
        notes: printed below the table.
        files: texts to write beside the page, by name.
    """

    title: str
    unit: str
    measured: list[Measured] = field(default_factory=list[Measured])
    checks: list[Check] = field(default_factory=list[Check])
    notes: list[str] = field(default_factory=list[str])
    files: dict[str, str] = field(default_factory=dict[str, str])


def speed(ours: Measured, theirs: Measured, target: float | None = None) -> Check:
    """Return the speed relative to another contestant; the target is a lower bound."""
    return _ratio(f"speed: {ours.name} / {theirs.name}", theirs, ours, target, at_most=False)


def cost(ours: Measured, theirs: Measured, target: float | None = None) -> Check:
    """Return the cost relative to another contestant; the target is an upper bound."""
    return _ratio(f"cost: {ours.name} / {theirs.name}", ours, theirs, target, at_most=True)


def _ratio(
    text: str, above: Measured, below: Measured, target: float | None, *, at_most: bool
) -> Check:
    rounds = [one / other for one, other in zip(above.costs, below.costs, strict=True)]
    value = median(above.costs) / median(below.costs)
    return Check(text, value, target, at_most, spread=(min(rounds), max(rounds)))


def show(console: Console, work: str, outcome: Outcome) -> None:
    """Print an outcome."""
    console.print()
    console.print(f"[bold]{work}[/]: {escape(outcome.title)}")
    if outcome.measured:
        rates = Table("", outcome.unit, "µs each", "range of the rounds")
        for column in rates.columns[1:]:
            column.justify = "right"
        for one in outcome.measured:
            lowest, highest = 1 / max(one.costs), 1 / min(one.costs)
            rates.add_row(
                escape(one.name), number(one.rate), f"{one.cost * 1e6:,.1f}",
                f"{number(lowest)} ... {number(highest)}",
            )  # fmt: skip
        console.print(rates)
    if outcome.checks:
        checks = Table("", "measured", "range of the rounds", "target", "")
        for column in checks.columns[1:4]:
            column.justify = "right"
        for check in outcome.checks:
            checks.add_row(*_cells(check))
        console.print(checks)
    for note in outcome.notes:
        console.print(f"  {escape(note)}", highlight=False)


def _cells(check: Check) -> Iterable[str]:
    target = "" if check.target is None else f"{check.target:g} {check.unit}"
    verdict = {None: "", True: "[green]reached[/]", False: "[red]not reached[/]"}[check.reached]
    spread = "" if check.spread is None else "{:.2f} ... {:.2f}".format(*check.spread)
    bound = "at most " if check.at_most else "at least "
    return (
        escape(check.text), f"{check.value:.2f} {check.unit}", spread,
        bound + target if target else "", verdict,
    )  # fmt: skip


def number(value: float) -> str:
    """Format with three significant digits, or as a whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_json(work: str, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    return {
        "work": work,
        "title": outcome.title,
        "unit": outcome.unit,
        "contestants": [
            {"name": one.name, "per_second": one.rate, "seconds_each": one.costs}
            for one in outcome.measured
        ],
        "checks": [
            {
                "text": check.text,
                "value": check.value,
                "unit": check.unit,
                "target": check.target,
                "at_most": check.at_most,
                "spread": check.spread,
                "reached": check.reached,
            }
            for check in outcome.checks
        ],
        "notes": outcome.notes,
    }
