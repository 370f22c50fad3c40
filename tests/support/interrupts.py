"""Child processes that can be interrupted, however the tests themselves were started."""

from __future__ import annotations

import sys

_HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def interruptible(code: str, *arguments: object) -> list[str]:
    """Return the command that runs some Python and handles Ctrl-C.

    Background processes of a shell ignore it, and so do all of their children.
    """
    return [sys.executable, "-c", f"{_HEED}; {code}", *map(str, arguments)]
