"""Stored values as text for the page: timestamps, JSON on one line, indented JSON."""

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
_LONGEST_NAME = 100  # in a list of names
_MOST_NAMES = 50


def format_timestamp(sortable: str) -> str:
    """Format a stored timestamp as RFC 3339.

    Raises:
        SerializationError: it is corrupt.
    """
    try:
        return str(Timestamp.from_sortable(sortable))
    except ValueError as error:
        raise SerializationError("a stored timestamp cannot be read") from error


def to_milliseconds(sortable: str) -> int | None:
    """Convert a stored timestamp to milliseconds since 1970.

    Return None for the empty text, and for years outside 1 to 9999.
    """
    try:
        return (Timestamp.from_sortable(sortable).to_datetime() - _EPOCH) // _MILLISECOND
    except ValueError:
        return None


def truncate(text: str, most: int = _LONGEST) -> str:
    """Cut a text to at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def abbreviate(text: str, most: int) -> str:
    """Cut a text to at most `most` characters, and append how many were left out."""
    left_out = len(text) - most
    return text if left_out <= 0 else f"{text[:most]}… ({left_out:,} more characters)"


def first_names(names: Iterable[str]) -> list[str]:
    """Return at most 50 names, each cut, and how many were left out."""
    whole = list(names)
    first = [truncate(name, _LONGEST_NAME) for name in whole[:_MOST_NAMES]]
    left_out = len(whole) - len(first)
    return [*first, f"and {left_out:,} more"] if left_out else first


def to_json_line(value: object) -> str:
    """Encode a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_indented_json(value: object, most: int) -> tuple[str, bool]:
    """Encode a value as indented JSON, and return its beginning and whether that is all of it.

    The text is encoded in pieces: indentation can make deeply nested values a hundred times longer.
    """
    pieces: list[str] = []
    size = 0
    for piece in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(value):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            return "".join(pieces)[:most], False
    return "".join(pieces), True


def parse_json(text: str, what: str) -> object:
    """Decode stored JSON.

    Raises:
        SerializationError: it is corrupt.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError) as error:
        raise SerializationError(f"{what} cannot be read") from error


def to_plain_json(value: KernelValue) -> object:
    """Convert a kernel value to plain JSON."""
    if isinstance(value, NamedVariant):
        return f"{value.enum_name}::{value.variant}"
    if isinstance(value, Mapping):
        pairs = [(key, to_plain_json(item)) for key, item in value.items()]
        if all(isinstance(key, str) for key, _ in pairs):
            return dict(pairs)
        return [[to_plain_json(key), item] for key, item in pairs]
    if isinstance(value, (tuple, list, KernelSet)):
        return [to_plain_json(item) for item in value]
    return value
