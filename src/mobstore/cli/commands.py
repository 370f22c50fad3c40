"""The command group, and the commands that show stores.

They print tables, or JSON lines with `--json`. Errors go to standard error; the exit code is 0 for
success, 1 if the store reports an error, 2 for a usage error.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from typing import Any, get_args
from uuid import UUID

import click
from click.shell_completion import get_completion_class

import mobstore
from mobstore.cli import display, transfer
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.diff import diff
from mobstore.cli.output import json_line, json_text, print_note, run_until_reader_exits
from mobstore.cli.stores import open_existing
from mobstore.cli.timeline import timeline
from mobstore.cli.verify import verify
from mobstore.model.json import I64_MAX
from mobstore.notebook.tabular import fields_of
from mobstore.operations.overview import run_summaries
from mobstore.operations.run_reading import Selection
from mobstore.scripts.paging import next_limit
from mobstore.stores.urls import shown_url

_PAGE = 64  # runs in one read: their parameters may be huge
_NUMBER = click.IntRange(0, I64_MAX)
_STATUSES = get_args(mobstore.MobRunStatus)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mobstore")
def cli() -> None:
    """Inspect, move and check mob stores.

    A URL is sqlite:PATH, such as sqlite:mobs.db, or postgresql://USER@HOST:PORT/DBNAME?schema=NAME.
    Leave passwords to ~/.pgpass or PGPASSWORD: other users of this machine can read arguments.
    """


for _command in (*transfer.COMMANDS, verify, diff):
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
@click.option(
    "--after", type=_NUMBER, default=0, show_default=True, metavar="CURSOR",
    help="Show only events after this cursor.",
)  # fmt: skip
@click.option(
    "--limit", type=_NUMBER, default=100, show_default=True, metavar="NUMBER",
    help="Show at most this many events; ignored with --follow.",
)  # fmt: skip
@click.option("--mob", help="Show only events of this mob.")
@click.option("--run", "run_id", type=click.UUID, help="Show only events of this run.")
@click.option("--follow", "-f", is_flag=True, help="Keep printing new events until Ctrl-C.")
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Skip events that cannot be read, and list them on standard error.",
)
@json_option
@async_command
async def events(
    url: str,
    *,
    after: int,
    limit: int,
    mob: str | None,
    run_id: UUID | None,
    follow: bool,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Show events of the store at URL, oldest first.

    Example: mobstore events sqlite:mobs.db --mob tide-desk --after 90 --follow
    """
    if mob is not None and run_id is not None:
        raise click.UsageError("a run belongs to one mob; use --mob or --run, not both")
    position, console = after, display.console()

    def skip(cursor: int, error: mobstore.SerializationError) -> None:
        nonlocal position
        position = cursor
        print_note(f"left out: {error.detail}")

    on_unreadable = skip if skip_unreadable else None
    async with open_existing(url) as stores:
        log = stores.events
        if follow:
            subscription = log.subscribe(
                after, mob_id=mob, run_id=run_id, on_unreadable=on_unreadable
            )

            async def print_events() -> None:
                async for event in subscription:
                    if as_json:
                        json_text(event.to_json())
                    else:
                        display.print_event(console, event)

            await run_until_reader_exits(print_events())
        size = 1  # an event may be huge
        with nullcontext() if as_json else display.events_table(console) as table:
            while page := await log.poll(
                position,
                min(limit, size),
                mob_id=mob,
                run_id=run_id,
                reject_stale=True,
                on_unreadable=on_unreadable,
            ):
                position, limit = max(position, page[-1].cursor), limit - len(page)
                for event in page:
                    if table is None:
                        json_text(event.to_json())
                    else:
                        table.add(*display.event_cells(event))
                size = next_limit(size, len(page), sum(map(_length, page)))


def _length(event: mobstore.MobEvent) -> int:
    """Return about how many characters an event has."""
    try:
        return len(event.to_json_bytes())
    except mobstore.SerializationError:  # bytes instead of text; a table shows them
        return 0


@cli.command()
@url_argument
@click.option("--mob", help="Show only runs of this mob.")
@click.option("--flow", help="Show only runs of this flow; requires --mob.")
@click.option("--status", type=click.Choice(_STATUSES), help="Show only runs with this status.")
@json_option
@async_command
async def runs(
    url: str, *, mob: str | None, flow: str | None, status: str | None, as_json: bool
) -> None:
    """Show the runs of the store at URL, oldest first.

    Example: mobstore runs sqlite:mobs.db --mob tide-desk --status running
    """
    if flow is not None and mob is None:
        raise click.UsageError("--flow requires --mob: flows of two mobs may have the same name")
    after: str | None = None
    output = nullcontext() if as_json else display.runs_table(display.console())
    async with open_existing(url) as stores:
        with output as table:
            while True:
                selection = Selection(mob, flow, status, after, _PAGE)
                found = await stores.engine.read(partial(run_summaries, selection))
                if not found:
                    break
                after = str(found[-1].header.run_id)
                for run in found:
                    if table is not None:
                        table.add(*display.run_cells(run))
                        continue
                    line = json.loads(run.header.to_json())
                    for name in ("activation_params", "schema_version"):
                        line.pop(name, None)
                    json_line(line | {"steps": run.steps, "failures": run.failures})


@cli.command()
@url_argument
@click.argument("run_id", type=click.UUID)
@json_option
@async_command
async def run(url: str, run_id: UUID, *, as_json: bool) -> None:
    """Show one run of the store at URL.

    It shows the frames and loops, the timeline, the ledgers and the outputs.

    Example: mobstore run sqlite:mobs.db 24ede6a4-6b4c-4242-8a23-d5962217bead
    """
    async with open_existing(url) as stores:
        found = await stores.runs.get_run(run_id)
    if found is None:
        raise mobstore.NotFoundError(f"run not found: {run_id}")
    if as_json:
        json_text(found.to_json())
    else:
        console = display.console()
        steps = timeline(
            found.step_ledger, width=console.width, ascii_only=console.options.ascii_only
        )
        display.print_run(console, found, steps)


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
