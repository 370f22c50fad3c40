"""Reading many rows in bounded memory: a few at a time, and of each only what is kept.

A row may hold 80 MiB, and a run any number of rows, while a browser has some hundred megabytes for
all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar, cast

from mobstore.scripts.tables import Index, Key, R
from mobstore.scripts.transaction import Get, Read, Scan, fetch

T = TypeVar("T")
Part = Generator[tuple[Read, ...], tuple[Any, ...], T]
"""A part of a script; to be used with `yield from`."""

PARSED = 2**22
"""Characters of a stored document that is decoded; decoded it may take 25 times as much."""

_FIRST = 64  # rows of the first piece: how long they are is not known yet
_MOST = 5000  # rows of a piece
_SIZE = 2**22  # characters of a piece, about


def walk(
    index: Index[R],
    prefix: Key,
    keep: Callable[[R], T],
    *,
    most: int | None = None,
    after: Key | None = None,
    size: int = 2**25,
) -> Part[list[T]]:
    """Read the rows with these values in the prefix, in their order.

    Args:
        index: the index; its rows must be unique in it.
        prefix: values of its first columns.
        keep: makes what is kept of a row: a text, a tuple or a row.
        most: at most so many rows.
        after: the values of `index.sorted_by` after which to begin.
        size: the characters of what is kept at which to stop, but after the first row.
    """
    place = index.table.getter(index.sorted_by)
    kept: list[T] = []
    limit = _FIRST
    while size > 0 and (most is None or len(kept) < most):
        wanted = limit if most is None else min(limit, most - len(kept))
        rows = yield from _next(index, prefix, after, wanted)
        for row in rows:
            kept.append(keep(row))
            size -= _size(kept[-1])
            if size <= 0:
                break
        if len(rows) < wanted:
            break
        after = place(rows[-1])
        limit = next_limit(wanted, rows)
    return kept


def get_all(index: Index[R], keys: Sequence[Key], keep: Callable[[R], T]) -> Part[list[T]]:
    """Read the rows of these keys that exist, in this order; see `walk`."""
    kept: list[T] = []
    limit = _FIRST
    while keys:
        found = yield tuple(Get(index.table, key) for key in keys[:limit])
        rows = [row for row in found if row is not None]
        kept += map(keep, rows)
        keys, limit = keys[limit:], next_limit(limit, rows)
    return kept


def _next(index: Index[R], prefix: Key, after: Key | None, limit: int) -> Part[list[R]]:
    if after is None:
        return list((yield from fetch(Scan(index, prefix, limit=limit))))
    rows: list[R] = []
    # On from a key (a, b): what else begins with a, then what is after a.
    for depth in range(len(after) - 1, len(prefix) - 1, -1):
        if len(rows) < limit:
            scan = Scan(index, after[:depth], after=after[depth], limit=limit - len(rows))
            rows += yield from fetch(scan)
    return rows


def next_limit(limit: int, rows: Sequence[object]) -> int:
    """How many rows a piece may have after one with so many: more, unless they are long."""
    size = sum(map(_size, rows))
    return max(1, min(_MOST, 4 * limit, _SIZE * len(rows) // (size + 1)))


def _size(kept: object) -> int:
    values = cast("tuple[object, ...]", kept) if isinstance(kept, tuple) else (kept,)
    return sum(len(value) for value in values if isinstance(value, str))
