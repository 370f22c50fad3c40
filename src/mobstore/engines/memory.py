"""Rows in dicts, for tests, demos and whatever need not outlive the process.

A script runs from start to end without letting go of the lock, so each is atomic for all tasks and
threads. Rows are immutable tuples of text and numbers: nobody can reach into the store through a
value given or taken.

Each index keeps, for every value of its prefix, a sorted list; most rows come last in theirs, so
an insertion seldom moves anything.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, cast
from uuid import uuid4

from mobstore.errors import InternalError
from mobstore.listeners import Listeners
from mobstore.tables import IDENTITY, META, TABLES, Index, Key, MetaRow, Row, Table
from mobstore.transaction import (
    Add,
    Commit,
    Count,
    Delete,
    DeleteRange,
    Engine,
    Get,
    LoadingScript,
    Put,
    Read,
    Scan,
    Script,
    Write,
    drive,
    key_in_use,
    refuse_within_atomic,
)

T = TypeVar("T")
_CALLS_PER_TURN = 16
_Entry = tuple[Any, ...]  # the values of the order columns, then those of the key


class _Above:
    """Sorts after every value."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_ABOVE: Any = _Above()


class _Sorted:
    """The rows of one index."""

    def __init__(self, index: Index[Any]) -> None:
        self._prefix = index.table.getter(index.prefix)
        self._order = index.table.getter(index.order)
        self._outer, self._width = len(index.prefix), len(index.order)
        self._lists: dict[Key, list[_Entry]] = {}
        self._prefixes: list[Key] | None = None  # those of the lists, sorted, once asked for

    def add(self, row: Row, key: Key) -> None:
        prefix = self._prefix(row)
        entries = self._lists.get(prefix)
        if entries is None:
            entries = self._lists[prefix] = []
            self._prefixes = None
        entry = self._order(row) + key
        if not entries or entries[-1] < entry:
            entries.append(entry)
        else:
            insort(entries, entry)

    def remove(self, row: Row, key: Key) -> None:
        prefix = self._prefix(row)
        entries = self._lists[prefix]
        del entries[bisect_left(entries, self._order(row) + key)]
        if not entries:
            self._forget(prefix)

    def remove_many(self, rows: list[tuple[Row, Key]]) -> None:
        doomed: dict[Key, list[_Entry]] = {}
        for row, key in rows:
            doomed.setdefault(self._prefix(row), []).append(self._order(row) + key)
        for prefix, leaving in doomed.items():
            entries = self._lists[prefix]
            leaving.sort()
            start = bisect_left(entries, leaving[0])
            stop = start + len(leaving)
            if entries[start:stop] == leaving:
                del entries[start:stop]
            else:
                gone = set(leaving)
                entries[:] = [entry for entry in entries if entry not in gone]
            if not entries:
                self._forget(prefix)

    def moved(self, old: Row, new: Row) -> bool:
        return bool(self._prefix(old) != self._prefix(new) or self._order(old) != self._order(new))

    def find(self, scan: Scan[Any]) -> list[Key]:
        """The keys of the rows that a scan finds."""
        if len(scan.prefix) < self._outer:
            return self._find_in_many(scan)
        entries = self._lists.get(scan.prefix[: self._outer], [])
        inner: _Entry = scan.prefix[self._outer :]
        start, stop = _bounds(entries, inner, scan)
        if scan.limit is not None:
            if scan.backwards:
                start = max(start, stop - scan.limit)
            else:
                stop = min(stop, start + scan.limit)
        found = [entry[self._width :] for entry in entries[start:stop]]
        return found[::-1] if scan.backwards else found

    def _find_in_many(self, scan: Scan[Any]) -> list[Key]:
        """The same where the values lead to more lists than one."""
        if self._prefixes is None:
            self._prefixes = sorted(self._lists)
        start, stop = _bounds(self._prefixes, scan.prefix, scan)
        found: list[Key] = []
        step = -1 if scan.backwards else 1
        for prefix in self._prefixes[start:stop][::step]:
            found += [entry[self._width :] for entry in self._lists[prefix][::step]]
            if scan.limit is not None and len(found) >= scan.limit:
                return found[: scan.limit]
        return found

    def _forget(self, prefix: Key) -> None:
        del self._lists[prefix]
        self._prefixes = None


def _bounds(entries: list[_Entry], first: _Entry, scan: Scan[Any]) -> tuple[int, int]:
    """Where those of some sorted tuples begin and end that start with `first`, within bounds."""
    if scan.after is not None:
        start = bisect_right(entries, (*first, scan.after, _ABOVE))
    else:
        start = bisect_left(entries, first)
    if scan.before is not None:
        return start, bisect_left(entries, (*first, scan.before))
    return start, bisect_right(entries, (*first, _ABOVE)) if first else len(entries)


