"""What scripts ask, and one round round_trip to the browser with it.

Whatever is asked at once goes over the bridge together, by a few calls: an array of keys calls the
store's `get(key)` for each of them, and JavaScript makes one JSON text of all results.
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
from mobstore.scripts.transaction import Count, Get, Read, Scan

PENDING = object()
"""Stands for what has been asked and has not come."""

_MOST = 2**32 - 1  # rows that getAll can be asked for
_MARK = MARK.encode()


@dataclass(slots=True)
class ScanKeys(Read[list[Any]]):
    """The keys, as they are stored, of the rows that a scan without a limit would find."""

    scan: Scan[Any]


class PendingScan:
    """A scan, or what is asked of one, and what has come of it.

    Attributes:
        read: what is asked.
        scan: the scan.
        version: how many writes had been made when it was asked; below 0, it has not been.
        found: what was found; `PENDING` until then.
        marked: whether there may be marks in it.
        walked: the rows that a cursor has met; None where none is needed.
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

    def ask(self, browser: Browser, finder: Finder) -> Request:
        """Ask the browser."""
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
        """Have a function called whenever something has come."""
        self._request.onsuccess = success

    def walk(self) -> bool:
        """Take what the cursor has met, if it has met anything; whether it still goes on.

        Cursors of one transaction do not take turns: Firefox reads ahead for each on its own.
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
    """What a script asks at once.

    Attributes:
        reads: each of it.
        scans: for each read its scan; None for a `Get`.

    Raises:
        InternalError: it is something else than a tuple of reads.
    """

    __slots__ = ("reads", "scans")

    def __init__(self, reads: object) -> None:
        if not isinstance(reads, tuple):
            raise InternalError("a script yields tuples of reads, and nothing else")
        self.reads: tuple[Read[Any], ...] = cast("tuple[Read[Any], ...]", reads)
        self.scans: list[PendingScan | None] = [_search(read) for read in self.reads]


def _search(read: Read[Any]) -> PendingScan | None:
    if isinstance(read, Get):
        return None
    if isinstance(read, (Scan, Count, ScanKeys)):
        return PendingScan(cast("Scan[Any] | Count | ScanKeys", read))
    raise InternalError(f"{type(read).__name__} cannot be yielded by a script")


def is_empty(scan: Scan[Any]) -> bool:
    """Whether nothing can be found; the browser refuses such bounds, and 0 means no limit."""
    if scan.limit == 0:
        return True
    return scan.after is not None and scan.before is not None and not _less(scan.after, scan.before)


def _less(one: Value, other: Value) -> bool:
    return bool(cast("Any", one) < cast("Any", other))


class RoundTrip:
    """One round round_trip: what is asked of the browser at once, and what all of it has found.

    Attributes:
        version: how many writes had been made when it began.
    """

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
        self._walking: list[PendingScan] = []  # those whose cursor has not come to its end
        self._wanted: list[PendingScan | tuple[Table[Any], Key]] = []  # in order
        for table, keys in gets.items():
            if len(keys) == 1:
                self._wanted.append((table, keys[0]))
                self._requests.append(finder(table).get(to_js_key(browser, keys[0])))
        for pending in scans:
            self._wanted.append(pending)
            self._requests.append(pending.ask(browser, finder(pending.scan.index)))
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
        """Have a function called whenever all may have come."""
        self._last.onsuccess = success
        for pending in self._walking:
            pending.then(success)

    @property
    def walks(self) -> bool:
        """Whether there are cursors that go on."""
        return bool(self._walking)

    def has_ended(self) -> bool:
        """Let cursors go on; whether all has come. To be asked when any request has succeeded."""
        self._walking = [pending for pending in self._walking if pending.walk()]
        if self._waiting:
            self._waiting = self._last.readyState != "done"
        return not (self._waiting or self._walking)

    def results(self) -> Iterator[tuple[PendingScan | tuple[Table[Any], Key], Any]]:
        """What was asked, with what was found; None for no row of a key.

        Of a few rows their fields are read one by one; of many there is JSON.
        """
        if not self._batches:
            results = [request.result for request in self._requests]
            return zip(self._wanted, map(self._found, self._wanted, results), strict=True)
        browser = self._browser
        requests = browser.array(*self._requests).concat(*self._batches)
        results = requests.map(browser.call, browser.result)
        for place, one in enumerate(self._wanted):
            if isinstance(one, PendingScan) and one.walked is not None:
                results[place] = browser.array(*one.walked)
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
        """A value as JSON."""
        browser = self._browser
        text: bytes = browser.utf8(browser.array(result).map(browser.stringify)).to_bytes()
        return text
