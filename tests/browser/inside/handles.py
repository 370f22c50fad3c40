"""Stores that stay open from one call of the harness to the next, and what their calls raise."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from mobstore import IndexedDbMobStores, MobStoreError, MobStores
from mobstore.testing.samples import event

_open: dict[str, MobStores] = {}


def held(name: str) -> MobStores:
    """The stores that were opened under this name."""
    return _open[name]


async def open_(name: str, timeout: float = 5, *, create: bool = True) -> dict[str, Any] | None:
    """Open a database, and keep it open until `close`; give the error if there is one."""

    async def opened() -> None:
        _open[name] = await IndexedDbMobStores.open(
            name, create=create, durability="normal", timeout=timeout
        )

    return await error_of(opened())


async def close(name: str) -> None:
    """Close what was opened."""
    await _open.pop(name).close()


async def read(name: str) -> dict[str, Any] | None:
    """Read something; give the error if there is one."""
    return await error_of(held(name).events.poll(0, 1))


async def write(name: str) -> dict[str, Any] | None:
    """Append an event; give the error if there is one."""
    return await error_of(held(name).events.append(event()))


async def cursors(name: str) -> list[int]:
    """The cursors of all events."""
    return [one.cursor for one in await held(name).events.replay_all()]


async def identity(name: str) -> str:
    """The identity of the store."""
    return str(await held(name).identity())


async def append_until_refused(name: str) -> tuple[list[int], dict[str, Any]]:
    """Append events until there is an error; the cursors that were given out, and the error."""
    given: list[int] = []
    while True:
        try:
            given.append((await held(name).events.append(event())).cursor)
        except MobStoreError as error:
            return given, described(error)


async def error_of(call: Awaitable[object]) -> dict[str, Any] | None:
    """The error with which a call ends, if it does."""
    try:
        await call
    except MobStoreError as error:
        return described(error)
    return None


def described(error: MobStoreError) -> dict[str, Any]:
    """An error for the outside."""
    return {
        "kind": type(error).__name__,
        "text": str(error),
        "retry_safe": error.retry_safe,
        "maybe_written": error.maybe_written,
    }
