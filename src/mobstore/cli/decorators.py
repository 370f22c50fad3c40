"""Decorators of commands: common arguments and options, and running a coroutine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar

import click

from mobstore.cli import INTERRUPTED, signals
from mobstore.cli.advice import check_url
from mobstore.cli.output import error_text
from mobstore.errors import MobStoreError, UsageError

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


def url_argument(command: F) -> F:
    """Add the argument URL."""
    return click.argument("url", callback=check_url)(command)


def json_option(command: F) -> F:
    """Add the option `--json`."""
    text = "Print JSON lines: one object a line."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def async_command(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a coroutine as a command; an error of the library ends it with a message."""

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            signals.run(command(*args, **kwargs))
        except UsageError as error:
            raise click.UsageError(error.detail) from error
        except MobStoreError as error:
            raise click.ClickException(error_text(error)) from error
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    return update_wrapper(run, command)
