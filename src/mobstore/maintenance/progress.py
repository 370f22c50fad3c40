"""Progress reports, and cancellation of the work that makes them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from mobstore.codec.arguments import callback
from mobstore.errors import InternalError, MobStoreError

Progress: TypeAlias = Callable[[int, int], None]
"""A function called with the rows done and the rows in all, from the thread that does the work."""

_ROWS_BETWEEN = 256


class _CallerError(MobStoreError):
    """An error of the caller's function on its way through an engine.

    Engines translate other errors, since they may come from a driver.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__("the progress function raised")
        self.error = error


@contextmanager
def cancellable(progress: Progress | None) -> Generator[Progress]:
    """Abort background work when the awaiting task is cancelled.

    Yields the function through which the work reports its progress. After the block it raises an
    error, so that the work is rolled back; no caller receives that error. An error of `progress`
    rolls the work back, too, and reaches the caller unchanged.

    Raises:
        UsageError: `progress` is not a plain function.
    """
    callback(progress, "progress")
    awaited = True

    def report(done: int, total: int) -> None:
        if not awaited:
            raise InternalError("the task was cancelled")
        if progress is not None:
            try:
                progress(done, total)
            except Exception as error:  # noqa: BLE001 - raised again below
                raise _CallerError(error) from None

    try:
        yield report
    except _CallerError as error:
        own = error.error
        known = None if own.__suppress_context__ else own.__context__
        raise own from own.__cause__ or known
    finally:
        awaited = False


class Meter:
    """A counter of rows that reports every few hundred of them, and the last."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = self._reported = 0

    def add(self, rows: int) -> None:
        """Count `rows` more rows."""
        self._done += rows
        enough = self._done - self._reported >= _ROWS_BETWEEN or self._done == self._total
        if self._progress and enough:
            self._reported = self._done
            self._progress(self._done, self._total)
