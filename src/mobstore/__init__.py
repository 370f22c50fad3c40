"""Keeps the state of mobs: an event log, flow runs, specs and realm profiles.

    async with mobstore.open_stores("sqlite:mobs.db") as stores:
        await stores.events.append(mobstore.NewMobEvent(mob_id=..., kind=mobstore.MobReset()))

The interfaces (`MobEventStore`, `MobRunStore`, `MobSpecStore`, `RealmProfileStore`) are the
contract; it is the same on every engine.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mobstore.audit import diff as diff
    from mobstore.audit import verify as verify
    from mobstore.public import *  # noqa: F403
    from mobstore.public import __all__ as __all__
    from mobstore.transfer import copy as copy
else:
    # Not in `__all__`: `import *` would take Python's own `copy` away, and load all of this.
    _OF_WHOLE_STORES = {"copy": "transfer", "diff": "audit", "verify": "audit"}

    def __getattr__(name: str) -> object:
        # A hundred models take a while to define: not before somebody wants one.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if name in _OF_WHOLE_STORES:
            return getattr(import_module(f"mobstore.{_OF_WHOLE_STORES[name]}"), name)
        try:
            return getattr(import_module("mobstore.public"), name)
        except AttributeError:
            wasm = sys.platform == "emscripten" and name.startswith("Sqlite")
            instead = f" on wasm32; use {name.replace('Sqlite', 'IndexedDb')}" if wasm else ""
            raise AttributeError(f"module 'mobstore' has no attribute '{name}'{instead}") from None

    def __dir__() -> list[str]:
        return sorted({*globals(), *_OF_WHOLE_STORES, *import_module("mobstore.public").__all__})
