"""Any engine, for reading only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from mobstore.errors import InternalError
from mobstore.scripts.transaction import Engine, LoadingScript, Scan, Script, require_outside_atomic

T = TypeVar("T")


class ReadOnlyEngine(Engine):
    """Answers and listens like the engine beneath, and refuses whatever may write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return repr(self._engine)

    async def read(self, make: Callable[[], Script[T]]) -> T:
        return await self._engine.read(make)

    async def write(self, make: Callable[[], Script[T]]) -> T:  # noqa: ARG002
        _refuse()

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:  # noqa: ARG002
        _refuse()

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        return self._engine.listen(wake, to)

    async def compact(self) -> None:
        _refuse()

    async def faults(self) -> Sequence[str]:
        return await self._engine.faults()

    def details(self) -> Mapping[str, str]:
        return self._engine.details()

    async def close(self) -> None:
        await self._engine.close()


def _refuse() -> NoReturn:
    require_outside_atomic()
    raise InternalError("the store was opened to be read only; open it without read_only to write")
