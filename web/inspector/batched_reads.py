"""Reads of many rows in bounded memory: in batches, keeping only a part of each row.

A row may hold 80 MiB and a run any number of rows, while a browser tab has a few hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar, cast

from mobstore.scripts.tables import Index, Key, R
from mobstore.scripts.transaction import Get, Read, Scan, fetch

T = TypeVar("T")
Part = Generator[tuple[Read, ...], tuple[Any, ...], T]
"""A part of a script, for `yield from`."""

MOST_DECODED = 2**22
"""The longest document that is decoded, in characters; its objects may take 25 times the memory."""

_FIRST = 64  # rows of the first batch, whose length is not known yet
_MOST = 5000  # rows of a batch
_SIZE = 2**22  # characters of a batch, about


def scan_rows(
    index: Index[R],
    prefix: Key,
    keep: Callable[[R], T],
    *,
    most: int | None = None,
    after: Key | None = None,
    size: int = 2**25,
) -> Part[list[T]]:
    """Read the rows with this prefix, in the order of the index.

    Args:
        index: a unique index.
        prefix: values of its first columns.
        keep: returns the part of a row to keep: a text, a tuple or a row.
        most: the most rows to read.
        after: start after these values of `index.sorted_by`.
        size: stop once the kept parts have so many characters; the first row is always kept.
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


def whole(row: R) -> R:
    """Keep a row as it is, for `scan_rows`."""
    return row


def get_rows(index: Index[R], keys: Sequence[Key], keep: Callable[[R], T]) -> Part[list[T]]:
    """Read the existing rows of these keys, in this order; see `scan_rows`."""
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
    # After a key (a, b) come the other keys that start with a, then the keys after a.
    for depth in range(len(after) - 1, len(prefix) - 1, -1):
        if len(rows) < limit:
            scan = Scan(index, after[:depth], after=after[depth], limit=limit - len(rows))
            rows += yield from fetch(scan)
    return rows


def next_limit(limit: int, rows: Sequence[object]) -> int:
    """Return the size of the next batch: four times the last one, unless its rows were long."""
    size = sum(map(_size, rows))
    return max(1, min(_MOST, 4 * limit, _SIZE * len(rows) // (size + 1)))


def _size(kept: object) -> int:
    values = cast("tuple[object, ...]", kept) if isinstance(kept, tuple) else (kept,)
    return sum(len(value) for value in values if isinstance(value, str))
