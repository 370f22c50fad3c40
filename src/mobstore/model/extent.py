"""The extent of JSON text: nesting depth and number of values, without parsing.

Text that is not JSON is measured, too. The parser stops where the text stops being JSON, so it
never reads more than what is counted here.
"""

from __future__ import annotations

from itertools import accumulate

MAX_DEPTH = 127

MAX_VALUES = 2**20
"""Values of one document: arrays, objects and scalars; an empty array or object counts twice.

A value of two bytes in text may take a thousand in memory, for example a profile without optional
keys. Reading a document needs at most 1 GiB.
"""

_NOT_MARKS = bytes(set(range(256)) - set(b'"[]{},'))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # 1 and, read as a signed byte, -1
_CHUNK = 2**16


def has_more_values(raw: bytes, most: int = MAX_VALUES) -> bool:
    """Return whether JSON text has more than `most` values; see `MAX_VALUES`.

    Each value but the first follows a comma or an opening bracket. Blanks do not count, so every
    form of a document has the same number of values.
    """
    # Almost every text is short, or has few of the three characters even within strings.
    if len(raw) <= most or _openings(raw) < most:
        return False
    return _openings(_outside_strings(raw)) >= most


def _openings(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def nested_deeper(raw: bytes, most: int = MAX_DEPTH) -> bool:
    """Return whether JSON text has more than `most` levels of arrays and objects.

    Unclosed text counts as deep if it opens as many, unless it is very short.
    """
    if len(raw) <= 2 * most or raw.count(b"[") + raw.count(b"{") <= most:
        return False
    steps = _outside_strings(raw).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > most


def _outside_strings(raw: bytes) -> bytes:
    """Return the brackets and commas that are outside strings."""
    if b"\\" in raw:  # only strings have backslashes
        raw = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    # Most strings have no bracket or comma: only their two quotes are left.
    marks = raw.translate(None, _NOT_MARKS).replace(b'""', b"")
    if b'"' not in marks:
        return marks
    found: list[bytes] = []
    in_string = False
    for start in range(0, len(marks), _CHUNK):  # all pieces at once take 20 times the memory
        pieces = marks[start : start + _CHUNK].split(b'"')
        outside = pieces[1::2] if in_string else pieces[::2]
        found.append(b"".join(outside))
        quotes = len(pieces) - 1
        if quotes % 2:
            in_string = not in_string
    return b"".join(found)
