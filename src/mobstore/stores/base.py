"""What the four stores share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from mobstore.codec.arguments import to_timestamp
from mobstore.errors import UsageError
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Engine

Clock: TypeAlias = Callable[[], Timestamp | datetime]
"""Returns the present moment: a `Timestamp`, or a datetime with a time zone."""


class EngineStore:
    """A store on an engine, with a clock."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        check_clock(clock)
        self._engine = engine
        self._clock = clock

    def _now(self) -> Timestamp:
        """The present moment by the store's clock.

        Raises:
            SerializationError: the clock returns something else.
        """
        moment = self._clock()
        return moment if type(moment) is Timestamp else to_timestamp(moment, "the clock's time")


def check_clock(clock: Clock) -> None:
    """Reject a clock that cannot be called.

    Raises:
        UsageError: it cannot.
    """
    if not callable(clock):
        kind = "None" if clock is None else type(clock).__name__
        raise UsageError(f"clock is a function that returns a Timestamp, not {kind}")
