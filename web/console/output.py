"""Standard streams of cells: printed text, passed on as it is written, with its cell; no input."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn

MOST = 100_000
"""Characters that one cell may print; the rest is dropped, so that no cell can flood the page."""
MOST_LINES = 10_000
"""Lines that one cell may print; empty ones, too, are drawn and take time."""

_CUT = f"\n… cut: a cell shows at most {MOST:,} printed characters in {MOST_LINES:,} lines\n"

Print = Callable[[int, str], None]
"""Receives the number of a cell and text that it printed."""


@dataclass
class Cell:
    """A cell that runs or has run.

    Attributes:
        number: its number in the page.
        room: printed characters that it may still show.
        lines: lines that it may still end.
    """

    number: int
    room: int = MOST
    lines: int = MOST_LINES

    def shown(self, text: str) -> str:
        """Return the part of printed text to show, with a note where it is cut."""
        if self.room < 0:
            return ""
        kept = text[: self.room]
        ends = kept.count("\n")
        if ends > self.lines:
            kept = "\n".join(kept.split("\n", self.lines)[: self.lines])
        self.room, self.lines = self.room - len(kept), self.lines - ends
        if len(kept) == len(text):
            return kept
        self.room = -1
        return kept + _CUT


current: ContextVar[Cell | None] = ContextVar("current", default=None)
"""The cell of the running code. The tasks that a cell starts inherit it."""


class CellStream(io.TextIOBase):
    """A text stream for `sys.stdin`, `sys.stdout` and `sys.stderr`."""

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
        if cell is not None and (shown := cell.shown(text)):
            self._post(cell.number, shown)
        return len(text)

    def read(self, _: object = None, /) -> NoReturn:
        """Raise OSError: the page has no input, and `input()` would wait for it for ever."""
        raise OSError("a cell cannot wait for input; assign the value to a name instead")

    readline = read
