"""`mobstore diff`: compare two stores."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

import mobstore
from mobstore.cli.console import cell, new_console
from mobstore.cli.decorators import async_command, json_option
from mobstore.cli.output import describe_os_error, error_text, json_line
from mobstore.cli.progress import progress_bar
from mobstore.cli.stores import is_archive, open_existing, temporary_folder
from mobstore.engines.sqlite.file import is_database
from mobstore.errors import ReadFailedError
from mobstore.maintenance.comparison import Difference
from mobstore.maintenance.transfer import import_stores
from mobstore.stores.urls import parse_url, shown_url


@click.command()
@click.argument("first")
@click.argument("second")
@json_option
@async_command
async def diff(first: str, second: str, *, as_json: bool) -> None:
    """Show the differences between two stores. FIRST and SECOND are URLs or exports.

    The exit code is 0 if the stores are equal, 1 if they differ, 2 if one cannot be read.

    Example: mobstore diff sqlite:mobs.db sqlite:copy.db
    """
    console = new_console()
    differs = False
    try:
        async with _open_url_or_export(first) as one, _open_url_or_export(second) as other:
            found = mobstore.diff(one, other)
            if as_json:
                async for difference in found:
                    differs = True
                    json_line(asdict(difference))
            else:
                async for group in _grouped(found):
                    differs = True
                    line = group.line({"first": shown_url(first), "second": shown_url(second)})
                    console.print(cell(line), soft_wrap=True)
    except mobstore.MobStoreError as error:
        raise _TroubleError(error_text(error)) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _TroubleError(describe_os_error(error)) from error
    if differs:
        sys.exit(1)
    if not as_json:
        console.print("no differences")


class _TroubleError(click.ClickException):
    exit_code = 2  # as diff and cmp do: 1 means that the stores differ


@asynccontextmanager
async def _open_url_or_export(name: str) -> AsyncGenerator[mobstore.MobStores]:
    """Open the store at a URL, or import an export into a temporary store."""
    path = Path(name)
    if not path.is_file():  # noqa: ASYNC240 - no other task runs yet
        try:
            place = parse_url(name)
        except mobstore.InternalError as error:
            problem = f"there is no file {shown_url(name)}; as a URL, {error.detail}"
            raise ReadFailedError(problem) from error
        if place.engine == "sqlite" and is_archive(Path(place.name)):
            raise ReadFailedError(f"{place.name} is an export, not a store; type {place.name}")
        async with open_existing(name) as stores:
            yield stores
        return
    if is_database(path):
        raise ReadFailedError(f"{name} is a SQLite database; type sqlite:{name}")
    with temporary_folder() as folder:
        url = f"sqlite:{Path(folder, 'mobs.db')}"
        async with mobstore.open_stores(url, durability="normal") as stores:
            with (
                progress_bar(f"reading {path.name}") as progress,
                path.open("rb") as file,  # noqa: ASYNC230 - the import reads in a thread
            ):
                await import_stores(file, stores, progress=progress)
            yield stores


@dataclass
class _Group:
    """Consecutive events with the same difference, or one difference of another kind."""

    first: Difference
    last: int | str

    def add(self, difference: Difference) -> bool:
        """Add the next difference if it belongs to this group; return whether it does."""
        one = self.first
        if (
            one.kind == difference.kind == "event"
            and isinstance(self.last, int)
            and difference.key == self.last + 1
            and (difference.mob_id, difference.only_in, difference.fields)
            == (one.mob_id, one.only_in, one.fields)
        ):
            self.last = difference.key
            return True
        return False

    def line(self, names: dict[str, str]) -> str:
        """Return the group as a line; `names` are those of the first and second store."""
        one = self.first
        if one.kind in {"latest_cursor", "latest_epoch"}:
            return f"the {one.kind.replace('_', ' ')} differs"
        subject = f"{one.kind.replace('_', ' ')} {one.key}"
        if one.key != self.last:
            subject = f"events {one.key} to {self.last}"
        if one.mob_id and one.kind != "spec":
            subject += f" of {one.mob_id}"
        if one.only_in:
            return f"{subject}: only in {names[one.only_in]}"
        return f"{subject}: {', '.join(one.fields)}"


async def _grouped(found: AsyncIterable[Difference]) -> AsyncGenerator[_Group]:
    group: _Group | None = None
    async for difference in found:
        if group is not None:
            if group.add(difference):
                continue
            yield group
        group = _Group(difference, difference.key)
    if group is not None:
        yield group


COMMANDS = (diff,)
