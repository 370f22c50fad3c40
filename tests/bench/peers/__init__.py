"""Other libraries, without stubs or not installed where types are checked."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any


class MissingPeerError(Exception):
    """A library for comparison is not installed."""


def load(module: str) -> Any:
    """Import a module of another library.

    By name, so that type checkers see `Any`, whether it is installed or not.

    Raises:
        MissingPeerError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPeerError(f"{error}: install the extra `bench` of mobstore") from error


def named(distribution: str) -> str:
    """Return the name of a library with its version."""
    return f"{distribution} {version(distribution)}"
