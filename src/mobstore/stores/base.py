"""What the four stores share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mobstore.model.timestamp import Timestamp
from mobstore.transaction import Engine

Clock: TypeAlias = Callable[[], Timestamp]


class EngineStore:
    """A store on an engine, with a clock."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._now = clock
