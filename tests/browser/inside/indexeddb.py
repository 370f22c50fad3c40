"""IndexedDB without the engine, as other code of the same origin uses it."""

from __future__ import annotations

import asyncio
from typing import Any

from browser.inside.javascript import ffi, js

_SECONDS = 10
_held: dict[str, Any] = {}


async def settled(request: Any, on_upgrade: Any = None) -> Any:
    """Wait for a request and return its result."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def succeed(_: object) -> None:
        done.set_result(request.result)

    def fail(_: object) -> None:
        done.set_exception(RuntimeError(request.error.name))

    handlers = [ffi.create_proxy(handle) for handle in (succeed, fail)]
    request.onsuccess, request.onerror = handlers
    if on_upgrade is not None:
        handlers.append(ffi.create_proxy(on_upgrade))
        request.onupgradeneeded = handlers[-1]
    try:
        async with asyncio.timeout(_SECONDS):
            return await done
    finally:
        for handler in handlers:
            handler.destroy()


async def hold(name: str, version: int, *stores: str) -> None:
    """Open a database, or create it with these object stores; keep it open until `release`."""
    request = js.indexedDB.open(name, version)

    def create(_: object) -> None:
        for store in stores:
            request.result.createObjectStore(store)

    _held[name] = await settled(request, create)


def release(name: str) -> tuple[int, list[str]]:
    """Close a held database; return its version and the names of its object stores."""
    database = _held.pop(name)
    database.close()
    return database.version, list(database.objectStoreNames)


async def delete_database(name: str) -> None:
    """Delete a database; fails if a connection to it stays open."""
    request = js.indexedDB.deleteDatabase(name)
    blocked: list[object] = []
    request.onblocked = handler = ffi.create_proxy(blocked.append)
    try:
        await settled(request)
    finally:
        handler.destroy()
    assert not blocked, f"{name} was still open"


async def names() -> list[str]:
    """Return the names of all databases of the origin."""
    return [database.name for database in await js.indexedDB.databases()]
