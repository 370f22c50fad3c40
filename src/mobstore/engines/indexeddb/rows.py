"""What one transaction sees and writes: how reads are answered and writes applied."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.conversion import converter, encode_key, to_js_key, to_js_range
from mobstore.engines.indexeddb.javascript import Browser, Handler, ObjectStore, Transaction
from mobstore.engines.indexeddb.reads import (
    PENDING,
    PendingScan,
    ReadBatch,
    RoundTrip,
    ScanKeys,
    is_empty,
)
from mobstore.errors import WriteFailedError
from mobstore.scripts.tables import Index, Key, Row, Table
from mobstore.scripts.transaction import Add, Delete, Get, Put, Read, Scan, Write, key_in_use

Reading: TypeAlias = Generator[tuple[Read[Any], ...], tuple[Any, ...], Any]
"""Yields reads, is sent their answers."""

# By these names `put` fails at once, not later; our own JSON cannot be wrong unless it is too long.
_TOO_LARGE = {"UnknownError", "DataCloneError", "RangeError", "SyntaxError"}
_ROWS_AT_ONCE = 4096  # in one text
_BATCHES_AT_ONCE = 16  # the browser answers the next ones while scripts get these answers


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
        self._version = 0
        self._touched: dict[object, int] = {}  # when rows of a table or of one first key changed
        self._rewritten: dict[Table[Any], int] = {}  # when many of a table changed at once
        self._round_trips: list[RoundTrip] = []  # those under way, in their order

    def ask(self, batches: Sequence[ReadBatch], success: Handler) -> bool:
        """Ask the browser for what is not known, in round trips that it makes at once.

        Args:
            batches: what scripts ask.
            success: is called when a round_trip may have ended, for `take`.

        Returns:
            Whether any round_trip is under way.
        """
        for start in range(0, len(batches), _BATCHES_AT_ONCE):
            self._ask(batches[start : start + _BATCHES_AT_ONCE], success)
        return bool(self._round_trips)

    def take(self) -> None:
        """Take what the trips that have ended have brought."""
        going: list[RoundTrip] = []
        waiting = False  # for one without cursors: those end in their order
        for round_trip in self._round_trips:
            if (waiting and not round_trip.walks) or not round_trip.has_ended():
                waiting = waiting or not round_trip.walks
                going.append(round_trip)
            else:
                self._take(round_trip)
        self._round_trips = going

    def _take(self, round_trip: RoundTrip) -> None:
        for wanted, found in round_trip.results():
            if isinstance(wanted, PendingScan):
                wanted.found = found
            else:
                table, key = wanted
                known = self._known.get(table, {})
                if (
                    known.get(key) is PENDING
                    and self._rewritten.get(table, 0) <= round_trip.version
                ):
                    known[key] = found

    def answers(self, batch: ReadBatch) -> tuple[Any, ...] | None:
        """What was asked, as it is now; None if it is not known (any more)."""
        answers: list[Any] = []
        for read, pending in zip(batch.reads, batch.scans, strict=True):
            if pending is None:
                get = cast("Get[Any]", read)
                known = self._known.get(get.table, {})
                row = known.get(get.key, PENDING)
                if row is PENDING:
                    return None
                if row is not None and type(row) is not get.table.row:
                    known[get.key] = row = converter(get.table).row(row)
                answers.append(row)
            elif pending.found is PENDING or self._is_stale(pending):
                return None
            else:
                answers.append(_found(pending))
        return tuple(answers)

    def _ask(self, batches: Iterable[ReadBatch], success: Handler) -> None:
        gets: dict[Table[Any], list[Key]] = {}
        scans: list[PendingScan] = []
        for batch in batches:
            for place, read in enumerate(batch.reads):
                pending = batch.scans[place]
                if pending is None:
                    get = cast("Get[Any]", read)
                    known = self._known.setdefault(get.table, {})
                    if get.key not in known:
                        known[get.key] = PENDING
                        gets.setdefault(get.table, []).append(get.key)
                elif self._is_stale(pending):
                    batch.scans[place] = pending = PendingScan(pending.read, self._version)
                    scans.append(pending)
        if gets or scans:
            self.flush()
            round_trip = RoundTrip(self._browser, self._finder, gets, scans, self._version)
            round_trip.then(success)
            self._round_trips.append(round_trip)

    def write(self, write: Write, *, careful: bool) -> Reading:
        """Apply one write; who has made it need not wait for it.

        Args:
            write: the write.
            careful: whether to ask first if there are the rows that are added.

        Raises:
            WriteFailedError: a row that is added is known not to be new, or is too large.
        """
        if isinstance(write, Add):
            table = write.table
            keys = list(map(converter(table).key_of, write.rows))
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
            self._finder(write.table).delete(to_js_key(self._browser, write.key))
            self._note(write.table, write.key, None)
        else:
            table = write.scan.index.table
            store = self._finder(table)
            if write.scan.index is not table:
                (keys,) = yield (ScanKeys(write.scan),)
                self._browser.value(keys).forEach(store.delete, store)
            elif not is_empty(write.scan):
                self.flush()
                store.delete(to_js_range(self._browser, write.scan))
            self._forget(table)

    def flush(self) -> None:
        """Hand the browser what was put."""
        for (table, new), rows in self._unwritten.items():
            self._put_all(table, list(rows.values()), new=new)
        self._unwritten = {}

    def _is_stale(self, pending: PendingScan) -> bool:
        table, first = pending.scan.index.table, pending.scan.index.sorted_by[:1]
        by_first_key = first == table.key[:1] and pending.scan.prefix
        rows: object = (table, pending.scan.prefix[0]) if by_first_key else table
        changed = max(self._rewritten.get(table, 0), self._touched.get(rows, 0))
        return changed > pending.version

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
            key = converter(table).key_of(row)
            new = new or key in self._unwritten.get((table, True), ())
            self._unwritten.setdefault((table, new), {})[key] = row
            self._note(table, key, row)
            return
        self.flush()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._put_all(table, rows[start : start + _ROWS_AT_ONCE], new=new)
        self._forget(table)

    def _put_all(self, table: Table[Any], rows: Sequence[Row], *, new: bool) -> None:
        shape, store, value = converter(table), self._finder(table), self._browser.value
        put = store.add if new else store.put
        try:
            if len(rows) == 1:
                (row,) = rows
                put(value(shape.fields(row)), to_js_key(self._browser, shape.key_of(row)))
            else:
                entries = [(encode_key(shape.key_of(row)), shape.fields(row)) for row in rows]
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
        self._version += 1
        self._known.setdefault(table, {})[key] = row
        self._touched[table] = self._touched[table, key[0]] = self._version

    def _forget(self, table: Table[Any]) -> None:
        """Many rows of a table were written."""
        self._version += 1
        self._known.pop(table, None)
        self._rewritten[table] = self._version

    def _finder(self, index: Index[Any]) -> Any:
        """The object store of a table, or an index of one."""
        table = index.table
        store = self._stores.get(table)
        if store is None:
            store = self._stores[table] = self._transaction.objectStore(table.name)
        return store if index is table else store.index(index.name)


def _found(pending: PendingScan) -> object:
    if not isinstance(pending.read, Scan):
        return pending.found
    rows = converter(pending.scan.index.table).rows(pending.found, marked=pending.marked)
    return rows[::-1] if pending.scan.backwards and pending.walked is None else rows
