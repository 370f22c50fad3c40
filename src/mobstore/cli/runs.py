"""The commands that show runs and claims, and the one that releases a claim."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from functools import partial
from typing import get_args

import click

import mobstore
from mobstore.cli import display
from mobstore.cli.console import cell, new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.durations import to_time
from mobstore.cli.output import json_line, json_text
from mobstore.cli.stores import open_existing
from mobstore.cli.timeline import timeline
from mobstore.model.json import I64_MAX
from mobstore.notebook.formatting import format_fields
from mobstore.operations.overview import RunSummary, run_summaries
from mobstore.operations.run_selection import Selection

_PAGE = 64  # runs in one read: their parameters may be huge
_STATUSES = get_args(mobstore.MobRunStatus)
_DIGITS = re.compile(r"[0-9A-Fa-f-]{1,36}")
_MATCHES = 5  # ids that an error lists


@click.command()
@url_argument
@click.option("--mob", help="Show only runs of this mob.")
@click.option("--flow", help="Show only runs of this flow; requires --mob.")
@click.option("--status", type=click.Choice(_STATUSES), help="Show only runs with this status.")
@click.option(
    "--since", callback=to_time, metavar="TIME",
    help="Show only runs that ended since then, by their end: 90s, 15m, 1h, 7d, 2w or a time.",
)  # fmt: skip
@click.option("--unclaimed", is_flag=True, help="Show only unfinished runs that are not held.")
@click.option("--newest", is_flag=True, help="Show the newest runs first.")
@click.option(
    "--limit", type=click.IntRange(0, I64_MAX), metavar="NUMBER",
    help="Show at most this many runs.",
)  # fmt: skip
@json_option
@async_command
async def runs(
    url: str,
    *,
    mob: str | None,
    flow: str | None,
    status: str | None,
    since: mobstore.Timestamp | None,
    unclaimed: bool,
    newest: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show the runs of the store at URL, oldest first.

    Example: mobstore runs sqlite:mobs.db --mob tide-desk --since 1h --newest --limit 20
    """
    if flow is not None and mob is None:
        raise click.UsageError("--flow requires --mob: flows of two mobs may have the same name")
    ended_since = None if since is None else since.sortable
    page = Selection(mob, flow, status, None, _PAGE, newest, ended_since, unclaimed)
    left = I64_MAX if limit is None else limit
    now = mobstore.Timestamp.now()
    output = nullcontext() if as_json else display.runs_table(new_console())
    async with open_existing(url) as stores:
        with output as table:
            while left:
                page = page._replace(limit=min(left, _PAGE))
                found = await stores.engine.read(partial(run_summaries, page))
                if not found:
                    break
                page, left = page._replace(after=str(found[-1].header.run_id)), left - len(found)
                for run in found:
                    if table is None:
                        _print_json(run)
                    else:
                        table.add(*display.run_cells(run, now))


def _print_json(run: RunSummary) -> None:
    line = json.loads(run.header.to_json())
    for name in ("activation_params", "schema_version"):
        line.pop(name, None)
    if run.header.holder is None:
        del line["holder"], line["epoch"]
    if run.header.due_at is None:
        del line["due_at"]
    json_line(line | {"steps": run.steps, "failures": run.failures})


def _first_digits(_context: click.Context, _argument: click.Parameter, text: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise click.BadParameter(
            f'"{text}" is not the id of a run; give its first hex digits, such as c1934f18.'
        )
    return text


@click.command()
@url_argument
@click.argument("run_id", callback=_first_digits)
@json_option
@async_command
async def run(url: str, run_id: str, *, as_json: bool) -> None:
    """Show one run of the store at URL; the first digits of RUN_ID are enough.

    It shows the frames and loops, the timeline, the ledgers and the outputs.

    Example: mobstore run sqlite:mobs.db 24ede6a4
    """
    async with open_existing(url) as stores:
        ids = await stores.runs.find_run_ids(run_id, _MATCHES + 1)
        if len(ids) > 1:
            listed = ", ".join(map(str, ids[:_MATCHES])) + (", ..." if ids[_MATCHES:] else "")
            raise click.UsageError(f"several ids start with {run_id}; give more digits: {listed}")
        found = await stores.runs.get_run(ids[0]) if ids else None
        extra = await stores.runs.get_run_extra(ids[0]) if ids else None
    if found is None:
        raise mobstore.NotFoundError(f"run not found: {run_id}")
    if as_json:
        json_text(found.to_json())
    else:
        console = new_console()
        steps = timeline(
            found.step_ledger, width=console.width, ascii_only=console.options.ascii_only
        )
        display.print_run(console, found, steps)
        if extra is not None:
            console.print(cell(f"further keys: {format_fields(extra)}"))


@click.command()
@url_argument
@click.option("--prefix", default="", metavar="TEXT", help="Show only names that start with TEXT.")
@click.option("--expired", is_flag=True, help="Show only claims that have expired.")
@click.option(
    "--release", metavar="NAME",
    help="Release the claim NAME; its holder can no longer write with it. A run that is put off,"
    " run/ID, is due at once.",
)  # fmt: skip
@json_option
@async_command
async def claims(
    url: str, *, prefix: str, expired: bool, release: str | None, as_json: bool
) -> None:
    """Show the claims in the store at URL, by name, or release one of them.

    The claim on a run is named run/ and its id.

    Example: mobstore claims sqlite:mobs.db --expired
    """
    if release is not None:
        if prefix or expired:
            raise click.UsageError("--release takes one name; leave out --prefix and --expired")
        await _release(url, release, as_json=as_json)
        return
    now = mobstore.Timestamp.now()
    async with open_existing(url) as stores:
        found = await stores.claims.list(prefix=prefix, expired=True if expired else None)
    if as_json:
        for claim in found:
            json_text(claim.to_json())
        return
    with display.claims_table(new_console()) as table:
        for claim in found:
            table.add(*display.claim_cells(claim, now))


async def _release(url: str, name: str, *, as_json: bool) -> None:
    async with open_existing(url, read_only=False) as stores:
        claim = await stores.claims.get(name)
        if claim is None:
            if not name.startswith("run/"):
                raise mobstore.NotFoundError(f"there is no claim {name}")
            if not await stores.claims.put_off(name):  # it may be put off
                raise mobstore.ConflictError(f"{name} is held again, or its run has ended")
            if as_json:
                json_line({"name": name, "holder": None})
            else:
                new_console().print(cell(f"{name} was not held; it can be acquired now"))
            return
        if not await stores.claims.release(claim):
            raise mobstore.ConflictError(f"claim {name} has changed; list the claims again")
    if as_json:
        json_text(claim.to_json())
    else:
        new_console().print(
            cell(f"released claim {name} of {claim.holder}, epoch {claim.epoch}"), soft_wrap=True
        )


COMMANDS = (runs, run, claims)
