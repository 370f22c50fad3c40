"""The commands that show specs and realm profiles."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import click

from mobstore.cli import display
from mobstore.cli.console import new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.output import json_line, json_text
from mobstore.cli.stores import open_existing


@click.command()
@url_argument
@json_option
@async_command
async def specs(url: str, *, as_json: bool) -> None:
    """Show the specs of the store at URL, by mob.

    Example: mobstore specs sqlite:mobs.db
    """
    output = nullcontext() if as_json else display.specs_table(new_console())
    async with open_existing(url) as stores:
        with output as table:
            for mob in await stores.specs.list_specs():
                stored = await stores.specs.get_spec(mob)
                if stored is None:
                    continue
                definition, revision = stored
                if table is not None:
                    table.add(*display.spec_cells(mob, definition, revision))
                    continue
                spec: dict[str, Any] = {"mob_id": mob, "revision": revision}
                spec["definition"] = json.loads(definition.to_json())
                json_line(spec)


@click.command()
@url_argument
@json_option
@async_command
async def profiles(url: str, *, as_json: bool) -> None:
    """Show the realm profiles of the store at URL, by name.

    Example: mobstore profiles sqlite:mobs.db
    """
    async with open_existing(url) as stores:
        found = await stores.realm_profiles.list()
    if as_json:
        for stored in found:
            json_text(stored.to_json())
    else:
        with display.profiles_table(new_console()) as table:
            for stored in found:
                table.add(*display.profile_cells(stored))


COMMANDS = (specs, profiles)
