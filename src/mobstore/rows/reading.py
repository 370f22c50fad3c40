"""What cannot be read, by name; and many objects at once."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

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
