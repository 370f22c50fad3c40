"""Telling how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from mobstore.errors import InternalError

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the rows done and the rows in all, from whichever thread does the work."""

_ROWS_BETWEEN = 256


@contextmanager
def while_awaited(progress: Progress | None) -> Generator[Progress]:
    """Let work end with an error as soon as its task, having been cancelled, awaits it no more.

    Gives what the work must tell its progress. The error undoes what was done; nobody sees it.
    """
    awaited = True

    def tell(done: int, total: int) -> None:
        if not awaited:
            raise InternalError("the task was cancelled")
        if progress is not None:
            progress(done, total)

    try:
        yield tell
    finally:
        awaited = False


class Meter:
    """Counts rows, and tells `progress` every few hundred of them and after the last."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = self._told = 0

    def add(self, rows: int) -> None:
        """So many more rows are done."""
        self._done += rows
        enough = self._done - self._told >= _ROWS_BETWEEN or self._done == self._total
        if self._progress and enough:
            self._told = self._done
            self._progress(self._done, self._total)
