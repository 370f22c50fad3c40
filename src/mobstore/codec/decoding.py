"""What cannot be read, by name; and many objects at once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pydantic import ValidationError

from mobstore.errors import MobStoreError, SerializationError
from mobstore.model.record import explain
from mobstore.model.text import bounded, brief

# Of deep nesting in what another program wrote, Python's own parser reports a RecursionError.
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, RecursionError)
"""What content raises that is not what was written."""


def unreadable(what: str, error: Exception) -> SerializationError:
    """The error of a row that cannot be read; its cause says why, on a line."""
    said = SerializationError(f"{what} cannot be read")
    if isinstance(error, ValidationError):
        why = explain(error)  # its own text shows what was read
    else:
        why = error.detail if isinstance(error, MobStoreError) else str(error)
    said.__cause__ = SerializationError(bounded(why, 400))
    return said


@contextmanager
def naming_unreadable_rows(what: str, key: str) -> Generator[None]:
    """Say what was being read when its content turned out not to be what was written.

    Raises:
        SerializationError: it cannot be read.
    """
    try:
        yield
    except UNREADABLE as error:
        raise unreadable(f"{what} {brief(str(key))}", error)  # noqa: B904 - it brings its cause


def stored_text(stored: str) -> str:
    """Text as stored; a damaged file may hold bytes where it belongs.

    Raises:
        TypeError: it does.
    """
    if type(stored) is not str:
        raise TypeError("not text")
    return stored


def stored_number(stored: int) -> int:
    """A number as stored; a damaged file may hold anything or nothing where it belongs.

    Raises:
        TypeError: it does.
    """
    if type(stored) is not int:
        raise TypeError("not a number")
    return stored


R = TypeVar("R")
T = TypeVar("T")


def read_each(rows: Sequence[R], read: Callable[[R], T], name: Callable[[R], str]) -> list[T]:
    """Decode rows.

    Raises:
        SerializationError: one cannot be read; `name` names it.
    """
    decoded: list[T] = []
    try:
        decoded.extend(map(read, rows))
    except UNREADABLE as error:
        raise unreadable(name(rows[len(decoded)]), error)  # noqa: B904 - it brings its cause
    return decoded


@contextmanager
def garbage_collection_paused() -> Generator[None]:
    """Make many objects that all stay: the garbage collector would look at them in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
