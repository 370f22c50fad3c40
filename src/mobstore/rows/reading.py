"""What cannot be read, by name."""

from __future__ import annotations

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
