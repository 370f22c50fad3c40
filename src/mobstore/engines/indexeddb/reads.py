"""Reads of scripts, and a round trip to the browser with them.

Reads that are sent together cross the bridge in a few calls: an array of keys calls the store's
`get(key)` for each of them, and JavaScript makes one JSON text of all results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, cast

from pydantic_core import from_json

from mobstore.engines.indexeddb.conversion import MARK, encode_key, to_js_key, to_js_range
from mobstore.engines.indexeddb.javascript import Browser, Finder, Handler, JsValue, Request
from mobstore.errors import InternalError
from mobstore.scripts.tables import Index, Key, Table, Value
from mobstore.scripts.transaction import Count, Get, Now, Read, ReadOf, Scan

PENDING = object()
"""Sentinel for an answer that has not arrived."""

_MOST = 2**32 - 1  # the highest limit that getAll takes
_MARK = MARK.encode()


@dataclass(slots=True)
class ScanKeys(ReadOf[list[Any]]):
    """The encoded keys of the rows that a scan without a limit finds."""

    scan: Scan[Any]


class PendingScan:
    """A scan, a count or a read of keys, and its result.

    Attributes:
        read: the read.
        scan: its scan.
        version: the transaction's version when the read was sent; -1 before that.
        found: the result; `PENDING` until it arrives.
        marked: whether the result may contain marks.
        walked: the rows that a cursor has visited; None if no cursor is needed.
    """

    __slots__ = ("_request", "found", "marked", "read", "scan", "version", "walked")

    def __init__(self, read: Scan[Any] | Count | ScanKeys, version: float = -1) -> None:
        self.read: Scan[Any] | Count | ScanKeys = read
        self.scan: Scan[Any] = read if isinstance(read, Scan) else read.scan
        self.version: float = version
        self.found: Any = PENDING
        self.marked: bool = True
        self.walked: list[JsValue] | None = None
        if is_empty(self.scan):
            self.version = inf
            self.found = 0 if isinstance(read, Count) else cast("list[Any]", [])

    def send(self, browser: Browser, finder: Finder) -> Request:
        """Create the browser's request."""
        scan, keys = self.scan, to_js_range(browser, self.scan)
        if isinstance(self.read, Count):
            self._request = finder.count(keys)
        elif isinstance(self.read, ScanKeys):
            self._request = finder.getAllKeys(keys)
        elif scan.limit is None:
            self._request = finder.getAll(keys)
        elif scan.backwards:  # `getAll` counts its limit from the first
            self._request, self.walked = finder.openCursor(keys, "prev"), []
        else:
            self._request = finder.getAll(keys, min(scan.limit, _MOST))
        return self._request

    def then(self, success: Handler) -> None:
        """Call a function whenever a result has arrived."""
        self._request.onsuccess = success

    def walk(self) -> bool:
        """Take the row at the cursor, if one has arrived; return whether the cursor continues.

        Cursors of one transaction do not take turns: Firefox reads ahead for each separately.
        """
        walked = cast("list[JsValue]", self.walked)
        if self._request.readyState != "done":
            return True
        cursor = self._request.result
        if not cursor:
            return False
        walked.append(cursor.value)
        if len(walked) == self.scan.limit:
            return False
        cursor.continue_()
        return True


class ReadBatch:
    """The reads that a script yields together.

    Attributes:
        reads: the reads.
        scans: the `PendingScan` of each read; None for `Get` and `Now`.

    Raises:
        InternalError: the script yielded anything but a tuple of reads.
    """

    __slots__ = ("reads", "scans")

    def __init__(self, reads: object) -> None:
        if not isinstance(reads, tuple):
            raise InternalError("a script must yield tuples of reads")
        self.reads: tuple[Read | ScanKeys, ...] = cast("tuple[Read | ScanKeys, ...]", reads)
        self.scans: list[PendingScan | None] = [_pending(read) for read in self.reads]


