"""mobstore in this environment: worker, page or frame."""

from __future__ import annotations

import importlib
from typing import Any

import mobstore
from browser.inside.handles import error_of
from browser.inside.indexeddb import delete_database
from browser.inside.javascript import ffi, js
from mobstore import open_stores
from mobstore.testing.samples import event

PACKAGE: Any = mobstore  # type checkers do not see its `__all__`


def evaluates() -> bool:
    """Return whether JavaScript can be evaluated from text, which the site's policy forbids."""
    try:
        js.eval("1")
    except ffi.JsException as error:
        assert error.name == "EvalError", error  # noqa: PT017 - outside of pytest
        return False
    return True


async def stores_an_event(name: str) -> int:
    """Store an event and read it back; return its cursor."""
    async with open_stores(f"indexeddb:{name}") as stores:
        await stores.events.append(event())
        (found,) = await stores.events.replay_all()
    await delete_database(name)
    return found.cursor


async def refusal(url: str, create: bool = True, timeout: float = 5) -> dict[str, Any] | None:
    """Return the error of opening a store, or None."""

    async def use() -> None:
        async with open_stores(url, create=create, timeout=timeout):
            pass

    return await error_of(use())


def sqlite_names() -> dict[str, str]:
    """Return the error texts for the names of SQLite's stores."""
    texts: dict[str, str] = {}
    for name in ("SqliteMobStores", "SqliteRealmProfileStore"):
        assert name not in PACKAGE.__all__
        assert name not in dir(mobstore)
        try:
            getattr(importlib.import_module("mobstore"), name)
        except AttributeError as error:
            texts[name] = str(error)
    return texts
