"""A session of the page's Python console whose output is collected."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from unittest.mock import patch

from console import Session
from console.output import CellStream


class Shell:
    """A session on an empty store in memory, with an event loop of its own.

    Attributes:
        printed: what each cell printed, piece by piece.
        offered: what the session offers the page when it opens.
    """

    def __init__(self) -> None:
        self.printed: dict[int, list[str]] = {}
        self._stream = CellStream(self._post)
        self.session = Session(self._stream)
        self._runner = asyncio.Runner()
        self._cells = 0
        self.offered: dict[str, Any] = json.loads(self._runner.run(self.session.open("memory:")))

    def _post(self, number: int, text: str) -> None:
        self.printed.setdefault(number, []).append(text)

    def run(self, source: str) -> dict[str, Any]:
        """Run a cell, and return its result."""
        self._cells += 1
        # Not for good: pytest replaces the streams, too.
        one = self._stream
        with patch.multiple(sys, stdin=one, stdout=one, stderr=one):
            text = self._runner.run(self.session.run(self._cells, source))
        result: dict[str, Any] = json.loads(text)
        return result

    def output(self) -> str:
        """Return what the last cell printed."""
        return "".join(self.printed.get(self._cells, []))

    def close(self) -> None:
        """Close the store and the loop."""
        self.run("await stores.close()")
        self._runner.close()
