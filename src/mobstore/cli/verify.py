"""`mobstore verify`: look for damage, and mend what can be mended."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
from rich.console import Console

import mobstore
from mobstore.cli import display
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.output import json_line
from mobstore.cli.progress import progress_bar
from mobstore.cli.stores import open_existing
from mobstore.cli.table import AdaptiveTable
from mobstore.maintenance.verification import Verification

_SHOWN = 100


@click.command()
@url_argument
@click.option("--repair", is_flag=True, help="Mend what can be mended without guessing.")
@json_option
@async_command
async def verify(url: str, *, repair: bool, as_json: bool) -> None:
    """Look for damage in the store at URL: what no store would have written.

    Every row is read, and compared with those that it belongs to. The exit code is 0 if the store
    is sound, also by repair, and 1 if some damage is left.

    Example: mobstore verify sqlite:mobs.db --repair
    """
    async with open_existing(url, read_only=not repair) as stores:
        with progress_bar("verifying") as progress:
            found = await mobstore.verify(stores, repair=repair, progress=progress)
    if as_json:
        for problem in found.problems:
            json_line(asdict(problem))
    else:
        _show(display.console(), found)
    if found.left:
        sys.exit(1)


def _show(console: Console, found: Verification) -> None:
    if found.problems:
        table = AdaptiveTable("problems", "table", "key", "what", "")
        for problem in found.problems[:_SHOWN]:
            table.add_row(
                problem.table or "-",
                ", ".join(map(str, problem.key)) or "-",
                problem.what,
                "repaired" if problem.repaired else "repairable" if problem.repairable else "",
            )
        console.print(table)
    more = len(found.problems) - _SHOWN
    if more > 0:
        console.print(f"and {more:,} more; --json tells all")
    console.print(_summary(found))


def _summary(found: Verification) -> str:
    rows = f"{sum(found.rows.values()):,} rows"
    if not found.problems:
        return f"sound: {rows}"
    repaired = len(found.problems) - len(found.left)
    mendable = sum(problem.repairable for problem in found.left)
    said = f"problems in {rows}: {repaired:,} repaired, {len(found.left):,} left"
    return f"{said}; --repair mends {mendable:,}" if mendable else said
