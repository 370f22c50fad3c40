"""The extent of JSON text: how deep it is nested and how many values it has, without parsing it.

Text that is not JSON is measured, too. Where it stops being JSON the parser stops, so the part
that the parser reads is never larger than what is counted here.
"""

from __future__ import annotations

from itertools import accumulate

MAX_DEPTH = 127

MAX_VALUES = 2**20
"""Values of one document: arrays, objects and scalars; an empty array or object counts twice.

The text of a value may have two bytes and its form in memory a thousand, as a profile that leaves
out all that has a default. Reading a document needs at most 1 GiB.
"""

_NOT_MARKS = bytes(set(range(256)) - set(b'"[]{},'))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # 1 and, read as a signed byte, -1
_CHUNK = 2**16


def has_more_values(raw: bytes, most: int = MAX_VALUES) -> bool:
    """Whether JSON text has more than `most` values; see `MAX_VALUES`.

    Each value but the first follows a comma or an opening bracket. Blanks change nothing, so a
    document counts alike in every form in which it can be written.
    """
    # Cheap for almost every text: it is short, or holds few of the three even within strings.
    return len(raw) > most <= _openings(raw) and most <= _openings(_outside_strings(raw))


def _openings(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def nested_deeper(raw: bytes, most: int = MAX_DEPTH) -> bool:
    """Whether JSON text has more than `most` levels of arrays and objects.

    Text that is never closed counts as deep if it opens so many, unless it is very short.
    """
    if len(raw) <= 2 * most or raw.count(b"[") + raw.count(b"{") <= most:
        return False
    steps = _outside_strings(raw).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > most


def _outside_strings(raw: bytes) -> bytes:
    """The brackets and commas that are not part of a string."""
    if b"\\" in raw:  # only strings hold any
        raw = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    # Most strings hold no mark. Of those only the quotes are left, which go in pairs.
    marks = raw.translate(None, _NOT_MARKS).replace(b'""', b"")
    if b'"' not in marks:
        return marks
    found: list[bytes] = []
    within = 0  # 1: the chunk begins within a string
    for start in range(0, len(marks), _CHUNK):  # cut in one go, the pieces would take 20 times it
        pieces = marks[start : start + _CHUNK].split(b'"')
        found.append(b"".join(pieces[within::2]))
        within ^= (len(pieces) - 1) & 1
    return b"".join(found)
