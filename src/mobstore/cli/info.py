"""`mobstore info`: show how much a store contains."""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.console import Console

from mobstore.cli.console import new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.output import json_line
from mobstore.cli.stores import open_existing
from mobstore.cli.table import AdaptiveTable
from mobstore.model.overview import Overview
from mobstore.notebook.tabular import fields_of
from mobstore.stores.urls import shown_url


@click.command()
@url_argument
@json_option
@async_command
async def info(url: str, *, as_json: bool) -> None:
    """Show how much the store at URL contains.

    Example: mobstore info sqlite:mobs.db
    """
    async with open_existing(url) as stores:
        found = await stores.overview()
        medium = stores.engine.details()
    if as_json:
        json_line({**fields_of(found, without=("mobs",)), "medium": dict(medium)})
    else:
        _print(new_console(), shown_url(url), found, medium)


def _print(console: Console, url: str, found: Overview, medium: Mapping[str, str]) -> None:
    """Print how much a store contains, and the details of its medium."""
    table = AdaptiveTable(url, "", "", right=[1])
    for name, value in fields_of(found, without=("mobs", "consumers", "imported_from")).items():
        table.add_row(name.replace("_", " "), f"{value:,}" if type(value) is int else value)
    if found.imported_from is not None:
        table.add_row("imported from", f"{found.imported_from}, for reading")
    for name, known in medium.items():
        table.add_row(name, known)
    console.print(table)
    if found.consumers:
        positions = AdaptiveTable("consumers", "name", "cursor", right=[1])
        for consumer in found.consumers:
            positions.add_row(consumer.name, f"{consumer.cursor:,}")
        console.print(positions)


COMMANDS = (info,)
