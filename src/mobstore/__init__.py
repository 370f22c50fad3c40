"""Storage for mobs of agents: an event log, flow runs, specs and realm profiles.

    async with mobstore.open_stores("sqlite:mobs.db") as stores:
        await stores.events.append(mobstore.NewMobEvent(mob_id=..., kind=mobstore.MobReset()))

The four stores (`MobEventStore`, `MobRunStore`, `MobSpecStore`, `RealmProfileStore`) are the
contract, which is the same on every engine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from mobstore.model.display import Displayed

if TYPE_CHECKING:
    from mobstore._api import *  # noqa: F403
    from mobstore.maintenance import *  # noqa: F403
    from mobstore.meerkat import *  # noqa: F403

    # Not `__all__`: mypy would take a declaration for an empty list.
    __version__: str
else:

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _version()
        if name == "__all__":
            return sorted(_public_names(next(_modules())))
        if not name.startswith("_"):
            for module in _modules():
                if name in _public_names(module):
                    found = globals()[name] = getattr(module, name)  # no search the next time
                    return found
        if type(found := globals().get(name)) is ModuleType:  # the search has imported it
            return found
        wasm = sys.platform == "emscripten" and name.startswith("Sqlite")
        instead = f" on wasm32; use {name.replace('Sqlite', 'IndexedDb')}" if wasm else ""
        raise AttributeError(f"module 'mobstore' has no attribute '{name}'{instead}")

    def __dir__() -> list[str]:
        names = (name for module in _modules() for name in _public_names(module))
        return sorted({*globals(), *names, "__version__"})

    def _modules() -> Iterator[ModuleType]:
        """Import the modules of public names one by one: a hundred models take a while to define.

        `__all__` has the names of the first only: `import *` would replace Python's own `copy`,
        and load all of the others.
        """
        from mobstore import _api

        yield _api
        import mobstore.maintenance

        yield mobstore.maintenance
        import mobstore.meerkat

        yield mobstore.meerkat

    def _public_names(module: ModuleType) -> set[str]:
        """Return the names that a module imports in order to export them."""
        found = vars(module).items()
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
