"""Database files that SQLite cannot have written."""

from __future__ import annotations

import struct
from pathlib import Path

_INTERIOR = 5  # the type of a table page
_LEVELS = 16  # SQLite itself rejects a tree of more than 20


def forge_endless(path: Path, root: int) -> None:
    """Replace a table's tree by pages that refer to one page a hundred times, level by level.

    A read from the root returns the same rows again and again. Only the root is overwritten;
    pages are appended to the file.
    """
    content = bytearray(path.read_bytes())
    size = struct.unpack(">H", content[16:18])[0] or 65536
    pages = len(content) // size
    begin = (root - 1) * size
    old = bytes(content[begin : begin + size])
    head = 100 if root == 1 else 0
    leaf, levels = pages + 1, range(pages + 2, pages + 2 + _LEVELS)
    content += _without_header(old, head) + b"".join(
        _interior(size, 0, child) for child in (leaf, *levels[:-1])
    )
    content[begin : begin + size] = old[:head] + _interior(size, head, levels[-1])[head:]
    struct.pack_into(">I", content, 28, len(content) // size)
    path.write_bytes(content)


def _without_header(page: bytes, head: int) -> bytes:
    """Return a page as it is without the file's header."""
    (count,) = struct.unpack_from(">H", page, head + 3)
    pointers = page[head : head + (12 if page[head] == _INTERIOR else 8) + 2 * count]
    return pointers + bytes(head) + page[head + len(pointers) :]


def _interior(size: int, head: int, child: int) -> bytes:
    """Return a page with all cells referring to one other page."""
    cells = [struct.pack(">I", child) + bytes([number + 1]) for number in range(100)]
    places = [size - 5 * (number + 1) for number in range(len(cells))]
    page = bytearray(size)
    struct.pack_into(">BHHHBI", page, head, _INTERIOR, 0, len(cells), places[-1], 0, child)
    for number, (cell, place) in enumerate(zip(cells, places, strict=True)):
        struct.pack_into(">H", page, head + 12 + 2 * number, place)
        page[place : place + 5] = cell
    return bytes(page)
