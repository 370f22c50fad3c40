"""Telling how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from mobstore.codec.arguments import callback
from mobstore.errors import InternalError, MobStoreError

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the rows done and the rows in all, from whichever thread does the work."""

_ROWS_BETWEEN = 256


class _CallersError(MobStoreError):
    """Brings an error of the caller's function through an engine, which knows its own kind."""

    def __init__(self, error: Exception) -> None:
        super().__init__("the progress function raised")
        self.error = error


@contextmanager
def cancellable(progress: Progress | None) -> Generator[Progress]:
    """Let work end with an error as soon as its task, having been cancelled, awaits it no more.

    Gives what the work must tell its progress. The error undoes what was done; nobody sees it.
    What `progress` raises undoes it as well, and is raised as it was.

    Raises:
        InternalError: `progress` is no plain function.
    """
    callback(progress, "progress")
    awaited = True

    def tell(done: int, total: int) -> None:
        if not awaited:
            raise InternalError("the task was cancelled")
        if progress is not None:
            try:
                progress(done, total)
            except Exception as error:  # noqa: BLE001 - raised again as it was
                raise _CallersError(error) from None

    try:
        yield tell
    except _CallersError as error:
        own = error.error
        known = None if own.__suppress_context__ else own.__context__
        raise own from own.__cause__ or known
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
