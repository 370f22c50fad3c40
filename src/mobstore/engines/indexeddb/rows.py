r"""The tables as object stores: a row is an object whose fields are its columns.

The key of a row is its one key column, or an array of them. IndexedDB orders numbers exactly only
below 2**53 and text by UTF-16 code unit, so a few values are stored in another form, marked by
U+FFFF, which sorts where the value belongs:

    an integer of 2**53 or more    "\uffff" and its 19 digits; text sorts after all numbers
    U+10000 and above in a key     "\uffff" before the character
    U+FFFF in a key                "\uffff\0"

Many rows go over the bridge by a few calls. Written: a JavaScript Map calls `put(row, key)` for
each of its entries. Read: JavaScript makes each row an array of values and that JSON text; the text
of an array of texts is all of them with commas between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias, cast, get_type_hints

from pydantic_core import from_json, to_json

from mobstore.engines.indexeddb.javascript import (
    Browser,
    Database,
    Finder,
    JsValue,
    ObjectStore,
    Request,
    Transaction,
)
from mobstore.errors import InternalError
from mobstore.tables import TABLES, Index, Key, Row, Table, Value
from mobstore.transaction import Count, Delete, DeleteRange, Get, Put, Read, Scan, Write

Asking: TypeAlias = Generator[Request | None, None, Any]
"""Yields the request whose success it waits for; all that were made before it have ended then."""

_MARK = "\uffff"
_EXACT = 2**53
_MOST = 2**32 - 1  # rows that getAll can be asked for
_LEAST = float("-inf")  # no key is less
_ROWS_AT_ONCE = 4096  # in one text


def lay_out(browser: Browser, database: Database, transaction: Transaction) -> None:
    """Create the object stores and indexes that are not there; for an upgrade's transaction."""
    for table in TABLES:
        if database.objectStoreNames.contains(table.name):
            store = transaction.objectStore(table.name)
        else:
            store = database.createObjectStore(table.name)
        for index in table.indexes:
            if not store.indexNames.contains(index.name):
                columns = index.sorted_by
                store.createIndex(
                    index.name, columns[0] if len(columns) == 1 else browser.array(*columns)
                )


class _Form:
    """How the rows of one table are written and read."""

    def __init__(self, table: Table[Any]) -> None:
        self.columns = table.columns
        self.key_of = table.getter(table.key)
        hints = get_type_hints(table.row)
        keys = {*table.key, *(c for index in table.indexes for c in index.sorted_by)}
        self._numbers = [n for n, c in enumerate(self.columns) if hints[c] is int]
        self._texts = [n for n, c in enumerate(self.columns) if c in keys and hints[c] is not int]
        self._make: Callable[[Iterable[Any]], Row] = table.row._make
        self._fields: Callable[[JsValue], tuple[Any, ...]] = attrgetter(*self.columns)

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

    def row(self, browser: Browser, stored: JsValue) -> Row:
        """The row that was stored as this object; for a few of them faster than `rows`."""
        fields = [None if value is browser.null else value for value in self._fields(stored)]
        return self._make(self._restored(fields))

    def rows(self, browser: Browser, stored: JsValue) -> list[Row]:
        """The rows that were stored as the objects of this array."""
        texts = stored.map(browser.values).map(browser.stringify)
        json = b"[%b]" % browser.utf8(texts).to_bytes()
        rows = from_json(json, cache_strings="none")
        marked = _MARK.encode() in json
        return list(map(self._make, map(self._restored, rows) if marked else rows))

    def _restored(self, row: list[Any]) -> list[Any]:
        """The values as they were; changes the list."""
        for n in self._numbers:
            if type(row[n]) is str:
                row[n] = int(row[n].removeprefix(_MARK))
        for n in self._texts:
            if not row[n].isascii():
                row[n] = _MARKED.sub(lambda high: high[1].replace("\0", _MARK), row[n])
        return row


_form = cache(_Form)
_HIGH = re.compile("[\uffff-\U0010ffff]")
_MARKED = re.compile("\uffff([\0\U00010000-\U0010ffff])")


def stored(value: Value) -> Value:
    """A value of a key or a number as it is stored; itself, if it needs no other form."""
    if isinstance(value, int):
        return value if value < _EXACT else f"{_MARK}{value:019}"
    return _HIGH.sub(lambda high: _MARK + ("\0" if high[0] == _MARK else high[0]), value)


