"""`mobstore diff`: show what differs between two stores."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import click

import mobstore
from mobstore.cli import display
from mobstore.cli.decorators import async_command, json_option
from mobstore.cli.output import cell, json_line, refused
from mobstore.cli.stores import open_named
from mobstore.maintenance.comparison import Difference


@click.command()
@click.argument("first")
@click.argument("second")
@json_option
@async_command
async def diff(first: str, second: str, *, as_json: bool) -> None:
    """Show what differs between two stores. FIRST and SECOND are URLs, or files of an export.

    The exit code is 0 if nothing differs, 1 if something does, 2 if one cannot be read.

    Example: mobstore diff sqlite:mobs.db sqlite:copy.db
    """
    console = display.console()
    differs = False
    try:
        async with AsyncExitStack() as opened:
            one, other = [
                await opened.enter_async_context(open_named(name)) for name in (first, second)
            ]
            found = mobstore.diff(one, other)
            if as_json:
                async for difference in found:
                    differs = True
                    json_line(asdict(difference))
            else:
                async for group in _grouped(found):
                    differs = True
                    line = group.line({"first": first, "second": second})
                    console.print(cell(line), soft_wrap=True)
    except mobstore.MobStoreError as error:
        raise _TroubleError(str(error)) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _TroubleError(refused(error)) from error
    if differs:
        sys.exit(1)
    if not as_json:
        console.print("no differences")


class _TroubleError(click.ClickException):
    exit_code = 2  # as of other programs that compare: 1 says that something differs


@dataclass
class _Group:
    """Events that come one after the other and differ alike, or one difference of another kind."""

    of: Difference
    last: int | str

    def takes(self, following: Difference) -> bool:
        """Take in the following difference, if it goes with this."""
        one = self.of
        if (
            one.kind == following.kind == "event"
            and isinstance(self.last, int)
            and following.key == self.last + 1
            and (following.mob_id, following.only_in, following.fields)
            == (one.mob_id, one.only_in, one.fields)
        ):
            self.last = following.key
            return True
        return False

    def line(self, names: dict[str, str]) -> str:
        """What is said of it; `names` are those of the first and second store."""
        one = self.of
        if one.kind == "latest_cursor":
            return "the latest cursor differs"
        what = f"{one.kind.replace('_', ' ')} {one.key}"
        if one.key != self.last:
            what = f"events {one.key} to {self.last}"
        if one.mob_id and one.kind != "spec":
            what += f" of {one.mob_id}"
        if one.only_in:
            return f"{what}: only in {names[one.only_in]}"
        return f"{what}: {', '.join(one.fields)}"


async def _grouped(found: AsyncIterable[Difference]) -> AsyncGenerator[_Group]:
    group: _Group | None = None
    async for difference in found:
        if group is not None:
            if group.takes(difference):
                continue
            yield group
        group = _Group(difference, difference.key)
    if group is not None:
        yield group
