"""A read-only view of any engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from mobstore.errors import UsageError
from mobstore.scripts.transaction import (
    Engine,
    LoadingScript,
    PartsScript,
    Scan,
    Script,
    require_outside_atomic,
)

T = TypeVar("T")


class ReadOnlyEngine(Engine):
    """Reads and listens by another engine, and rejects everything that may write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return repr(self._engine)

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await self._engine.read(make)

    async def read_parts(self, make: Callable[[], PartsScript[T]]) -> T:
        return await self._engine.read_parts(make)

    async def write(self, make: Callable[[], Script[T]]) -> T:  # noqa: ARG002
        _reject()

    async def settle(self) -> None:
        return  # it begins no writes

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:  # noqa: ARG002
        _reject()

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        return self._engine.listen(wake, to)

    def use_clock(self, now: Callable[[], str]) -> None:
        self._engine.use_clock(now)

    async def compact(self) -> None:
        _reject()

    async def faults(self) -> Sequence[str]:
        return await self._engine.faults()

    def details(self) -> Mapping[str, str]:
        return self._engine.details()

    async def close(self) -> None:
        await self._engine.close()


def _reject() -> NoReturn:
    require_outside_atomic()
    raise UsageError("the store was opened read-only; open it without read_only to write")
