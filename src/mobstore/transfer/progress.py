"""Telling how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the rows done and the rows in all, from whichever thread does the work."""

_ROWS_BETWEEN = 256


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
