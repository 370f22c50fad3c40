"""Values on the wire: parameters of statements, and text without U+0000.

PostgreSQL stores no U+0000. It is stored as U+0001 U+0001, and U+0001 as U+0001 U+0002, which keeps
the order of texts by code point.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mobstore.scripts.tables import Value

_LOW = re.compile("[\0\1]")
_ESCAPED = {"\0": "\1\1", "\1": "\1\2"}
_PAIR = re.compile("\1[\1\2]")
_ORIGINAL = {"\1\1": "\0", "\1\2": "\1"}
TEXT, INT8 = 25, 20  # the types' OIDs
_NULL_LENGTH = struct.pack("!i", -1)


class Parameter(NamedTuple):
    """An encoded parameter; `binary` is 1 for the binary format, which arrays have."""

    content: bytes | None
    binary: int = 0


NULL = Parameter(None)


def text(value: str) -> bytes:
    """Encode a text for the server."""
    if "\0" in value or "\1" in value:
        value = _LOW.sub(lambda found: _ESCAPED[found[0]], value)
    return value.encode()


def original(value: str) -> str:
    """Return a text as it was before `text` encoded it."""
    if "\1" not in value:
        return value
    return _PAIR.sub(lambda found: _ORIGINAL[found[0]], value)


def scalar(value: Value) -> Parameter:
    """Encode a text or a number."""
    return Parameter(text(value) if isinstance(value, str) else b"%d" % value)


def array(kind: type, values: Sequence[Value | None]) -> Parameter:
    """Encode an array of texts or numbers of 64 bits, of which some may be null.

    psycopg would choose the width of numbers by their values, so that one statement would have
    parameters of several types.
    """
    parts = _texts(values) if kind is str else _numbers(values)
    header = struct.pack("!5i", 1, None in values, TEXT if kind is str else INT8, len(values), 1)
    return Parameter(header + b"".join(parts), 1)


def _texts(values: Iterable[Value | None]) -> Iterable[bytes]:
    for value in values:
        if value is None:
            yield _NULL_LENGTH
        else:
            content = text(str(value))
            yield len(content).to_bytes(4)
            yield content


def _numbers(values: Iterable[Value | None]) -> Iterable[bytes]:
    # Not by `struct`, whose error is no OverflowError.
    return [
        _NULL_LENGTH if value is None else b"\0\0\0\b" + int(value).to_bytes(8, signed=True)
        for value in values
    ]
