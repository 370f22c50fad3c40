"""The rule by which calls that never wait let other tasks of the event loop run.

Many short calls share one turn of the loop, which costs as much as a call. Long calls do not: they
would add up, and timers of other tasks, such as those that keep claims, would be late.
"""

from __future__ import annotations

from time import monotonic

_CALLS = 16
_SLICE = 0.005  # seconds


class Turns:
    """The calls of an engine since one of them yielded to the loop, and the time they took.

    Threads share it without a lock. If two calls end at once, one may not be counted.
    """

    def __init__(self) -> None:
        """Start with no call."""
        self._calls = 0
        self._spent = 0.0

    def is_due(self, began: float) -> bool:
        """Count a call that began at a time of `monotonic`; return whether it has to yield."""
        self._calls += 1
        self._spent += monotonic() - began
        if self._calls < _CALLS and self._spent <= _SLICE:
            return False
        self._calls, self._spent = 0, 0.0
        return True
