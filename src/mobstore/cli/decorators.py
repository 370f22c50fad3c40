"""What the commands share: arguments and options, how they run, how they end, progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar

import click

import mobstore
from mobstore.cli import INTERRUPTED, signals
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


def async_command(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a command; let a refusal of the store end it in words."""

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            signals.run(command(*args, **kwargs))
        except mobstore.MobStoreError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    return update_wrapper(run, command)
