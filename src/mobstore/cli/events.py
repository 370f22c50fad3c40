"""The commands of the event log: show events, and remove old ones."""

from __future__ import annotations

from contextlib import nullcontext
from uuid import UUID

import click

import mobstore
from mobstore.cli import display
from mobstore.cli.console import new_console
from mobstore.cli.decorators import async_command, json_option, url_argument
from mobstore.cli.durations import to_time
from mobstore.cli.output import json_line, json_text, print_note
from mobstore.cli.readers import run_until_reader_exits
from mobstore.cli.stores import open_existing
from mobstore.model.json import I64_MAX
from mobstore.model.text import count
from mobstore.scripts.paging import next_limit

_NUMBER = click.IntRange(0, I64_MAX)


@click.command()
@url_argument
@click.option(
    "--after", type=_NUMBER, default=0, show_default=True, metavar="CURSOR",
    help="Show only events after this cursor.",
)  # fmt: skip
@click.option(
    "--before", type=_NUMBER, metavar="CURSOR", help="Show only events before this cursor."
)
@click.option(
    "--limit", type=_NUMBER, default=100, show_default=True, metavar="NUMBER",
    help="Show at most this many events; ignored with --follow.",
)  # fmt: skip
@click.option(
    "--newest", type=_NUMBER, metavar="NUMBER",
    help="Show the last NUMBER events instead, newest first.",
)  # fmt: skip
@click.option("--mob", help="Show only events of this mob.")
@click.option("--run", "run_id", type=click.UUID, help="Show only events of this run.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE",
    help="Show only events of this type, such as step_failed; may be repeated.",
)  # fmt: skip
@click.option("--member", help="Show only events that name this member.")
@click.option(
    "--since",
    callback=to_time,
    metavar="TIME",
    help="Show only events since this time, or since 90s, 15m, 1h, 7d ago.",
)
@click.option(
    "--until", callback=to_time, metavar="TIME", help="Show only events before this time."
)
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
    before: int | None,
    limit: int,
    newest: int | None,
    mob: str | None,
    run_id: UUID | None,
    types: tuple[str, ...],
    member: str | None,
    since: mobstore.Timestamp | None,
    until: mobstore.Timestamp | None,
    follow: bool,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Show events of the store at URL, oldest first.

    Example: mobstore events sqlite:mobs.db --mob tide-desk --after 90 --follow

    Example: mobstore events sqlite:mobs.db --newest 20 --type step_failed --since 1h
    """
    if mob is not None and run_id is not None:
        raise click.UsageError("a run belongs to one mob; use --mob or --run, not both")
    if follow and (types or not {before, newest, member, since, until} <= {None}):
        raise click.UsageError("--follow shows all events to come; select by --mob or --run alone")
    console = new_console()

    def go_beyond(cursor: int) -> None:
        nonlocal after, before
        if newest is None:
            after = max(after, cursor)
        else:
            before = cursor if before is None else min(before, cursor)

    def skip(cursor: int, error: mobstore.SerializationError) -> None:
        go_beyond(cursor)
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
        left = limit if newest is None else newest
        size = 1  # an event may be huge
        with nullcontext() if as_json else display.events_table(console) as table:
            while page := await log.poll(
                after,
                min(left, size),
                mob_id=mob,
                run_id=run_id,
                before_cursor=before,
                newest_first=newest is not None,
                types=types or None,
                member=member,
                since=since,
                until=until,
                reject_stale=True,
                on_unreadable=on_unreadable,
            ):
                go_beyond(page[-1].cursor)
                left -= len(page)
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


@click.command()
@url_argument
@click.option(
    "--older-than", callback=to_time, metavar="TIME",
    help="Remove only events before this time, or before 90s, 15m, 1h, 7d ago.",
)  # fmt: skip
@click.option(
    "--before", type=_NUMBER, metavar="CURSOR", help="Remove only events before this cursor."
)
@click.option("--keep-unseen", is_flag=True, help="Keep events that a named consumer has not seen.")
@click.option(
    "--all-kinds",
    is_flag=True,
    help="Remove also the events without which a mob cannot be resumed.",
)
@json_option
@async_command
async def prune(
    url: str,
    *,
    older_than: mobstore.Timestamp | None,
    before: int | None,
    keep_unseen: bool,
    all_kinds: bool,
    as_json: bool,
) -> None:
    """Remove old events of the store at URL.

    Events stay that say which mobs there are, who is a member and who is wired to whom: without
    them, a mob cannot be resumed.

    Example: mobstore prune sqlite:mobs.db --older-than 30d --keep-unseen
    """
    if older_than is None and before is None:
        raise click.UsageError("pass --older-than or --before")
    async with open_existing(url, read_only=False) as stores:
        removed = await stores.events.prune(
            older_than,
            before_cursor=before,
            keep=() if all_kinds else mobstore.STRUCTURAL_KINDS,
            keep_unseen=keep_unseen,
        )
    if as_json:
        json_line({"removed": removed})
    else:
        click.echo(f"removed {count(removed, 'event')}")


COMMANDS = (events, prune)
