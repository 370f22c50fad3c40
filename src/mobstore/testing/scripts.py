"""Scripts for cases that use an engine directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mobstore.scripts.transaction import Commit, LoadingScript, ReadOf, Script, Write, fetch

A = TypeVar("A")


def write_script(*writes: Write) -> Callable[[], Script[None]]:
    """Return a script that reads nothing and writes these."""

    def script() -> Script[None]:
        yield ()
        return Commit(None, writes)

    return script


def read_script(read: ReadOf[A]) -> Callable[[], Script[A]]:
    """Return a script whose result is the answer to one read."""

    def script() -> Script[A]:
        return Commit((yield from fetch(read)))

    return script


def load_script(
    *writes: Write, error: Exception | None = None
) -> Callable[[], LoadingScript[None]]:
    """Return a loading script that yields the writes one by one, then raises `error`, if given."""

    def script() -> LoadingScript[None]:
        for write in writes:
            yield (write,)
        if error is not None:
            raise error
        return Commit(None)

    return script
