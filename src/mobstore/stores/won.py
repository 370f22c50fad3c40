"""The types of the results of a compare-and-swap: `bool`, or only `True` in an atomic call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    # Of type checkers only: with its defaults, `MobRunStore` means `MobRunStore[bool]`, and
    # `Stores` means `Stores[Literal[True]]`.
    from typing_extensions import TypeVar

    Won_co = TypeVar("Won_co", bound=bool, default=bool, covariant=True)
    AtomicWon_co = TypeVar("AtomicWon_co", bound=bool, default=Literal[True], covariant=True)
else:
    from typing import TypeVar

    Won_co = TypeVar("Won_co", bound=bool, covariant=True)
    AtomicWon_co = TypeVar("AtomicWon_co", bound=bool, covariant=True)
