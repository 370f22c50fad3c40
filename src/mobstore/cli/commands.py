"""The command group, and the commands that show stores.

They print tables, or JSON lines with `--json`. Errors go to standard error; the exit code is 0 for
success, 1 if the store reports an error, 2 for a usage error.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import click
from click.shell_completion import get_completion_class

from mobstore.cli import display, events, runs, transfer
from mobstore.cli.consumers import consumers
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.diff import diff
from mobstore.cli.output import json_line, json_text
from mobstore.cli.stores import open_existing
from mobstore.cli.verify import verify
from mobstore.notebook.tabular import fields_of
from mobstore.stores.urls import shown_url


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mobstore")
def cli() -> None:
    """Inspect, move and check mob stores.

    A URL is sqlite:PATH, such as sqlite:mobs.db, or postgresql://USER@HOST:PORT/DBNAME?schema=NAME.
    Leave passwords to ~/.pgpass or PGPASSWORD: other users of this machine can read arguments.
    """


for _command in (*events.COMMANDS, *runs.COMMANDS, *transfer.COMMANDS, verify, diff, consumers):
    cli.add_command(_command)


@cli.command()
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
        display.print_overview(display.console(), shown_url(url), found, medium)


@cli.command()
@url_argument
@json_option
@async_command
async def specs(url: str, *, as_json: bool) -> None:
    """Show the specs of the store at URL, by mob.

    Example: mobstore specs sqlite:mobs.db
    """
    output = nullcontext() if as_json else display.specs_table(display.console())
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


@cli.command()
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
        with display.profiles_table(display.console()) as table:
            for stored in found:
                table.add(*display.profile_cells(stored))


@cli.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    Example: mobstore completion bash >> ~/.bashrc
    """
    complete = get_completion_class(shell)
    assert complete is not None  # noqa: S101 - click supports each of these
    click.echo(complete(cli, {}, "mobstore", "_MOBSTORE_COMPLETE").source())
