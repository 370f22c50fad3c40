"""Stores that stay open between calls of the harness, and the errors of their calls."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from mobstore import IndexedDbMobStores, MobStoreError, MobStores
from mobstore.testing.samples import event

_open: dict[str, MobStores] = {}


def held(name: str) -> MobStores:
    """Return the stores that were opened under this name."""
    return _open[name]


async def open_(name: str, timeout: float = 5, *, create: bool = True) -> dict[str, Any] | None:
    """Open a database until `close`; return the error if there is one."""

    async def opened() -> None:
        _open[name] = await IndexedDbMobStores.open(
            name, create=create, durability="normal", timeout=timeout
        )

    return await error_of(opened())


async def close(name: str) -> None:
    """Close the stores of this name."""
    await _open.pop(name).close()


async def read(name: str) -> dict[str, Any] | None:
    """Read an event; return the error if there is one."""
    return await error_of(held(name).events.poll(0, 1))


async def write(name: str) -> dict[str, Any] | None:
    """Append an event; return the error if there is one."""
    return await error_of(held(name).events.append(event()))


async def cursors(name: str) -> list[int]:
    """Return the cursors of all events."""
    return [one.cursor for one in await held(name).events.replay_all()]


async def identity(name: str) -> str:
    """Return the identity of the store."""
    return str(await held(name).identity())


async def append_until_failure(name: str) -> tuple[list[int], dict[str, Any]]:
    """Append events until a call fails; return the acknowledged cursors and the error."""
    given: list[int] = []
    while True:
        try:
            given.append((await held(name).events.append(event())).cursor)
        except MobStoreError as error:
            return given, described(error)


async def error_of(call: Awaitable[object]) -> dict[str, Any] | None:
    """Return the error of a call, or None."""
    try:
        await call
    except MobStoreError as error:
        return described(error)
    return None


def described(error: MobStoreError) -> dict[str, Any]:
    """Return an error in JSON form."""
    return {
        "kind": type(error).__name__,
        "text": str(error),
        "retry_safe": error.retry_safe,
        "maybe_written": error.maybe_written,
    }
