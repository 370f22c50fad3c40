"""Checks of arguments that the models' methods share."""

from __future__ import annotations

from mobstore.errors import UsageError

_NAMES = {str: "text", bytes: "bytes", int: "a whole number"}


def require(value: object, what: str, *kinds: type) -> None:
    """Check the type of an argument.

    Raises:
        UsageError: the value is of none of these types.
    """
    if not isinstance(value, kinds):
        wanted = " or ".join(_NAMES.get(kind, kind.__name__) for kind in kinds)
        raise UsageError(f"{what} must be {wanted}, not {type(value).__name__}")


def require_function(value: object, what: str) -> None:
    """Check that an argument can be called.

    Raises:
        UsageError: it cannot.
    """
    if not callable(value):
        raise UsageError(f"{what} must be a function, not {type(value).__name__}")
