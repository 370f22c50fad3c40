"""What mobstore is like in this place."""

from __future__ import annotations

import importlib
from typing import Any

import mobstore
from browser.inside.handles import error_of
from browser.inside.indexeddb import delete_database
from browser.inside.javascript import ffi, js
from mobstore import open_stores
from mobstore.testing.samples import event


def evaluates() -> bool:
    """Whether JavaScript can be made from text, which the policy of the site forbids."""
    try:
        js.eval("1")
    except ffi.JsException as error:
        assert error.name == "EvalError", error  # noqa: PT017 - outside of pytest
        return False
    return True


async def stores_an_event(name: str) -> int:
    """The cursor of an event that was stored and read back."""
    async with open_stores(f"indexeddb:{name}") as stores:
        await stores.events.append(event())
        (found,) = await stores.events.replay_all()
    await delete_database(name)
    return found.cursor


async def refusal(url: str, create: bool = True, timeout: float = 5) -> dict[str, Any] | None:
    """What opening a store says, if it does not work."""

    async def use() -> None:
        async with open_stores(url, create=create, timeout=timeout):
            pass

    return await error_of(use())


def sqlite_names() -> dict[str, str]:
    """What is said of the names of SQLite's stores."""
    said: dict[str, str] = {}
    for name in ("SqliteMobStores", "SqliteRealmProfileStore"):
        assert name not in mobstore.__all__
        assert name not in dir(mobstore)
        try:
            getattr(importlib.import_module("mobstore"), name)
        except AttributeError as error:
            said[name] = str(error)
    return said
