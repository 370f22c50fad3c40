"""The commands, their options and their exit codes.

Tables go to people, JSON lines (`--json`) to programs. Errors go to stderr in words; the exit code
is 0 for success, 1 when a store refuses, 2 for a wrong call.
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
from mobstore.cli.output import json_line, json_text, note, while_read
from mobstore.cli.stores import open_existing
from mobstore.cli.timeline import timeline
from mobstore.cli.verify import verify
from mobstore.model.json import I64_MAX
from mobstore.notebook.tabular import fields_of
from mobstore.operations.overview import run_summaries
from mobstore.operations.run_reading import Selection
from mobstore.scripts.paging import next_limit

_PAGE = 64  # runs read at once: their parameters may be huge
_NUMBER = click.IntRange(0, I64_MAX)
_STATUSES = get_args(mobstore.MobRunStatus)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mobstore")
def cli() -> None:
    """Look into mob stores. A URL is sqlite:PATH, such as sqlite:mobs.db."""


for _command in (*transfer.COMMANDS, verify, diff):
    cli.add_command(_command)


@cli.command()
@url_argument
@json_option
@async_command
async def info(url: str, *, as_json: bool) -> None:
    """Show how much the store at URL holds.

    Example: mobstore info sqlite:mobs.db
    """
    async with open_existing(url) as stores:
        found = await stores.overview()
        medium = stores.engine.details()
    if as_json:
        json_line({**fields_of(found, without=("mobs",)), "medium": dict(medium)})
    else:
        display.overview(display.console(), url, found, medium)


@cli.command()
@url_argument
@click.option(
    "--after", type=_NUMBER, default=0, show_default=True, help="Only events after this cursor."
)
@click.option(
    "--limit", type=_NUMBER, default=100, show_default=True,
    help="At most so many events; unless --follow.",
)  # fmt: skip
@click.option("--mob", help="Only events of this mob.")
@click.option("--run", "run_id", type=click.UUID, help="Only events that name this run.")
@click.option(
    "--follow", "-f", is_flag=True, help="Go on with what is committed, by anyone, until Ctrl-C."
)
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Go past events that cannot be read, and name them on stderr.",
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
        raise click.UsageError("a run is of one mob; give --mob or --run, not both")
    place, console = after, display.console()

    def leave_out(cursor: int, error: mobstore.SerializationError) -> None:
        nonlocal place
        place = cursor
        note(f"left out: {error.detail}")

    on_unreadable = leave_out if skip_unreadable else None
    async with open_existing(url) as stores:
        log = stores.events
        if follow:
            following = log.subscribe(after, mob_id=mob, run_id=run_id, on_unreadable=on_unreadable)

            async def show() -> None:
                async for event in following:
                    if as_json:
                        json_text(event.to_json())
                    else:
                        display.event_line(console, event)

            await while_read(show())
        size = 1  # one may be huge
        with nullcontext() if as_json else display.events(console) as lines:
            while page := await log.poll(
                place,
                min(limit, size),
                mob_id=mob,
                run_id=run_id,
                reject_stale=True,
                on_unreadable=on_unreadable,
            ):
                place, limit = max(place, page[-1].cursor), limit - len(page)
                for event in page:
                    if lines is None:
                        json_text(event.to_json())
                    else:
                        lines.add(*display.event_cells(event))
                size = next_limit(size, len(page), sum(map(_length, page)))


def _length(event: mobstore.MobEvent) -> int:
    """About how many characters an event has."""
    try:
        return len(event.to_json_bytes())
    except mobstore.SerializationError:  # bytes in place of text; a table shows them
        return 0


@cli.command()
@url_argument
@click.option("--mob", help="Only runs of this mob.")
@click.option("--flow", help="Only runs of this flow; give the mob, too.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs in this status.")
@json_option
@async_command
async def runs(
    url: str, *, mob: str | None, flow: str | None, status: str | None, as_json: bool
) -> None:
    """Show the runs of the store at URL, in the order of their creation.

    Example: mobstore runs sqlite:mobs.db --mob tide-desk --status running
    """
    if flow is not None and mob is None:
        raise click.UsageError("flows are named within a mob; give --mob, too")
    after: str | None = None
    shown = nullcontext() if as_json else display.runs(display.console())
    async with open_existing(url) as stores:
        with shown as lines:
            while True:
                selected = Selection(mob, flow, status, after, _PAGE)
                found = await stores.engine.read(partial(run_summaries, selected))
                if not found:
                    break
                after = str(found[-1].header.run_id)
                for run in found:
                    if lines is not None:
                        lines.add(*display.run_cells(run))
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
    """Show one run of the store at URL: its frames, its timeline, its ledgers and outputs.

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
        drawn = timeline(
            found.step_ledger, width=console.width, ascii_only=console.options.ascii_only
        )
        display.run(console, found, drawn)


@cli.command()
@url_argument
@json_option
@async_command
async def specs(url: str, *, as_json: bool) -> None:
    """Show the specs of the store at URL, by mob.

    Example: mobstore specs sqlite:mobs.db
    """
    shown = nullcontext() if as_json else display.specs(display.console())
    async with open_existing(url) as stores:
        with shown as lines:
            for mob in await stores.specs.list_specs():
                stored = await stores.specs.get_spec(mob)
                if stored is None:
                    continue
                definition, revision = stored
                if lines is not None:
                    lines.add(*display.spec_cells(mob, definition, revision))
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
        with display.profiles(display.console()) as lines:
            for stored in found:
                lines.add(*display.profile_cells(stored))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    Example: mobstore completion bash >> ~/.bashrc
    """
    complete = get_completion_class(shell)
    assert complete is not None  # noqa: S101 - click has one for each of these
    click.echo(complete(cli, {}, "mobstore", "_MOBSTORE_COMPLETE").source())
