"""What cannot be read, by name; and many objects at once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mobstore.errors import SerializationError


@contextmanager
def reading(what: str) -> Generator[None]:
    """Say what was being read when its content turned out not to be what was written.

    Raises:
        SerializationError: it cannot be read.
    """
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SerializationError(f"{what} cannot be read") from error


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
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SerializationError(f"{name(rows[len(decoded)])} cannot be read") from error
    return decoded


@contextmanager
def uncollected() -> Generator[None]:
    """Make many objects that all stay: the garbage collector would look at them in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
