"""The rows of one index, in its order.

Each value of the prefix has a sorted list. Most rows are appended to theirs, so an insertion seldom
moves anything. Many rows are removed in one pass that copies the remaining ones.

Invariants: no list is empty; `_prefixes` is None, or holds the prefixes of the lists in order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from mobstore.scripts.tables import Index, Key, Row
from mobstore.scripts.transaction import Scan

_Entry: TypeAlias = tuple[Any, ...]  # the values of the order columns, then those of the key
_FEW = 8  # up to this many entries are removed one by one


class _Above:
    """A value that sorts after every other."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_ABOVE: Any = _Above()


class SortedRows:
    """The rows of one index; changes are not thread-safe."""

    def __init__(self, index: Index[Any]) -> None:
        self.index: Index[Any] = index
        self._prefix = index.table.getter(index.prefix)
        self._order = index.table.getter(index.order)
        self._outer, self._width = len(index.prefix), len(index.order)
        self._lists: dict[Key, list[_Entry]] = {}
        self._prefixes: list[Key] | None = None  # sorted; built at the first use

    def copy(self) -> SortedRows:
        """Return an independent copy."""
        copied = SortedRows(self.index)
        copied._lists = {prefix: entries[:] for prefix, entries in self._lists.items()}
        return copied

    def add(self, row: Row, key: Key) -> None:
        """Add a new row."""
        prefix = self._prefix(row)
        entries = self._lists.get(prefix)
        entry = self._order(row) + key
        if entries is None:
            self._prefixes = None
            self._lists[prefix] = [entry]
        elif entries[-1] < entry:
            entries.append(entry)
        else:
            insort(entries, entry)

    def move(self, old: Row, new: Row, key: Key) -> None:
        """Move a row to the position of the row that replaces it."""
        if self._prefix(old) != self._prefix(new) or self._order(old) != self._order(new):
            self.remove({key: old})
            self.add(new, key)

    def remove(self, rows: Mapping[Key, Row]) -> None:
        """Remove stored rows."""
        for prefix, leaving in self._by_prefix(rows.items()).items():
            entries = self._lists[prefix]
            leaving.sort()
            start = bisect_left(entries, leaving[0])
            stop = start + len(leaving)
            if len(leaving) == len(entries):
                self._set(prefix, [])
            elif entries[start:stop] == leaving:
                del entries[start:stop]
            elif len(leaving) <= _FEW:
                for entry in leaving:
                    del entries[bisect_left(entries, entry)]
            else:
                left: list[_Entry] = []
                place = 0
                for entry in leaving:
                    start, place = place, bisect_left(entries, entry, place) + 1
                    left += entries[start : place - 1]
                self._set(prefix, left + entries[place:])

    def restore(self, rows: Iterable[tuple[Key, Row]], there: Mapping[Key, Row]) -> None:
        """Make exactly the rows in `there` present, of those in `rows`; idempotent."""
        staying = self._by_prefix(there.items())
        for prefix, unsure in self._by_prefix(rows).items():
            gone = set(unsure)
            entries = [entry for entry in self._lists.get(prefix, ()) if entry not in gone]
            self._set(prefix, sorted(entries + staying.get(prefix, [])))

    def find(self, scan: Scan[Any]) -> list[Key]:
        """Return the keys of the rows a scan finds."""
        found: list[Key] = []
        step = -1 if scan.backwards else 1
        for entries, start, stop in self._ranges(scan):
            if scan.limit is not None:
                room = scan.limit - len(found)
                if scan.backwards:
                    start = max(start, stop - room)  # noqa: PLW2901
                else:
                    stop = min(stop, start + room)  # noqa: PLW2901
            found += [entry[self._width :] for entry in entries[start:stop][::step]]
            if scan.limit is not None and len(found) >= scan.limit:
                break
        return found

    def count(self, scan: Scan[Any]) -> int:
        """Return the number of rows a scan finds."""
        return sum(max(0, stop - start) for _, start, stop in self._ranges(scan))

    def _ranges(self, scan: Scan[Any]) -> Iterator[tuple[list[_Entry], int, int]]:
        """Yield the lists with the rows of a scan, in its order, each with start and stop."""
        if len(scan.prefix) >= self._outer:
            entries = self._lists.get(scan.prefix[: self._outer])
            if entries:
                yield entries, *_bounds(entries, scan.prefix[self._outer :], scan)
            return
        if self._prefixes is None:
            self._prefixes = sorted(self._lists)
        start, stop = _bounds(self._prefixes, scan.prefix, scan)
        places = range(start, stop)  # not a slice: a limited scan may need only the first
        for place in reversed(places) if scan.backwards else places:
            entries = self._lists[self._prefixes[place]]
            yield entries, 0, len(entries)

    def _by_prefix(self, rows: Iterable[tuple[Key, Row]]) -> dict[Key, list[_Entry]]:
        entries: dict[Key, list[_Entry]] = {}
        for key, row in rows:
            entries.setdefault(self._prefix(row), []).append(self._order(row) + key)
        return entries

    def _set(self, prefix: Key, entries: list[_Entry]) -> None:
        self._prefixes = None
        if entries:
            self._lists[prefix] = entries
        else:
            self._lists.pop(prefix, None)


def _bounds(entries: list[_Entry], first: _Entry, scan: Scan[Any]) -> tuple[int, int]:
    """Return the range of the sorted tuples that start with `first`, within the bounds."""
    if scan.after is not None:
        start = bisect_right(entries, (*first, scan.after, _ABOVE))
    else:
        start = bisect_left(entries, first)
    if scan.before is not None:
        return start, bisect_left(entries, (*first, scan.before))
    return start, bisect_right(entries, (*first, _ABOVE)) if first else len(entries)