def _pending(read: Read | ScanKeys) -> PendingScan | None:
    if isinstance(read, (Get, Now)):
        return None
    if isinstance(read, (Scan, Count, ScanKeys)):
        return PendingScan(read)
    raise InternalError(f"{type(read).__name__} cannot be yielded by a script")


def is_empty(scan: Scan[Any]) -> bool:
    """Return whether a scan can find no row; the browser rejects such bounds, and 0 is no limit."""
    if scan.limit == 0:
        return True
    return scan.after is not None and scan.before is not None and not _less(scan.after, scan.before)


def _less(one: Value, other: Value) -> bool:
    return bool(cast("Any", one) < cast("Any", other))


class RoundTrip:
    """Reads that are sent to the browser together, and their results."""

    def __init__(
        self,
        browser: Browser,
        finder: Callable[[Index[Any]], Any],
        gets: Mapping[Table[Any], Sequence[Key]],
        scans: Iterable[PendingScan],
    ) -> None:
        self._browser = browser
        self._requests: list[Request] = []
        self._batches: list[JsValue] = []  # arrays of further requests
        self._walking: list[PendingScan] = []  # those with a cursor that has not ended
        self._wanted: list[PendingScan | tuple[Table[Any], Key]] = []  # in order
        for table, keys in gets.items():
            if len(keys) == 1:
                self._wanted.append((table, keys[0]))
                self._requests.append(finder(table).get(to_js_key(browser, keys[0])))
        for pending in scans:
            self._wanted.append(pending)
            self._requests.append(pending.send(browser, finder(pending.scan.index)))
            if pending.walked is not None:
                self._walking.append(pending)
        for table, keys in gets.items():
            if len(keys) > 1:
                self._wanted += [(table, key) for key in keys]
                store, array = finder(table), browser.value(list(map(encode_key, keys)))
                self._batches.append(array.map(store.get, store))
        self._last: Request = self._batches[-1].at(-1) if self._batches else self._requests[-1]
        self._waiting = True

    def then(self, success: Handler) -> None:
        """Call a function whenever the last result may have arrived."""
        self._last.onsuccess = success
        for pending in self._walking:
            pending.then(success)

    @property
    def walks(self) -> bool:
        """True while any cursor has not ended."""
        return bool(self._walking)

    def has_ended(self) -> bool:
        """Advance cursors and return whether all results are here; call after success events."""
        self._walking = [pending for pending in self._walking if pending.walk()]
        if self._waiting:
            self._waiting = self._last.readyState != "done"
        return not (self._waiting or self._walking)

    def results(self) -> Iterator[tuple[PendingScan | tuple[Table[Any], Key], Any]]:
        """Yield each read with its result; None for a missing row.

        A few rows are returned as JavaScript objects, many as JSON.
        """
        if not self._batches:
            results = [request.result for request in self._requests]
            return zip(self._wanted, map(self._found, self._wanted, results), strict=True)
        browser = self._browser
        requests = browser.array(*self._requests).concat(*self._batches)
        results = requests.map(browser.call, browser.result)
        for n, one in enumerate(self._wanted):
            if isinstance(one, PendingScan) and one.walked is not None:
                results[n] = browser.array(*one.walked)
        text = self._text(results)
        for one in self._wanted:
            if isinstance(one, PendingScan):
                one.marked = _MARK in text
        return zip(self._wanted, from_json(text, cache_strings="keys"), strict=True)

    def _found(self, wanted: PendingScan | tuple[Table[Any], Key], result: JsValue) -> Any:
        if not isinstance(wanted, PendingScan) or isinstance(wanted.read, Count):
            return result
        if wanted.walked is not None:
            return wanted.walked
        if isinstance(wanted.read, Scan):
            result = result.map(self._browser.values)  # fields in order are less text than objects
        text = self._text(result)
        wanted.marked = _MARK in text
        return from_json(text, cache_strings="none")

    def _text(self, result: JsValue) -> bytes:
        """Return a value as JSON."""
        browser = self._browser
        text: bytes = browser.utf8(browser.array(result).map(browser.stringify)).to_bytes()
        return text
