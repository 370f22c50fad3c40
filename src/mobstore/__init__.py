"""Keeps the state of mobs: an event log, flow runs, specs and realm profiles.

    async with mobstore.open_stores("sqlite:mobs.db") as stores:
        await stores.events.append(mobstore.NewMobEvent(mob_id=..., kind=mobstore.MobReset()))

The four stores (`MobEventStore`, `MobRunStore`, `MobSpecStore`, `RealmProfileStore`) are the
contract; it is the same on every engine.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from mobstore.model.display import Displayed

if TYPE_CHECKING:
    from mobstore._api import *  # noqa: F403
    from mobstore.maintenance import *  # noqa: F403
    from mobstore.meerkat import *  # noqa: F403

    __all__: list[str]
    __version__: str
else:
    # Names are found here at their first use: a hundred models take a while to define.
    # The names of the second and third module are not in `__all__`: `import *` would replace
    # Python's own `copy`, and load all of both.
    _MODULES = ("mobstore._api", "mobstore.maintenance", "mobstore.meerkat")

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _version()
        if name == "__all__":
            return sorted(_public_names(_MODULES[0]))
        if not name.startswith("_"):
            for module in _MODULES:
                if name in _public_names(module):
                    return getattr(import_module(module), name)
        wasm = sys.platform == "emscripten" and name.startswith("Sqlite")
        instead = f" on wasm32; use {name.replace('Sqlite', 'IndexedDb')}" if wasm else ""
        raise AttributeError(f"module 'mobstore' has no attribute '{name}'{instead}")

    def __dir__() -> list[str]:
        names = (name for module in _MODULES for name in _public_names(module))
        return sorted({*globals(), *names, "__version__"})

    def _public_names(module: str) -> set[str]:
        """Return the names that a module imports in order to export them."""
        found = vars(import_module(module)).items()
        return {name for name, value in found if name[0] != "_" and type(value) is not ModuleType}

    def _version() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("mobstore")
        except PackageNotFoundError:
            raise AttributeError("mobstore is not installed, so its version is unknown") from None


def _html_of(value: Displayed) -> str:
    from mobstore.notebook.html import html_of

    return html_of(value)


Displayed.renderer = _html_of
