"""The stored rows that pending writes hide, and the beginnings of scans that met some of them.

No stored row changes while writes are pending, and a hidden row stays hidden. So each hidden row of
a scan needs to be read only once, however many operations repeat the scan: what was read of its
beginning is kept, and loses its hidden rows when it is used. Positions would not do: rows that tie
have no order, and the first of them may be hidden.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import ge, le
from typing import Any, NamedTuple, TypeAlias, cast

from mobstore.scripts.memory_tables import getter
from mobstore.scripts.tables import Index, Key, Row, Table, Value
from mobstore.scripts.transaction import Delete, DeleteRange, Put, Scan, Write

_Start: TypeAlias = tuple[Index[Any], Key, Value | None, bool]
_MORE = 16  # rows that a further scan reads at least


class HiddenRows:
    """The hidden stored rows of a table.

    Attributes:
        beginnings: those of the scans that met hidden rows, by `start_of`.
    """

    def __init__(self, table: Table[Any]) -> None:
        self.beginnings: dict[_Start, Beginning] = {}
        self._table, self._key_of = table, getter(table, table.key)
        self._keys: set[Key] = set()
        self._ranges: dict[tuple[Index[Any], int], _Ranges] = {}  # by number of values

    def __bool__(self) -> bool:
        return bool(self._keys or self._ranges)

    def add(self, write: Write) -> None:
        """Hide the rows that a write replaces or removes."""
        if isinstance(write, Put):
            self._keys.update(map(self._key_of, cast("Iterable[Row]", write.rows)))
        elif isinstance(write, Delete):
            self._keys.add(write.key)
        elif isinstance(write, DeleteRange):
            scan, given = write.scan, len(write.scan.prefix)
            ranges = self._ranges.get((scan.index, given))
            if ranges is None:
                values_of = getter(self._table, scan.index.sorted_by[: given + 1])
                ranges = self._ranges[scan.index, given] = _Ranges(values_of, {})
            ranges.bounds.setdefault(scan.prefix, _Intervals()).add(scan.after, scan.before)

    def visible(self, rows: Sequence[Row]) -> list[Row]:
        """Return the visible ones of some stored rows."""
        return [row for row in rows if not self.has(row)] if self else list(rows)

    def has(self, row: Row) -> bool:
        """Return whether a stored row is hidden."""
        if self._key_of(row) in self._keys:
            return True
        for (_, given), ranges in self._ranges.items():
            values = ranges.values_of(row)
            bounds = ranges.bounds.get(values[:given])
            if bounds is not None and bounds.has(values[given:]):
                return True
        return False

    def has_key(self, key: Key) -> bool:
        """Return whether any stored row with this key is hidden."""
        return key in self._keys or self.has_all(Scan(self._table, key))

    def has_all(self, scan: Scan[Any]) -> bool:
        """Return whether removed ranges cover all that a scan may find."""
        fixed = dict(zip(scan.index.sorted_by, scan.prefix, strict=False))
        for (index, given), ranges in self._ranges.items():
            columns = index.sorted_by[:given]
            if all(column in fixed for column in columns):
                bounds = ranges.bounds.get(tuple([fixed[column] for column in columns]))
                same = index is scan.index and given == len(scan.prefix)
                within = (scan.after, scan.before) if same else (None, None)
                if bounds is not None and bounds.cover(*within):
                    return True
        return False


def start_of(scan: Scan[Any]) -> _Start:
    """Return where a scan starts, whatever its limit and its end."""
    return scan.index, scan.prefix, scan.before if scan.backwards else scan.after, scan.backwards


class Beginning:
    """The first stored rows of all scans with one start; those found hidden are dropped.

    A scan that was cut by its limit may have left out rows that tie with its last one.
    """

    def __init__(self, scan: Scan[Any], stored: Sequence[Row]) -> None:
        """Keep the rows that a scan found."""
        given = len(scan.prefix)
        self._value_of = getter(scan.index.table, scan.index.sorted_by[given : given + 1])
        self._reaches = le if scan.backwards else ge
        self.keep(scan, stored)

    def keep(self, scan: Scan[Any], stored: Sequence[Row]) -> None:
        """Keep the rows that a scan with this start found, instead of those kept before."""
        self._rows, self._read = list(stored), len(stored)
        self._end = _end_of(scan)  # all stored rows before this value are known
        cut = scan.limit is not None and len(stored) >= scan.limit
        self._whole = not cut and self._end is None
        if cut:
            (self._end,) = self._value_of(stored[-1]) or (None,)

    def visible(self, scan: Scan[Any], hidden: HiddenRows) -> list[Row] | None:
        """Return the visible stored rows that a scan finds, or None if more must be read."""
        found: list[Row] = []
        end, walked = _end_of(scan), 0
        for row in self._rows:
            if len(found) == scan.limit or self._covers(end, *self._value_of(row)):
                break
            walked += 1
            if not hidden.has(row):
                found.append(row)
        self._rows[:walked] = found
        known = self._whole or len(found) == scan.limit or self._covers(end, self._end)
        return found if known else None

    def further(self, scan: Scan[Any]) -> Scan[Any]:
        """Return the scan that reads more than what is kept.

        Its limit doubles, so that the rows read in all stay proportional to the last ones. A scan
        cannot resume between rows that tie.
        """
        limit = 2 * max(self._read, scan.limit or 0) + _MORE
        if scan.backwards:
            return replace(scan, limit=limit, after=None)
        return replace(scan, limit=limit, before=None)

    def _covers(self, end: Value | None, value: Value | None = None) -> bool:
        """Return whether all rows up to the end of a scan sort before a value."""
        return end is not None and value is not None and self._reaches(value, end)


def _end_of(scan: Scan[Any]) -> Value | None:
    return scan.after if scan.backwards else scan.before


class _Ranges(NamedTuple):
    """Removed ranges by the values that their scans select.

    Attributes:
        values_of: extracts the columns that the scans select, and the one that they bound.
        bounds: the bounds of the scans with the same values.
    """

    values_of: Callable[[Row], Key]
    bounds: dict[Key, _Intervals]


class _Intervals:
    """Open intervals of values; those that overlap become one, so their number stays small."""

    def __init__(self) -> None:
        self._starts: list[Key] = []  # as `_start`, sorted
        self._stops: list[Key] = []  # as `_stop`, sorted

    def add(self, after: Value | None, before: Value | None) -> None:
        """Add the interval between two bounds; None is no bound."""
        start, stop = _start(after), _stop(before)
        if start >= stop:
            return
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last], self._stops[first:last] = [start], [stop]

    def has(self, value: Key) -> bool:
        """Return whether a value is within an interval; () is within an unbounded one."""
        place = bisect_left(self._starts, (0, *value)) - 1
        return place >= 0 and (0, *value) < self._stops[place]

    def cover(self, after: Value | None, before: Value | None) -> bool:
        """Return whether one interval covers all between two bounds."""
        place = bisect_right(self._starts, _start(after)) - 1
        return place >= 0 and _stop(before) <= self._stops[place]


def _start(after: Value | None) -> Key:
    return () if after is None else (0, after)


def _stop(before: Value | None) -> Key:
    return (1,) if before is None else (0, before)
