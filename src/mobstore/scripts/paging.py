"""Reading an index from end to end, page by page, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import cast

from mobstore.errors import SerializationError
from mobstore.scripts.tables import Index, Key, R, Row
from mobstore.scripts.transaction import Scan, ScriptPart, fetch

FIRST_LIMIT = 4
"""The limit of the first page, since the length of its rows is not known yet."""
_MOST_TIES = 1024  # rows read with one position; an intact store has one
_MOST_ROWS = 256  # of a page
_SIZE = 2**20  # characters of a page, about


def page(index: Index[R], after: Key | None, limit: int) -> ScriptPart[list[R]]:
    """Return the next rows in the order of an index; none after the last.

    Args:
        index: the index; all its rows are walked, whatever its prefix.
        after: the values of `index.sorted_by` in the last row before; None: from the first row.
        limit: the maximum number of rows, plus some that tie with the last one. More ties than
            `_MOST_TIES` mean a corrupt store; the remaining ones are skipped.

    Raises:
        SerializationError: the last row lacks a part of its position, as rows on damaged pages do.
            No page could continue after it, and the caller would start over forever.
    """
    place = index.table.getter(index.sorted_by)
    rows: list[R] = []
    depth = 0 if after is None else len(after) - 1
    # After a key (a, b): the rest of the rows with a, then the rows after a.
    while depth >= 0 and len(rows) < limit:
        prefix, bound = ((), None) if after is None else (after[:depth], after[depth])
        rows += yield from fetch(Scan(index, prefix, after=bound, limit=limit - len(rows)))
        depth -= 1
    if len(rows) == limit and index is not index.table:
        last = place(rows[-1])
        while rows and place(rows[-1]) == last:
            rows.pop()
        rows += yield from fetch(Scan(index, last, limit=_MOST_TIES))
    if rows and None in cast("Sequence[object]", place(rows[-1])):
        raise SerializationError(
            f"table {index.table.name}: a row lacks a part of its key; restore a backup"
        )
    return rows


def next_limit(limit: int, rows: int, size: int) -> int:
    """Return the limit of the page after one with this many rows and characters."""
    return max(1, min(_MOST_ROWS, 4 * limit, _SIZE * rows // (size + 1)))


def size_of(rows: Sequence[Row]) -> int:
    """Return the number of characters in rows."""
    return sum([len(value) for value in chain.from_iterable(rows) if isinstance(value, str)])
