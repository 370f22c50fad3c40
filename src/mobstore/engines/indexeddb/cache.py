"""Cache of one table's rows within one transaction.

IndexedDB runs one writing transaction at a time, so only the transaction's own writes can make its
earlier reads stale. `Rows` numbers these writes: its *version* is how many it has made. The
invariants:

* A read carries the version at which it was sent. A scan's answer is stale if a row that it may
  contain was written at a later version, see `changed_at`. Stale scans are sent again.
* `known[key]` is the row with this key at the current version, None if there is no such row, or
  the `RoundTrip` that will fetch it. A write replaces the entry or removes it. A round trip stores
  a row only where it finds its own entry, so it never overwrites a newer row with an older one.
* `known` holds rows as the browser returned them. They are converted when a script gets them, so a
  corrupt row fails the script that reads it and no other.
* `adds` and `puts` hold rows that the browser does not have yet; no key is in both. They are sent
  before the next request that could depend on them: IndexedDB runs requests in order of creation.
* Once a write changes rows whose keys are not listed, nothing is known of the table any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mobstore.engines.indexeddb.javascript import ObjectStore
from mobstore.engines.indexeddb.reads import RoundTrip
from mobstore.scripts.tables import Key, Row, Table, Value
from mobstore.scripts.transaction import Scan


class TableCache:
    """Known and unsent rows of one table.

    Attributes:
        store: the table's object store.
        known: the rows read or written, by key.
        adds: rows to be sent that must be new, by key.
        puts: rows to be sent that may replace others, by key.
    """

    __slots__ = (
        "_changed_at",
        "_first_column",
        "_rewritten_at",
        "_row_changed_at",
        "adds",
        "known",
        "puts",
        "store",
    )

    def __init__(self, table: Table[Any], store: ObjectStore) -> None:
        self.store: ObjectStore = store
        self.known: dict[Key, object] = {}
        self.adds: dict[Key, Row] = {}
        self.puts: dict[Key, Row] = {}
        self._first_column = table.key[0]
        self._changed_at = self._rewritten_at = 0
        self._row_changed_at: dict[Value, int] = {}  # by the first column of the key

    def changed_at(self, scan: Scan[Any]) -> int:
        """Return the version of the last write that may have changed a scan's answer."""
        if scan.prefix and scan.index.sorted_by[0] == self._first_column:
            return max(self._rewritten_at, self._row_changed_at.get(scan.prefix[0], 0))
        return self._changed_at

    def note(self, key: Key, row: Row | None, version: int) -> None:
        """Record the write of one row, or its removal."""
        self.known[key] = row
        self._changed_at = self._row_changed_at[key[0]] = version

    def forget(self, version: int) -> None:
        """Record a write that may have changed any row."""
        self.known.clear()
        self._changed_at = self._rewritten_at = version

    def first_taken(self, keys: Iterable[Key]) -> Key | None:
        """Return the first key that occurs twice or belongs to a known row, or None."""
        earlier = set[Key]()
        for key in keys:
            row = self.known.get(key)
            if key in earlier or not (row is None or isinstance(row, RoundTrip)):
                return key
            earlier.add(key)
        return None
