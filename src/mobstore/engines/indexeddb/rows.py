"""Reads and writes within one transaction."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.cache import TableCache
from mobstore.engines.indexeddb.conversion import converter, encode_key, to_js_key, to_js_range
from mobstore.engines.indexeddb.javascript import Browser, Finder, Handler, Transaction
from mobstore.engines.indexeddb.reads import (
    PENDING,
    PendingScan,
    ReadBatch,
    RoundTrip,
    ScanKeys,
    is_empty,
)
from mobstore.errors import WriteFailedError
from mobstore.scripts.tables import META, Index, Key, Row, Table
from mobstore.scripts.transaction import (
    Add,
    Count,
    Delete,
    Get,
    Now,
    Put,
    Read,
    Scan,
    Write,
    key_in_use,
)

Steps: TypeAlias = Generator[tuple[Read | ScanKeys, ...], tuple[Any, ...], Any]
"""A generator that yields reads and receives their answers."""

# With these names `put` itself raises, not its request. mobstore's JSON is wrong only if too long.
_TOO_LARGE = {"UnknownError", "DataCloneError", "RangeError", "SyntaxError"}
_ROWS_AT_ONCE = 4096  # in one text
_BATCHES_AT_ONCE = 16  # the browser works on the next ones while scripts continue


class Rows:
    """The rows that one transaction reads and writes; see `cache` for the invariants.

    Rows that must be new are sent by `add`, which fails the transaction if one is not. The
    browser then names the table but not the key, so the script runs again and reads first.
    """

    def __init__(self, browser: Browser, transaction: Transaction, now: Callable[[], str]) -> None:
        self._browser, self._now = browser, now
        self._transaction = transaction
        self._version = 0
        self._tables: dict[Table[Any], TableCache] = {}
        self._round_trips: list[RoundTrip] = []  # those under way, in order
        self._begun = False  # whether a request has returned, so that no other tab holds the lock

    def send(self, batches: Sequence[ReadBatch], success: Handler) -> bool:
        """Send the reads that have no current answer, in parallel round trips.

        Args:
            batches: the reads of the scripts.
            success: called when a round trip may be complete, so that `take` runs.

        Returns:
            Whether any round trip is under way.
        """
        for start in range(0, len(batches), _BATCHES_AT_ONCE):
            self._send(batches[start : start + _BATCHES_AT_ONCE], success)
        return bool(self._round_trips)

    def take(self) -> None:
        """Store the results of the round trips that are complete."""
        going: list[RoundTrip] = []
        waiting = False  # for a round trip without cursors: those complete in order
        for trip in self._round_trips:
            if (waiting and not trip.walks) or not trip.has_ended():
                waiting = waiting or not trip.walks
                going.append(trip)
            else:
                self._take(trip)
        self._round_trips = going

    def _take(self, trip: RoundTrip) -> None:
        self._begun = True
        for wanted, found in trip.results():
            if isinstance(wanted, PendingScan):
                wanted.found = found
            else:
                table, key = wanted
                known = self._cache(table).known
                if known.get(key) is trip:
                    known[key] = found

    def answers(self, batch: ReadBatch) -> tuple[Any, ...] | None:
        """Return the current answers of a batch, or None if any is unknown or stale."""
        answers: list[Any] = []
        for read, scan in zip(batch.reads, batch.scans, strict=True):
            if isinstance(read, Now):
                if not self._begun:
                    return None
                answers.append(self._now())
            elif scan is None:
                get = cast("Get[Any]", read)
                known = self._cache(get.table).known
                row = known.get(get.key, PENDING)
                if row is PENDING or isinstance(row, RoundTrip):
                    return None
                if row is not None and type(row) is not get.table.row:
                    known[get.key] = row = converter(get.table).row(row)
                answers.append(row)
            elif scan.found is PENDING or self._is_stale(scan):
                return None
            else:
                answers.append(_found(scan))
        return tuple(answers)

    def _send(self, batches: Iterable[ReadBatch], success: Handler) -> None:
        gets: dict[Table[Any], list[Key]] = {}
        scans: list[PendingScan] = []
        timed = False
        for batch in batches:
            for n, read in enumerate(batch.reads):
                scan = batch.scans[n]
                if isinstance(read, Now):
                    timed = True
                    continue
                if scan is None:
                    get = cast("Get[Any]", read)
                    known = self._cache(get.table).known
                    if get.key not in known:
                        known[get.key] = PENDING
                        gets.setdefault(get.table, []).append(get.key)
                elif self._is_stale(scan):
                    batch.scans[n] = scan = PendingScan(scan.read, self._version)
                    scans.append(scan)
        if timed and not (gets or scans or self._round_trips or self._begun):
            scans.append(PendingScan(Count(Scan(META))))  # returns once the transaction runs
        if gets or scans:
            self.flush()
            trip = RoundTrip(self._browser, self._finder, gets, scans)
            for table, keys in gets.items():
                self._cache(table).known.update(dict.fromkeys(keys, trip))
            trip.then(success)
            self._round_trips.append(trip)

    def write(self, write: Write, *, careful: bool) -> Steps:
        """Apply one write; later reads of this transaction see it at once.

        Args:
            write: the write.
            careful: whether to read first if the added rows exist.

        Raises:
            WriteFailedError: an added row is known to exist, or a row is too large.
        """
        if isinstance(write, Add):
            table, cache = write.table, self._cache(write.table)
            keys = list(map(converter(table).key_of, write.rows))
            if careful or cache.first_taken(keys) is not None:  # perhaps not the first
                yield tuple(Get(table, key) for key in keys)
                if (key := cache.first_taken(keys)) is not None:
                    raise key_in_use(table, key)
            self._put(table, write.rows, new=True)
        elif isinstance(write, Put):
            self._put(write.table, write.rows, new=False)
        elif isinstance(write, Delete):
            cache = self._cache(write.table)
            if write.key in cache.adds:
                self.flush()  # the row must be new although it does not stay
            cache.puts.pop(write.key, None)
            cache.store.delete(to_js_key(self._browser, write.key))
            self._version += 1
            cache.note(write.key, None, self._version)
        else:
            table = write.scan.index.table
            cache = self._cache(table)
            if write.scan.index is not table:
                (keys,) = yield (ScanKeys(write.scan),)
                self._browser.value(keys).forEach(cache.store.delete, cache.store)
            elif not is_empty(write.scan):
                self.flush()
                cache.store.delete(to_js_range(self._browser, write.scan))
            self._version += 1
            cache.forget(self._version)

    def flush(self) -> None:
        """Send the rows that the browser does not have yet."""
        for table, cache in self._tables.items():
            if cache.adds:
                adds, cache.adds = cache.adds, {}
                self._put_all(table, list(adds.values()), new=True)
            if cache.puts:
                puts, cache.puts = cache.puts, {}
                self._put_all(table, list(puts.values()), new=False)

    def _is_stale(self, scan: PendingScan) -> bool:
        """Return whether a scan has not been sent since the last write that concerns it."""
        return self._cache(scan.scan.index.table).changed_at(scan.scan) > scan.version

    def _put(self, table: Table[Any], rows: Sequence[Row], *, new: bool) -> None:
        cache = self._cache(table)
        self._version += 1
        if len(rows) == 1:
            (row,) = rows
            key = converter(table).key_of(row)
            (cache.adds if new or key in cache.adds else cache.puts)[key] = row
            cache.note(key, row, self._version)
            return
        self.flush()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._put_all(table, rows[start : start + _ROWS_AT_ONCE], new=new)
        cache.forget(self._version)

    def _put_all(self, table: Table[Any], rows: Sequence[Row], *, new: bool) -> None:
        shape, store, value = converter(table), self._cache(table).store, self._browser.value
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

    def _cache(self, table: Table[Any]) -> TableCache:
        cache = self._tables.get(table)
        if cache is None:
            store = self._transaction.objectStore(table.name)
            cache = self._tables[table] = TableCache(table, store)
        return cache

    def _finder(self, index: Index[Any]) -> Finder:
        """Return the object store of a table, or an index of one."""
        store = self._cache(index.table).store
        return store if index is index.table else store.index(index.name)


def _found(pending: PendingScan) -> object:
    if not isinstance(pending.read, Scan):
        return pending.found
    rows = converter(pending.scan.index.table).rows(pending.found, marked=pending.marked)
    return rows[::-1] if pending.scan.backwards and pending.walked is None else rows
