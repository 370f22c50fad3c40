"""A mixin for values that notebooks display as HTML."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


class Displayed:
    """A value that notebooks display as HTML.

    Attributes:
        renderer: returns the HTML of a value. `import mobstore` sets it to load
            `mobstore.notebook` on first use; without one, notebooks display the `repr`.
    """

    __slots__ = ()

    renderer: ClassVar[Callable[[Displayed], str] | None] = None

    def _repr_html_(self) -> str | None:
        render = Displayed.renderer
        return None if render is None else render(self)
