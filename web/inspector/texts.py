"""Stored text for people: moments, JSON on one line, JSON to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from mobstore.errors import SerializationError
from mobstore.model.kernel_values import KernelSet, KernelValue, NamedVariant
from mobstore.model.timestamp import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST = 200
_LONGEST_NAME = 100  # in a row of names
_MOST_NAMES = 50


def shown(sortable: str) -> str:
    """A stored moment as RFC 3339.

    Raises:
        SerializationError: it is none.
    """
    try:
        return str(Timestamp.from_sortable(sortable))
    except ValueError as error:
        raise SerializationError("a stored moment cannot be read") from error


def millis(sortable: str) -> int | None:
    """A stored moment in milliseconds since 1970.

    None for the empty text, which is none, and where a year is not within 1 to 9999.
    """
    try:
        return (Timestamp.from_sortable(sortable).to_datetime() - _EPOCH) // _MILLISECOND
    except ValueError:
        return None


def cut(text: str, most: int = _LONGEST) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shortened(text: str, most: int) -> str:
    """At most so many characters, and how many were left out."""
    left_out = len(text) - most
    return text if left_out <= 0 else f"{text[:most]}… ({left_out:,} more characters)"


def listed(names: Iterable[str]) -> list[str]:
    """At most 50 names, each cut, and how many were left out."""
    whole = list(names)
    shown = [cut(name, _LONGEST_NAME) for name in whole[:_MOST_NAMES]]
    left_out = len(whole) - len(shown)
    return [*shown, f"and {left_out:,} more"] if left_out else shown


def compact(value: object) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pretty(value: object, most: int) -> tuple[str, bool]:
    """The beginning of a value as JSON to read, and whether that is all of it.

    It is made in pieces: what lies deep is indented, which can make it a hundred times as long.
    """
    pieces: list[str] = []
    size = 0
    for piece in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(value):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            return "".join(pieces)[:most], False
    return "".join(pieces), True


def parsed(text: str, what: str) -> object:
    """Stored JSON text.

    Raises:
        SerializationError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError) as error:
        raise SerializationError(f"{what} cannot be read") from error


def plain(value: KernelValue) -> object:
    """A kernel value as plain JSON."""
    if isinstance(value, NamedVariant):
        return f"{value.enum_name}::{value.variant}"
    if isinstance(value, Mapping):
        pairs = [(key, plain(item)) for key, item in value.items()]
        if all(isinstance(key, str) for key, _ in pairs):
            return dict(pairs)
        return [[plain(key), item] for key, item in pairs]
    if isinstance(value, (tuple, list, KernelSet)):
        return [plain(item) for item in value]
    return value
