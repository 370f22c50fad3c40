"""`mobstore verify`: check a store for corruption, and repair it."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
from rich.console import Console

import mobstore
from mobstore.cli.console import new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.output import json_line
from mobstore.cli.progress import progress_bar
from mobstore.cli.stores import open_existing
from mobstore.cli.table import AdaptiveTable
from mobstore.maintenance.verification import Verification

_ROWS = 100


@click.command()
@url_argument
@click.option("--repair", is_flag=True, help="Repair problems that have one possible solution.")
@json_option
@async_command
async def verify(url: str, *, repair: bool, as_json: bool) -> None:
    """Check the store at URL for corruption.

    It reads every row, compares it with related rows, and lists those that mobstore could not
    have written. The exit code is 0 if no problem is left, and 1 if one is.

    Example: mobstore verify sqlite:mobs.db --repair
    """
    async with open_existing(url, read_only=not repair) as stores:
        with progress_bar("verifying") as progress:
            found = await mobstore.verify(stores, repair=repair, progress=progress)
    if as_json:
        for problem in found.problems:
            json_line(asdict(problem))
    else:
        _print(new_console(), found)
    if found.left:
        sys.exit(1)


def _print(console: Console, found: Verification) -> None:
    if found.problems:
        table = AdaptiveTable("problems", "table", "key", "what", "")
        for problem in found.problems[:_ROWS]:
            table.add_row(
                problem.table or "-",
                ", ".join(map(str, problem.key)) or "-",
                problem.what,
                "repaired" if problem.repaired else "repairable" if problem.repairable else "",
            )
        console.print(table)
    more = len(found.problems) - _ROWS
    if more > 0:
        console.print(f"{more:,} more; use --json to list all")
    console.print(_summary(found))


def _summary(found: Verification) -> str:
    rows = f"{sum(found.rows.values()):,} rows"
    if not found.problems:
        return f"sound: {rows}"
    repaired = len(found.problems) - len(found.left)
    repairable = sum(problem.repairable for problem in found.left)
    text = f"problems in {rows}: {repaired:,} repaired, {len(found.left):,} left"
    return f"{text}; --repair can repair {repairable:,}" if repairable else text


COMMANDS = (verify,)
