"""What the commands share: arguments and options, how they run, how they end, progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import update_wrapper
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

import click
from rich.progress import (
    BarColumn,
    Progress as Bar,
    RenderableColumn,
    TaskProgressColumn,
    TimeRemainingColumn,
)

import mobstore
from mobstore.cli import INTERRUPTED, display, ending
from mobstore.cli.output import cell
from mobstore.maintenance.progress import Progress
from mobstore.stores.urls import parse_url

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


def is_url(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """Let the value of an argument through if it is the URL of a store; else the call is wrong."""
    try:
        parse_url(value)
    except mobstore.InternalError as error:
        raise click.BadParameter(error.detail, param=parameter) from error
    return value


def url_argument(command: F) -> F:
    """Give a command the URL of a store."""
    return click.argument("url", callback=is_url)(command)


def json_option(command: F) -> F:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


def runs_async(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a command; let a refusal of the store end it in words."""

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            ending.run(command(*args, **kwargs))
        except mobstore.MobStoreError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    return update_wrapper(run, command)


def open_present(url: str, *, read_only: bool = True) -> mobstore.Opening[mobstore.MobStores]:
    """The store at a URL, which must be there already; unless told otherwise only to be read.

    Reading waits for no writer, and works on a medium that cannot be written.
    """
    return mobstore.open_stores(url, create=False, read_only=read_only)


def temporary_folder() -> TemporaryDirectory[str]:
    """A folder that goes when it is left.

    Raises:
        WriteFailedError: none can be made.
    """
    try:
        return TemporaryDirectory(prefix="mobstore-")
    except OSError as error:
        raise mobstore.WriteFailedError(
            "no temporary directory can be made; is there room?"
        ) from error


@contextmanager
def progress_bar(doing: str) -> Generator[Progress]:
    """Show how far something is on stderr, while a person looks on."""
    errors = display.console(stderr=True)
    shown = Bar(
        RenderableColumn(cell(doing)),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with shown as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)
