"""What one transaction sees and writes: how reads are answered and writes applied."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.forms import Found, form, js_key, js_range, stored_key
from mobstore.engines.indexeddb.javascript import Browser, ObjectStore, Request, Transaction
from mobstore.engines.indexeddb.questions import Keys, Question, Search, Trip, is_empty
from mobstore.tables import Index, Key, Row, Table
from mobstore.transaction import Delete, Get, Put, Read, Scan, Write

Asking: TypeAlias = Generator[tuple[Read[Any], ...], tuple[Any, ...], Any]
"""Yields reads, is sent their answers."""

_ROWS_AT_ONCE = 4096  # in one text


class Rows:
    """The rows that one transaction sees and writes.

    A script may ask while another is still to write. What was written since makes an answer stale:
    then it is asked for again. Rows that are put one by one are handed to the browser together,
    when something is asked or at the end: a Map calls `put(row, key)` for each of its entries.
    """

    def __init__(self, browser: Browser, transaction: Transaction) -> None:
        self._browser = browser
        self._transaction = transaction
        self._stores: dict[Table[Any], ObjectStore] = {}
        # What this transaction has read or written by key: nobody else can have changed it. What
        # was read becomes a row when a script asks for it: if it is damaged, that one alone fails.
        self._known: dict[Table[Any], dict[Key, Row | Found | None]] = {}
        self._unwritten: dict[Table[Any], dict[Key, Row]] = {}
        self._moment = 0
        self._touched: dict[object, int] = {}  # when rows of a table or of one first key changed
        self._rewritten: dict[Table[Any], int] = {}  # when many of a table changed at once
        self._trip: Trip | None = None

    def ask(self, questions: Iterable[Question]) -> Request | None:
        """Ask the browser, all in one round trip, for what is not known.

        Returns:
            The request to wait for; None if nothing had to be asked.
        """
        gets: dict[Table[Any], dict[Key, None]] = {}
        searches: list[Search] = []
        for question in questions:
            for read, search in zip(question.reads, question.searches, strict=True):
                if search is None:
                    get = cast("Get[Any]", read)
                    if get.key not in self._known.get(get.table, ()):
                        gets.setdefault(get.table, {})[get.key] = None
                elif self._is_stale(search):
                    search.moment = self._moment
                    searches.append(search)
        if not gets and not searches:
            return None
        self.flush()
        self._trip = Trip(self._browser, self._finder, gets, searches)
        return self._trip.last

    def take(self) -> Request | None:
        """Take what was asked, if anything was, when the request to wait for has ended.

        Returns:
            Another request that has to be waited for first.
        """
        if self._trip is None:
            return None
        if request := self._trip.walk():
            return request
        for wanted, found in self._trip.results():
            if isinstance(wanted, Search):
                wanted.found = found
            else:
                table, key = wanted
                self._known.setdefault(table, {})[key] = found
        self._trip = None
        return None

    def answers(self, question: Question) -> tuple[Any, ...] | None:
        """What was asked, as it is now; None if it must be asked (again)."""
        answers: list[Any] = []
        for read, search in zip(question.reads, question.searches, strict=True):
            if search is None:
                get = cast("Get[Any]", read)
                known = self._known.get(get.table, {})
                if get.key not in known:
                    return None
                row = known[get.key]
                if row is not None and type(row) is not get.table.row:
                    known[get.key] = row = form(get.table).row(row)
                answers.append(row)
            elif self._is_stale(search):
                return None
            else:
                answers.append(_found(search))
        return tuple(answers)

    def write(self, write: Write) -> Asking:
        """Apply one write; who has made it need not wait for it."""
        if isinstance(write, Put):
            self._put(write.table, write.rows)
        elif isinstance(write, Delete):
            self._unwritten.get(write.table, {}).pop(write.key, None)
            self._finder(write.table).delete(js_key(self._browser, write.key))
            self._note(write.table, write.key, None)
        else:
            table = write.scan.index.table
            store = self._finder(table)
            if write.scan.index is not table:
                (keys,) = yield (Keys(write.scan),)
                self._browser.value(keys).forEach(store.delete, store)
            elif not is_empty(write.scan):
                self.flush()
                store.delete(js_range(self._browser, write.scan))
            self._forget(table)

    def flush(self) -> None:
        """Hand the browser what was put."""
        for table, rows in self._unwritten.items():
            self._put_all(table, list(rows.values()))
        self._unwritten = {}

    def _is_stale(self, search: Search) -> bool:
        table, first = search.scan.index.table, search.scan.index.sorted_by[:1]
        by_first_key = first == table.key[:1] and search.scan.prefix
        rows: object = (table, search.scan.prefix[0]) if by_first_key else table
        changed = max(self._rewritten.get(table, 0), self._touched.get(rows, 0))
        return changed > search.moment

    def _put(self, table: Table[Any], rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            (row,) = rows
            key = form(table).key_of(row)
            self._unwritten.setdefault(table, {})[key] = row
            self._note(table, key, row)
            return
        self.flush()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._put_all(table, rows[start : start + _ROWS_AT_ONCE])
        self._forget(table)

    def _put_all(self, table: Table[Any], rows: Sequence[Row]) -> None:
        shape, store, value = form(table), self._finder(table), self._browser.value
        if len(rows) == 1:
            (row,) = rows
            store.put(value(shape.fields(row)), js_key(self._browser, shape.key_of(row)))
        else:
            entries = [(stored_key(shape.key_of(row)), shape.fields(row)) for row in rows]
            self._browser.map(value(entries)).forEach(store.put, store)

    def _note(self, table: Table[Any], key: Key, row: Row | None) -> None:
        """Remember a row that was written."""
        self._moment += 1
        self._known.setdefault(table, {})[key] = row
        self._touched[table] = self._touched[table, key[0]] = self._moment

    def _forget(self, table: Table[Any]) -> None:
        """Many rows of a table were written."""
        self._moment += 1
        self._known.pop(table, None)
        self._rewritten[table] = self._moment

    def _finder(self, index: Index[Any]) -> Any:
        """The object store of a table, or an index of one."""
        table = index.table
        store = self._stores.get(table)
        if store is None:
            store = self._stores[table] = self._transaction.objectStore(table.name)
        return store if index is table else store.index(index.name)


def _found(search: Search) -> object:
    if not isinstance(search.read, Scan):
        return search.found
    rows = form(search.scan.index.table).rows(search.found, marked=search.marked)
    return rows[::-1] if search.scan.backwards and search.walked is None else rows
