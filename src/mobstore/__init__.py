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
    from mobstore.audit import Difference as Difference
    from mobstore.audit import Problem as Problem
    from mobstore.audit import Verification as Verification
    from mobstore.audit import diff as diff
    from mobstore.audit import verify as verify
    from mobstore.meerkat import ImportReport as ImportReport
    from mobstore.meerkat import Unreadable as Unreadable
    from mobstore.meerkat import export_meerkat as export_meerkat
    from mobstore.meerkat import import_meerkat as import_meerkat
    from mobstore.public import *  # noqa: F403
    from mobstore.public import __all__ as __all__
    from mobstore.transfer import Summary as Summary
    from mobstore.transfer import copy as copy
    from mobstore.transfer import export_stores as export_stores
    from mobstore.transfer import import_stores as import_stores

    __version__: str
else:
    # Not in `__all__`: `import *` would take Python's own `copy` away, and load all of this.
    _OF_WHOLE_STORES = {
        "Difference": "audit",
        "ImportReport": "meerkat",
        "Problem": "audit",
        "Summary": "transfer",
        "Unreadable": "meerkat",
        "Verification": "audit",
        "copy": "transfer",
        "diff": "audit",
        "export_meerkat": "meerkat",
        "export_stores": "transfer",
        "import_meerkat": "meerkat",
        "import_stores": "transfer",
        "verify": "audit",
    }

    def __getattr__(name: str) -> object:
        # A hundred models take a while to define: not before somebody wants one.
        if name == "__version__":
            return _version()
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
        names = import_module("mobstore.public").__all__
        return sorted({*globals(), *_OF_WHOLE_STORES, *names, "__version__"})

    def _version() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("mobstore")
        except PackageNotFoundError:
            raise AttributeError("mobstore is not installed, so its version is unknown") from None
