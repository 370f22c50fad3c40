r"""The tables as object stores: a row is an object whose fields are its columns.

The key of a row is its one key column, or an array of them. IndexedDB orders numbers exactly only
below 2**53 and text by UTF-16 code unit, so a few values are stored in another form, marked by
U+FFFF, which sorts where the value belongs:

    an integer of 2**53 or more    "\uffff" and its 19 digits; text sorts after all numbers
    U+10000 and above in a key     "\uffff" before the character
    U+FFFF in a key                "\uffff\0"

Many rows are written by one call: a JavaScript Map calls `put(row, key)` for each of its entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, TypeAlias, cast, get_type_hints

from mobstore.engines.indexeddb.javascript import (
    Browser,
    Database,
    Finder,
    JsValue,
    ObjectStore,
    Request,
    Transaction,
)
from mobstore.tables import TABLES, Index, Key, Row, Table, Value
from mobstore.transaction import Count, Delete, DeleteRange, Get, Put, Read, Scan, Write

Asking: TypeAlias = Generator[Request, None, Any]
"""Yields the request whose success it waits for; all that were made before it have ended then."""

MARK = "\uffff"
_EXACT = 2**53
_MOST = 2**32 - 1  # rows that getAll can be asked for
_LEAST = float("-inf")  # no key is less
_ROWS_AT_ONCE = 4096  # in one text
_encode = json.JSONEncoder(separators=(",", ":")).encode


def lay_out(browser: Browser, database: Database, transaction: Transaction) -> None:
    """Create the object stores and indexes that are not there; for an upgrade's transaction."""
    for table in TABLES:
        if database.objectStoreNames.contains(table.name):
            store = transaction.objectStore(table.name)
        else:
            store = database.createObjectStore(table.name)
        for index in table.indexes:
            if not store.indexNames.contains(index.name):
                columns = index.prefix + index.order
                store.createIndex(
                    index.name, columns[0] if len(columns) == 1 else browser.array(*columns)
                )


