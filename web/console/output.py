"""Printed text, passed on as it is written and attributed to the cell that printed it."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

MOST = 100_000
"""Characters that one cell may print; the rest is dropped, so that no cell can flood the page."""

_CUT = f"\n… cut: a cell shows at most {MOST:,} printed characters\n"

Print = Callable[[int, str], None]
"""Receives the number of a cell and text that it printed."""


@dataclass
class Cell:
    """A cell that runs or has run.

    Attributes:
        number: its number in the page.
        printed: characters that it printed.
    """

    number: int
    printed: int = 0


current: ContextVar[Cell | None] = ContextVar("current", default=None)
"""The cell of the running code. The tasks that a cell starts inherit it."""


class CellStream(io.TextIOBase):
    """A text stream for `sys.stdout` and `sys.stderr`."""

    def __init__(self, post: Print) -> None:
        self._post = post
        self.last: Cell | None = None
        """The newest cell; it receives what is printed outside of all cells, as by callbacks."""

    def writable(self) -> bool:
        """Return True: `print` and libraries may write."""
        return True

    def write(self, text: str, /) -> int:
        """Pass text on at once, because the next statement may never return."""
        cell = current.get() or self.last
        if cell is not None and text:
            before, cell.printed = cell.printed, cell.printed + len(text)
            if before <= MOST:
                cut = cell.printed > MOST
                self._post(cell.number, text[: MOST - before] + (_CUT if cut else ""))
        return len(text)