class _Rows:
    """The rows of one table, by key and by each index."""

    def __init__(self, table: Table[Any]) -> None:
        self.key_of: Callable[[Row], Key] = table.getter(table.key)
        self.by_key: dict[Key, Row] = {}
        self.primary = _Sorted(table)
        self.secondary = [_Sorted(index) for index in table.indexes]

    def put(self, row: Row) -> None:
        key = self.key_of(row)
        old = self.by_key.get(key)
        self.by_key[key] = row
        if old is None:
            self.primary.add(row, key)
            for index in self.secondary:
                index.add(row, key)
            return
        for index in self.secondary:
            if index.moved(old, row):
                index.remove(old, key)
                index.add(row, key)

    def delete(self, keys: list[Key]) -> None:
        rows = [(self.by_key.pop(key), key) for key in keys if key in self.by_key]
        for index in (self.primary, *self.secondary):
            index.remove_many(rows)


class MemoryEngine(Engine):
    """Keeps everything in this process; nothing is durable."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._clear()
        self._write(Add(META, (MetaRow(IDENTITY, str(uuid4())),)))
        self._closed = False
        self._calls = 0
        self._listeners = Listeners()

    def __repr__(self) -> str:
        return "MemoryEngine()"

    async def read(self, make: Callable[[], Script[T]]) -> T:
        refuse_within_atomic()
        with self._lock:
            self._check()
            result = drive(make(), self._answer).result
        await self._turn()
        return result

    async def write(self, make: Callable[[], Script[T]]) -> T:
        refuse_within_atomic()
        with self._lock:
            self._check()
            commit = drive(make(), self._answer)
            result = self._apply(commit)
        if commit.writes:
            self._listeners.tell(commit.writes)
        await self._turn()
        return result

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        refuse_within_atomic()
        with self._lock:
            self._check()
            before = [list(rows.by_key.values()) for rows in self._rows.values()]
            try:
                result = self._apply(drive(make(), self._answer_or_write))
            except BaseException:
                self._clear()
                for rows, kept in zip(self._rows.values(), before, strict=True):
                    for row in kept:
                        rows.put(row)
                raise
        self._listeners.tell()
        return result

    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        refuse_within_atomic()
        with self._lock:
            self._check()
            return self._listeners.add(wake, to)

    async def compact(self) -> None:
        refuse_within_atomic()
        with self._lock:
            self._check()  # what was removed is free already

    async def close(self) -> None:
        with self._lock:
            self._closed = True
            self._clear()
        self._listeners.tell()

    async def _turn(self) -> None:
        """Let other tasks run now and then: one that never waits would starve them."""
        self._calls += 1
        if self._calls % _CALLS_PER_TURN == 0:
            from asyncio import sleep  # whoever awaits has loaded it; an import alone need not

            await sleep(0)

    def _clear(self) -> None:
        self._rows: dict[Table[Any], _Rows] = {table: _Rows(table) for table in TABLES}
        self._indexes: dict[Index[Any], _Sorted] = {
            index: rows
            for table, of_table in self._rows.items()
            for index, rows in zip(
                [table, *table.indexes], [of_table.primary, *of_table.secondary], strict=True
            )
        }

    def _check(self) -> None:
        if self._closed:
            raise InternalError("the store is closed; open it again to use it")

    def _apply(self, commit: Commit[T]) -> T:
        for write in commit.writes:
            self._write(write)
        return commit.result

    def _answer(self, read: Read[Any]) -> object:
        if isinstance(read, Get):
            get = cast("Get[Any]", read)
            return self._rows[get.table].by_key.get(get.key)
        if isinstance(read, Scan):
            scan = cast("Scan[Any]", read)
            by_key = self._rows[scan.index.table].by_key
            return [by_key[key] for key in self._indexes[scan.index].find(scan)]
        if isinstance(read, Count):
            return len(self._indexes[read.scan.index].find(read.scan))
        raise TypeError(f"{type(read).__name__} cannot be yielded by a script")

    def _answer_or_write(self, asked: Read[Any] | Write) -> object:
        if isinstance(asked, (Add, Put, Delete, DeleteRange)):
            self._write(asked)
            return None
        return self._answer(asked)

    def _write(self, write: Write) -> None:
        if isinstance(write, (Add, Put)):
            rows = self._rows[cast("Table[Any]", write.table)]
            for row in write.rows:
                if isinstance(write, Add) and rows.key_of(row) in rows.by_key:
                    raise key_in_use(write.table, rows.key_of(row))
                rows.put(row)
        elif isinstance(write, Delete):
            self._rows[write.table].delete([write.key])
        else:
            found = self._indexes[write.scan.index].find(write.scan)
            self._rows[write.scan.index.table].delete(found)