class _Form:
    """How the rows of one table are written and read."""

    def __init__(self, table: Table[Any]) -> None:
        self.columns = table.columns
        self.key_of = table.getter(table.key)
        hints = get_type_hints(table.row)
        keys = {*table.key, *(c for index in table.indexes for c in index.prefix + index.order)}
        self._numbers = [n for n, c in enumerate(self.columns) if hints[c] is int]
        self._texts = [n for n, c in enumerate(self.columns) if c in keys and hints[c] is not int]
        self._make: Callable[[Iterable[Any]], Row] = table.row._make
        self._values: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(*self.columns)

    def stored(self, row: tuple[Any, ...]) -> Row:
        """The row with its values as they are stored; nearly always itself."""
        for n in self._numbers:
            if row[n] >= _EXACT:
                break
        else:
            for n in self._texts:
                if not row[n].isascii():
                    break
            else:
                return row
        changed = (*self._numbers, *self._texts)
        return tuple(stored(value) if n in changed else value for n, value in enumerate(row))

    def rows(self, objects: list[dict[str, Any]], *, marked: bool) -> list[Row]:
        """The rows that were stored as these objects; `marked` if any has a marked value."""
        rows = map(self._values, objects)
        return list(map(self._make, map(self._restored, rows) if marked else rows))

    def _restored(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        restored = list(row)
        for n in self._numbers:
            if type(row[n]) is str:
                restored[n] = int(row[n].removeprefix(MARK))
        for n in self._texts:
            restored[n] = _MARKED.sub(lambda high: high[1].replace("\0", MARK), row[n])
        return tuple(restored)


_form = cache(_Form)
_HIGH = re.compile("[\uffff-\U0010ffff]")
_MARKED = re.compile("\uffff([\0\U00010000-\U0010ffff])")


def stored(value: Value) -> Value:
    """A value of a key or a number as it is stored; itself, if it needs no other form."""
    if isinstance(value, int):
        return value if value < _EXACT else f"{MARK}{value:019}"
    return _HIGH.sub(lambda high: MARK + ("\0" if high[0] == MARK else high[0]), value)


class Rows:
    """The rows that one transaction sees and writes."""

    def __init__(self, browser: Browser, transaction: Transaction) -> None:
        self._browser = browser
        self._transaction = transaction
        self._stores: dict[Table[Any], ObjectStore] = {}
        # What this transaction has read or written by key: nobody else can have changed it.
        self._known: dict[Table[Any], dict[Key, Row | None]] = {}

    def answer(self, reads: Sequence[Read[Any]]) -> Asking:
        """Answer reads, all in one round trip where the browser can."""
        answers: list[Any] = [None] * len(reads)
        asked: list[tuple[int, Request]] = []
        for place, read in enumerate(reads):
            if isinstance(read, Get):
                get = cast("Get[Any]", read)
                known = self._known.setdefault(get.table, {})
                if get.key in known:
                    answers[place] = known[get.key]
                else:
                    asked.append((place, self._store(get.table).get(self._key(get.key))))
            elif isinstance(read, (Scan, Count)):
                scan = cast("Scan[Any]", read.scan if isinstance(read, Count) else read)
                if _is_empty(scan):
                    answers[place] = [] if read is scan else 0
                elif not _is_walk(scan):
                    asked.append((place, self._find(scan, counting=read is not scan)))
            else:
                raise TypeError(f"{type(read).__name__} cannot be yielded by a script")
        if asked:
            yield asked[-1][1]
            for place, request in asked:
                answers[place] = self._received(reads[place], request)
        for place, read in enumerate(reads):
            scan = cast("Scan[Any]", read)
            if isinstance(read, Scan) and _is_walk(scan) and not _is_empty(scan):
                answers[place] = yield from self._walk(scan)
        return tuple(answers)

    def answer_or_write(self, asked: Sequence[object]) -> Asking:
        """Answer reads and apply writes of a loading script, one after the other."""
        answers: list[Any] = []
        for one in asked:
            if isinstance(one, (Put, Delete, DeleteRange)):
                yield from self.write(cast("Write", one))
                answers.append(None)
            else:
                answers.extend((yield from self.answer((cast("Read[Any]", one),))))
        # A script must not run ahead of the browser, or all it brings would wait in memory.
        yield self._store(TABLES[0]).count(0)
        return tuple(answers)

    def write(self, write: Write) -> Asking:
        """Apply one write; what is asked here need not be waited for."""
        if isinstance(write, Put):
            self._put(write.table, write.rows)
        elif isinstance(write, Delete):
            self._store(write.table).delete(self._key(write.key))
            self._known.setdefault(write.table, {})[write.key] = None
        elif not _is_empty(write.scan):
            table = write.scan.index.table
            store, keys = self._store(table), self._range(write.scan)
            self._known.pop(table, None)
            if write.scan.index is table:
                store.delete(keys)
            else:
                request = store.index(write.scan.index.name).getAllKeys(keys)
                yield request
                request.result.forEach(store.delete, store)

    def _put(self, table: Table[Any], rows: Sequence[Row]) -> None:
        form, store, parse = _form(table), self._store(table), self._browser.parse
        if len(rows) == 1:
            (row,) = rows
            key = form.key_of(row)
            value = parse(_encode(dict(zip(form.columns, form.stored(row), strict=True))))
            store.put(value, self._key(key))
            self._known.setdefault(table, {})[key] = row
            return
        self._known.pop(table, None)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            entries: list[tuple[object, object]] = []
            for row in map(form.stored, rows[start : start + _ROWS_AT_ONCE]):
                key = form.key_of(row)
                value = dict(zip(form.columns, row, strict=True))
                entries.append((key if len(key) > 1 else next(iter(key)), value))
            self._browser.map(parse(_encode(entries))).forEach(store.put, store)

    def _store(self, table: Table[Any]) -> ObjectStore:
        store = self._stores.get(table)
        if store is None:
            store = self._stores[table] = self._transaction.objectStore(table.name)
        return store

    def _finder(self, index: Index[Any]) -> Finder:
        store = self._store(index.table)
        return store if index is index.table else store.index(index.name)

    def _find(self, scan: Scan[Any], *, counting: bool) -> Request:
        finder, keys = self._finder(scan.index), self._range(scan)
        if counting:
            return finder.count(keys)
        if scan.limit is None:
            return finder.getAll(keys)
        if scan.backwards:
            return finder.openCursor(keys, "prev")
        return finder.getAll(keys, min(scan.limit, _MOST))

    def _received(self, read: Read[Any], request: Request) -> object:
        result = request.result
        if isinstance(read, Get):
            get = cast("Get[Any]", read)
            row = None if result is None else self._rows(get.table, self._browser.array(result))[0]
            self._known.setdefault(get.table, {})[get.key] = row
            return row
        if isinstance(read, Scan):
            scan = cast("Scan[Any]", read)
            if scan.backwards and scan.limit is not None:
                table = scan.index.table
                return self._rows(table, self._browser.array(result.value)) if result else []
            found = self._rows(scan.index.table, result)
            return found[::-1] if scan.backwards else found
        return result

    def _walk(self, scan: Scan[Any]) -> Asking:
        """The last rows of a scan; `getAll` takes its limit from the first."""
        request = self._find(scan, counting=False)
        found: list[JsValue] = []
        yield request
        while (cursor := request.result) and len(found) < cast("int", scan.limit):
            found.append(cursor.value)
            cursor.continue_()
            yield request
        return self._rows(scan.index.table, self._browser.array(*found))

    def _rows(self, table: Table[Any], objects: JsValue) -> list[Any]:
        text = self._browser.stringify(objects)
        return _form(table).rows(json.loads(text), marked=MARK in text)

    def _key(self, key: Key) -> JsValue:
        values = [stored(value) for value in key]
        return self._browser.array(*values) if len(values) > 1 else values[0]

    def _range(self, scan: Scan[Any]) -> JsValue:
        """The keys of a scan, as IndexedDB's range."""
        browser, index = self._browser, scan.index
        after = None if scan.after is None else stored(scan.after)
        before = None if scan.before is None else stored(scan.before)
        if len(index.prefix + index.order) == 1:
            lower = _LEAST if after is None else after
            if before is None:
                return browser.above(lower, True)
            return browser.within(lower, before, True, True)
        prefix = tuple(map(stored, scan.prefix))
        # An array sorts before all that it begins, and above any text or number within one.
        last = browser.array()
        first = prefix if after is None else (*prefix, after, last)
        end = (*prefix, last) if before is None else (*prefix, before)
        return browser.within(browser.array(*first), browser.array(*end), False, True)


def _is_empty(scan: Scan[Any]) -> bool:
    """Whether nothing can be found; the browser refuses such bounds, and 0 means no limit."""
    if scan.limit == 0:
        return True
    return scan.after is not None and scan.before is not None and not _less(scan.after, scan.before)


def _less(one: Value, other: Value) -> bool:
    return bool(cast("Any", one) < cast("Any", other))


def _is_walk(scan: Scan[Any]) -> bool:
    return scan.backwards and scan.limit is not None and scan.limit > 1