class Question(NamedTuple):
    """Reads that were asked of the browser.

    Attributes:
        reads: the reads.
        requests: what was asked for each, None where that was not needed.
        moment: how many writes had been made before.
    """

    reads: Sequence[Read[Any]]
    requests: list[Request | None]
    moment: int

    @property
    def last(self) -> Request | None:
        """The request that ends last, if there is any."""
        return next((request for request in reversed(self.requests) if request is not None), None)


class Rows:
    """The rows that one transaction sees and writes.

    A script may ask while another is still to write. What was written since makes an answer stale:
    then it is asked for again.
    """

    def __init__(self, browser: Browser, transaction: Transaction) -> None:
        self._browser = browser
        self._transaction = transaction
        self._stores: dict[Table[Any], ObjectStore] = {}
        # What this transaction has read or written by key: nobody else can have changed it.
        self._known: dict[Table[Any], dict[Key, Row | None]] = {}
        self._moment = 0
        self._touched: dict[object, int] = {}  # when rows of a table or of one first key changed
        self._rewritten: dict[Table[Any], int] = {}  # when many of a table changed at once

    def ask(self, reads: Sequence[Read[Any]]) -> Question:
        """Ask the browser, all in one round trip.

        Raises:
            InternalError: something is no read.
        """
        for read in reads:
            if not isinstance(read, (Get, Scan, Count)):
                raise InternalError(f"{type(read).__name__} cannot be yielded by a script")
        return Question(reads, [self._ask(read) for read in reads], self._moment)

    def answers(self, question: Question) -> Asking:
        """What was asked, as it is now; all requests of the question must have ended."""
        reads, requests, moment = question
        last: Request | None = None
        for place, read in enumerate(reads):
            if self._is_stale(read, requests[place], moment):
                requests[place] = last = self._ask(read)
        if last is not None:
            yield last
        answers: list[Any] = []
        for read, request in zip(reads, requests, strict=True):
            if isinstance(read, Get):
                answers.append(self._row(cast("Get[Any]", read), request))
            elif isinstance(read, Scan):
                scan = cast("Scan[Any]", read)
                if _is_walk(scan):
                    answers.append((yield from self._walk(scan)))
                else:
                    answers.append(self._found(scan, request))
            else:
                answers.append(0 if request is None else request.result)
        return tuple(answers)

    def answer(self, reads: Sequence[Read[Any]]) -> Asking:
        """Ask, and give what was asked when it is the script's turn."""
        question = self.ask(reads)
        yield question.last
        return (yield from self.answers(question))

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
        """Apply one write; who has made it need not wait for it."""
        self._moment += 1
        if isinstance(write, Put):
            self._put(write.table, write.rows)
        elif isinstance(write, Delete):
            self._store(write.table).delete(self._key(write.key))
            self._note(write.table, write.key, None)
        elif not _is_empty(write.scan):
            table = write.scan.index.table
            store, keys = self._store(table), self._range(write.scan)
            self._forget(table)
            if write.scan.index is table:
                store.delete(keys)
            else:
                request = store.index(write.scan.index.name).getAllKeys(keys)
                yield request
                request.result.forEach(store.delete, store)
                self._moment += 1  # what was asked while we waited did not see this yet
                self._forget(table)

    def _ask(self, read: Read[Any]) -> Request | None:
        if isinstance(read, Get):
            get = cast("Get[Any]", read)
            if get.key in self._known.get(get.table, ()):
                return None
            return self._store(get.table).get(self._key(get.key))
        scan = _scan_of(read)
        if _is_empty(scan) or (scan is read and _is_walk(scan)):
            return None
        finder, keys = self._finder(scan.index), self._range(scan)
        if scan is not read:
            return finder.count(keys)
        if scan.limit is None:
            return finder.getAll(keys)
        if scan.backwards:
            return finder.openCursor(keys, "prev")
        return finder.getAll(keys, min(scan.limit, _MOST))

    def _is_stale(self, read: Read[Any], request: Request | None, moment: int) -> bool:
        if isinstance(read, Get):
            get = cast("Get[Any]", read)
            if get.key in self._known.get(get.table, ()):
                return False
            return request is None or self._rewritten.get(get.table, 0) > moment
        scan = _scan_of(read)
        table, first = scan.index.table, scan.index.sorted_by[:1]
        by_first_key = first == table.key[:1] and scan.prefix
        rows: object = (table, scan.prefix[0]) if by_first_key else table
        changed = max(self._rewritten.get(table, 0), self._touched.get(rows, 0))
        return request is not None and changed > moment

    def _note(self, table: Table[Any], key: Key, row: Row | None) -> None:
        """Remember a row that was written."""
        self._known.setdefault(table, {})[key] = row
        self._touched[table] = self._touched[table, key[0]] = self._moment

    def _forget(self, table: Table[Any]) -> None:
        """Many rows of a table were written."""
        self._known.pop(table, None)
        self._rewritten[table] = self._moment

    def _put(self, table: Table[Any], rows: Sequence[Row]) -> None:
        form, store, parse = _form(table), self._store(table), self._browser.parse
        if len(rows) == 1:
            (row,) = rows
            key = form.key_of(row)
            fields = dict(zip(form.columns, form.stored(row), strict=True))
            store.put(self._browser.record(fields), self._key(key))
            self._note(table, key, row)
            return
        self._forget(table)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            entries: list[tuple[object, object]] = []
            for row in map(form.stored, rows[start : start + _ROWS_AT_ONCE]):
                key = form.key_of(row)
                fields = dict(zip(form.columns, row, strict=True))
                entries.append((key if len(key) > 1 else next(iter(key)), fields))
            self._browser.map(parse(to_json(entries).decode())).forEach(store.put, store)

    def _store(self, table: Table[Any]) -> ObjectStore:
        store = self._stores.get(table)
        if store is None:
            store = self._stores[table] = self._transaction.objectStore(table.name)
        return store

    def _finder(self, index: Index[Any]) -> Finder:
        store = self._store(index.table)
        return store if index is index.table else store.index(index.name)

    def _row(self, get: Get[Any], request: Request | None) -> Row | None:
        known = self._known.setdefault(get.table, {})
        if get.key not in known:
            result = None if request is None else request.result
            known[get.key] = None if result is None else _form(get.table).row(self._browser, result)
        return known[get.key]

    def _found(self, scan: Scan[Any], request: Request | None) -> list[Any]:
        if request is None:
            return []
        result, table = request.result, scan.index.table
        if scan.backwards and scan.limit is not None:
            return [_form(table).row(self._browser, result.value)] if result else []
        found = _form(table).rows(self._browser, result)
        return found[::-1] if scan.backwards else found

    def _walk(self, scan: Scan[Any]) -> Asking:
        """The last rows of a scan; `getAll` counts its limit from the first."""
        if _is_empty(scan):
            return []
        request = self._finder(scan.index).openCursor(self._range(scan), "prev")
        form, found = _form(scan.index.table), list[Row]()
        yield request
        while (cursor := request.result) and len(found) < cast("int", scan.limit):
            found.append(form.row(self._browser, cursor.value))
            cursor.continue_()
            yield request
        return found

    def _key(self, key: Key) -> JsValue:
        values = [stored(value) for value in key]
        return self._browser.array(*values) if len(values) > 1 else values[0]

    def _range(self, scan: Scan[Any]) -> JsValue:
        """The keys of a scan, as IndexedDB's range."""
        browser, index = self._browser, scan.index
        after = None if scan.after is None else stored(scan.after)
        before = None if scan.before is None else stored(scan.before)
        if len(index.sorted_by) == 1:
            if scan.prefix:
                value = stored(scan.prefix[0])
                return browser.within(value, value, False, False)
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


def _scan_of(read: Read[Any]) -> Scan[Any]:
    return cast("Scan[Any]", read.scan if isinstance(read, Count) else read)


def _is_empty(scan: Scan[Any]) -> bool:
    """Whether nothing can be found; the browser refuses such bounds, and 0 means no limit."""
    if scan.limit == 0:
        return True
    return scan.after is not None and scan.before is not None and not _less(scan.after, scan.before)


def _less(one: Value, other: Value) -> bool:
    return bool(cast("Any", one) < cast("Any", other))


def _is_walk(scan: Scan[Any]) -> bool:
    return scan.backwards and scan.limit is not None and scan.limit > 1
