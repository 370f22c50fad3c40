"""Child processes that can be interrupted, however the tests themselves were started."""

from __future__ import annotations

import sys

_HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def interruptible(code: str, *arguments: object) -> list[str]:
    """The command that runs some Python and heeds Ctrl-C.

    What a shell runs in the background ignores it, and so do all of its children.
    """
    return [sys.executable, "-c", f"{_HEED}; {code}", *map(str, arguments)]
