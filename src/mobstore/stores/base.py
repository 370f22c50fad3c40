"""The base of the stores."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn, TypeAlias

from mobstore.codec.arguments import to_timestamp
from mobstore.errors import UsageError
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Engine

Clock: TypeAlias = Callable[[], Timestamp | datetime]
"""Returns the current time: a `Timestamp`, or a timezone-aware datetime."""


class NotPicklable:
    """A mixin for objects on an open engine, which belong to this process."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open store cannot be pickled or copied; pass its URL and open it there")


class EngineStore(NotPicklable):
    """A store on an engine, with a clock."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        check_clock(clock)
        self._engine = engine
        self._clock = clock

    def _now(self) -> Timestamp:
        """Return the current time of the store's clock.

        Raises:
            UsageError: the clock returns something else.
        """
        return read_clock(self._clock)


def engine_of(store: EngineStore) -> Engine:
    """Return the engine of a store; within an atomic call, the one that its operations run on."""
    return store._engine  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this package


def read_clock(clock: Clock) -> Timestamp:
    """Return the time of a clock.

    Raises:
        UsageError: the clock returns something else.
    """
    now = clock()
    return now if type(now) is Timestamp else to_timestamp(now, "the clock's time")


def check_clock(clock: Clock) -> None:
    """Check that a clock is callable.

    Raises:
        UsageError: it is not.
    """
    if not callable(clock):
        kind = "None" if clock is None else type(clock).__name__
        raise UsageError(f"clock is a function that returns a Timestamp, not {kind}")
