"""A mixin for values that a notebook shows as HTML."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


class Displayed:
    """A value that a notebook shows as HTML.

    Attributes:
        renderer: returns the HTML of a value. `import mobstore` sets it to load
            `mobstore.notebook` when a value is first shown; without one, `repr` is shown.
    """

    __slots__ = ()

    renderer: ClassVar[Callable[[Displayed], str] | None] = None

    def _repr_html_(self) -> str | None:
        render = Displayed.renderer
        return None if render is None else render(self)
