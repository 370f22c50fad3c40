"""Checks of arguments: for those of another command, the error names the command to type."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

import click

from mobstore.cli.stores import is_archive
from mobstore.errors import InternalError, ReadFailedError
from mobstore.stores.urls import parse_url, shown_url


def check_url(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the value of an argument if it is the URL of a store.

    Raises:
        click.BadParameter: it is not, or the argument FILE is a URL.
    """
    problem, path = "", ""
    try:
        place = parse_url(value)
    except InternalError as error:
        # What may have a password is not the name of a file.
        problem, path = error.detail, value if shown_url(value) == value else ""
    else:
        if place.engine == "sqlite":
            path = place.name
    command = str(context.info_name)
    file = context.params.get("file")  # of import and export; eager, so that it is parsed first
    if file is not None and _is_url(file):
        pair = [value, file]
        if problem:
            first, arguments = ("FILE", pair) if command == "import" else ("URL", pair[::-1])
            advice = f"{first} comes first; type {_typed(command, *arguments)}"
            raise click.BadParameter(advice, param=parameter)
        arguments = pair[::-1] if command == "import" else pair
        advice = f"{shown_url(file)} is a store, not a file; type {_typed('copy', *arguments)}"
        raise click.BadParameter(advice, param_hint="'FILE'")
    if parameter.name == "target":
        if problem and path.endswith(".zip"):
            typed = _typed("export", context.params["source"], path)
            problem = f"{path} is a file, not a store; type {typed}"
    elif command != "import" and _is_archive(path):
        new = f"sqlite:{_free_name(Path(path))}"
        then = "" if command == "copy" else f", then {_typed(command, new)}"
        typed = _typed("import", path, new)
        problem = f"{path} is an export, not a store; type {typed}{then}"
    if problem:
        raise click.BadParameter(problem, param=parameter)
    return value


def _is_archive(path: str) -> bool:
    try:
        return is_archive(Path(path))
    except ReadFailedError:  # such as a name that is too long; opening it says so
        return False


def _is_url(file: str) -> bool:
    """Return whether the argument FILE is the URL of a store.

    Raises:
        click.BadParameter: it is wrong, and may have a password, so that it must not be printed.
    """
    if os.path.lexists(file):
        return False
    try:
        parse_url(file)
    except InternalError as error:
        if shown_url(file) != file:
            raise click.BadParameter(error.detail, param_hint="'FILE'") from error
        return False
    return True


def _free_name(archive: Path) -> Path:
    name = archive.with_suffix(".db")
    return archive.with_name(f"{archive.stem}-restored.db") if os.path.lexists(name) else name


def _typed(*words: str) -> str:
    return f"`mobstore {' '.join(quote(shown_url(word)) for word in words)}`"
