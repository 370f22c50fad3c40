"""What one transaction sees and writes: how reads are answered and writes applied."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.forms import form, js_key, js_range, stored_key
from mobstore.engines.indexeddb.javascript import Browser, Handler, ObjectStore, Transaction
from mobstore.engines.indexeddb.questions import PENDING, Keys, Question, Search, Trip, is_empty
from mobstore.errors import WriteFailedError
from mobstore.scripts.tables import Index, Key, Row, Table
from mobstore.scripts.transaction import Add, Delete, Get, Put, Read, Scan, Write, key_in_use

Asking: TypeAlias = Generator[tuple[Read | Keys, ...], tuple[Any, ...], Any]
"""Yields reads, is sent their answers."""

# By these names `put` fails at once, not later; our own JSON cannot be wrong unless it is too long.
_TOO_LARGE = {"UnknownError", "DataCloneError", "RangeError", "SyntaxError"}
_ROWS_AT_ONCE = 4096  # in one text
_QUESTIONS_AT_ONCE = 16  # the browser answers the next ones while scripts get these answers


class Rows:
    """The rows that one transaction sees and writes.

    A script may ask while another is still to write. What was written since makes an answer stale:
    then it is asked for again. Rows that are put one by one are handed to the browser together,
    when something is asked or at the end: a Map calls `put(row, key)` for each of its entries.

    Rows that must be new are handed over by `add`, which fails the transaction if one is not. The
    browser then names the table, not the key: the script is run again and asks first.
    """

    def __init__(self, browser: Browser, transaction: Transaction) -> None:
        self._browser = browser
        self._transaction = transaction
        self._stores: dict[Table[Any], ObjectStore] = {}
        # What this transaction has read or written by key: nobody else can have changed it. What
        # was read becomes a row when a script asks for it: if it is damaged, that one alone fails.
        self._known: dict[Table[Any], dict[Key, object]] = {}
        # By table and whether they must be new; a key is in one of the two only.
        self._unwritten: dict[tuple[Table[Any], bool], dict[Key, Row]] = {}
        self._moment = 0
        self._touched: dict[object, int] = {}  # when rows of a table or of one first key changed
        self._rewritten: dict[Table[Any], int] = {}  # when many of a table changed at once
        self._trips: list[Trip] = []  # those under way, in their order

    def ask(self, questions: Sequence[Question], success: Handler) -> bool:
        """Ask the browser for what is not known, in round trips that it makes at once.

        Args:
            questions: what scripts ask.
            success: is called when a trip may have ended, for `take`.

        Returns:
            Whether any trip is under way.
        """
        for start in range(0, len(questions), _QUESTIONS_AT_ONCE):
            self._ask(questions[start : start + _QUESTIONS_AT_ONCE], success)
        return bool(self._trips)

    def take(self) -> None:
        """Take what the trips that have ended have brought."""
        going: list[Trip] = []
        waiting = False  # for one without cursors: those end in their order
        for trip in self._trips:
            if (waiting and not trip.walks) or not trip.has_ended():
                waiting = waiting or not trip.walks
                going.append(trip)
            else:
                self._take(trip)
        self._trips = going

    def _take(self, trip: Trip) -> None:
        for wanted, found in trip.results():
            if isinstance(wanted, Search):
                wanted.found = found
            else:
                table, key = wanted
                known = self._known.get(table, {})
                if known.get(key) is PENDING and self._rewritten.get(table, 0) <= trip.moment:
                    known[key] = found

    def answers(self, question: Question) -> tuple[Any, ...] | None:
        """What was asked, as it is now; None if it is not known (any more)."""
        answers: list[Any] = []
        for read, search in zip(question.reads, question.searches, strict=True):
            if search is None:
                get = cast("Get[Any]", read)
                known = self._known.get(get.table, {})
                row = known.get(get.key, PENDING)
                if row is PENDING:
                    return None
                if row is not None and type(row) is not get.table.row:
                    known[get.key] = row = form(get.table).row(row)
                answers.append(row)
            elif search.found is PENDING or self._is_stale(search):
                return None
            else:
                answers.append(_found(search))
        return tuple(answers)

    def _ask(self, questions: Iterable[Question], success: Handler) -> None:
        gets: dict[Table[Any], list[Key]] = {}
        searches: list[Search] = []
        for question in questions:
            for place, read in enumerate(question.reads):
                search = question.searches[place]
                if search is None:
                    get = cast("Get[Any]", read)
                    known = self._known.setdefault(get.table, {})
                    if get.key not in known:
                        known[get.key] = PENDING
                        gets.setdefault(get.table, []).append(get.key)
                elif self._is_stale(search):
                    question.searches[place] = search = Search(search.read, self._moment)
                    searches.append(search)
        if gets or searches:
            self.flush()
            trip = Trip(self._browser, self._finder, gets, searches, self._moment)
            trip.then(success)
            self._trips.append(trip)

    def write(self, write: Write, *, careful: bool) -> Asking:
        """Apply one write; who has made it need not wait for it.

        Args:
            write: the write.
            careful: whether to ask first if there are the rows that are added.

        Raises:
            WriteFailedError: a row that is added is known not to be new, or is too large.
        """
        if isinstance(write, Add):
            table = write.table
            keys = list(map(form(table).key_of, write.rows))
            if careful or self._taken(table, keys) is not None:  # perhaps not the first
                yield tuple(Get(table, key) for key in keys)
                if (key := self._taken(table, keys)) is not None:
                    raise key_in_use(table, key)
            self._put(table, write.rows, new=True)
        elif isinstance(write, Put):
            self._put(write.table, write.rows, new=False)
        elif isinstance(write, Delete):
            if write.key in self._unwritten.get((write.table, True), ()):
                self.flush()  # it must be new, even if it does not stay
            self._unwritten.get((write.table, False), {}).pop(write.key, None)
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
        for (table, new), rows in self._unwritten.items():
            self._put_all(table, list(rows.values()), new=new)
        self._unwritten = {}

    def _is_stale(self, search: Search) -> bool:
        table, first = search.scan.index.table, search.scan.index.sorted_by[:1]
        by_first_key = first == table.key[:1] and search.scan.prefix
        rows: object = (table, search.scan.prefix[0]) if by_first_key else table
        changed = max(self._rewritten.get(table, 0), self._touched.get(rows, 0))
        return changed > search.moment

    def _taken(self, table: Table[Any], keys: Iterable[Key]) -> Key | None:
        """The first key that is known not to be new, or is there twice."""
        known, earlier = self._known.get(table, {}), set[Key]()
        for key in keys:
            row = known.get(key, PENDING)
            if key in earlier or not (row is None or row is PENDING):
                return key
            earlier.add(key)
        return None

    def _put(self, table: Table[Any], rows: Sequence[Row], *, new: bool) -> None:
        if len(rows) == 1:
            (row,) = rows
            key = form(table).key_of(row)
            new = new or key in self._unwritten.get((table, True), ())
            self._unwritten.setdefault((table, new), {})[key] = row
            self._note(table, key, row)
            return
        self.flush()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._put_all(table, rows[start : start + _ROWS_AT_ONCE], new=new)
        self._forget(table)

    def _put_all(self, table: Table[Any], rows: Sequence[Row], *, new: bool) -> None:
        shape, store, value = form(table), self._finder(table), self._browser.value
        put = store.add if new else store.put
        try:
            if len(rows) == 1:
                (row,) = rows
                put(value(shape.fields(row)), js_key(self._browser, shape.key_of(row)))
            else:
                entries = [(stored_key(shape.key_of(row)), shape.fields(row)) for row in rows]
                self._browser.map(value(entries)).forEach(put, store)
        except (self._browser.Error, MemoryError) as error:
            if isinstance(error, MemoryError) and len(rows) > 1:
                half = len(rows) // 2
                self._put_all(table, rows[:half], new=new)
                self._put_all(table, rows[half:], new=new)
                return
            if getattr(error, "name", "RangeError") not in _TOO_LARGE:
                raise
            raise WriteFailedError(
                f"a row of table {table.name} is larger than this browser can store; nothing was"
                " written"
            ) from error

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
