"""Context managers: name unreadable rows; pause garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pydantic import ValidationError

from mobstore.errors import MobStoreError, SerializationError
from mobstore.model.record import explain
from mobstore.model.text import bounded, brief

# Python's parser raises RecursionError for deeply nested JSON of other programs.
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, RecursionError)
"""The errors of decoding corrupt content."""


def unreadable(what: str, error: Exception) -> SerializationError:
    """Return the error for an unreadable row; its cause says why, on one line."""
    said = SerializationError(f"{what} cannot be read")
    if isinstance(error, ValidationError):
        why = explain(error)  # its own text quotes the content
    else:
        why = error.detail if isinstance(error, MobStoreError) else str(error)
    said.__cause__ = SerializationError(bounded(why, 400))
    return said


def unreadable_row(what: str, key: str, error: Exception) -> SerializationError:
    """Return the error for an unreadable row with a key; its cause says why, on one line."""
    return unreadable(f"{what} {brief(str(key))}", error)


@contextmanager
def naming_unreadable_rows(what: str, key: str) -> Generator[None]:
    """Name the row in the error for corrupt content.

    Raises:
        SerializationError: the row cannot be read.
    """
    try:
        yield
    except UNREADABLE as error:
        raise unreadable_row(what, key, error)  # noqa: B904 - it has its cause


def stored_text(stored: str) -> str:
    """Check stored text; a corrupt file may hold bytes instead.

    Raises:
        TypeError: it is not text.
    """
    if type(stored) is not str:
        raise TypeError("not text")
    return stored


def stored_number(stored: int) -> int:
    """Check a stored number; a corrupt file may hold any other value.

    Raises:
        TypeError: it is not a number.
    """
    if type(stored) is not int:
        raise TypeError("not a number")
    return stored


R = TypeVar("R")
T = TypeVar("T")


def read_each(rows: Sequence[R], read: Callable[[R], T], name: Callable[[R], str]) -> list[T]:
    """Decode rows.

    Raises:
        SerializationError: a row cannot be read; the error has its `name`.
    """
    decoded: list[T] = []
    try:
        decoded.extend(map(read, rows))
    except UNREADABLE as error:
        raise unreadable(name(rows[len(decoded)]), error)  # noqa: B904 - it has its cause
    return decoded


@contextmanager
def garbage_collection_paused() -> Generator[None]:
    """Pause the garbage collector while building many long-lived objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
