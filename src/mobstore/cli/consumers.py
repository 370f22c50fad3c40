"""`mobstore consumers`: list the named consumers of the event log, or forget one."""

from __future__ import annotations

import json

import click

import mobstore
from mobstore.cli import display
from mobstore.cli.console import new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.output import json_line
from mobstore.cli.stores import open_existing


@click.command()
@url_argument
@click.option("--forget", metavar="NAME", help="Remove this consumer and its position.")
@json_option
@async_command
async def consumers(url: str, *, forget: str | None, as_json: bool) -> None:
    """Show the consumers of the store at URL, by name, and how many events each is behind.

    A consumer is stale if it is ahead of the log, as after the log was restored from a backup.

    Example: mobstore consumers sqlite:mobs.db --forget projector
    """
    async with open_existing(url, read_only=forget is None) as stores:
        log = stores.events
        if forget is not None and not await log.forget_consumer(forget):
            raise mobstore.NotFoundError(f"consumer not found: {forget}")
        # The cursor last: otherwise a consumer could look ahead of it.
        found, latest = await log.consumers(), await log.latest_cursor()
    if as_json:
        for one in found:
            json_line({**json.loads(one.to_json()), "behind": _behind(one, latest)})
    else:
        with display.consumers_table(new_console()) as table:
            for one in found:
                table.add(*display.consumer_cells(one, _behind(one, latest)))


def _behind(consumer: mobstore.Consumer, latest: int) -> int | None:
    return None if consumer.cursor > latest else latest - consumer.cursor


COMMANDS = (consumers,)
