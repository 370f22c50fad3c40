"""The console for results, and the cells of their tables."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from mobstore.model.text import bounded

LONGEST_CELL = 1_000
"""Characters of a cell or a name; `--json` prints all of them."""


def new_console(*, stderr: bool = False) -> Console:
    """Return the console for results; it is wide in a pipe, so that lines are not broken.

    Text is printed as it is: no markup, no emoji codes, no highlighting.
    """
    out = Console(stderr=stderr)
    return Console(
        stderr=stderr,
        width=None if out.is_terminal else 140,
        markup=False,
        emoji=False,
        highlight=False,
    )


def cell(value: object, style: str = "") -> Text:
    """Return the text of a cell or a line, at most `LONGEST_CELL` characters, all visible."""
    return Text(_encodable(bounded(value, LONGEST_CELL)), style=style)


def _encodable(text: str) -> str:
    """Escape what standard output cannot encode: a table must know the width of its cells."""
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
