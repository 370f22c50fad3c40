r"""Conversion of rows and keys to the form in which IndexedDB stores them.

Each table is an object store. A row is an object with a field for each column. Its key is the key
column, or an array of several. IndexedDB orders numbers exactly only below 2**53, and text by
UTF-16 code unit. So a few values are encoded with the mark U+FFFF, to sort where they belong:

    an integer of 2**53 or more    "\uffff" and its 19 digits; text sorts after all numbers
    U+10000 and above in a key     "\uffff" before the character
    U+FFFF in a key                "\uffff\0"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, partial
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias, cast, get_type_hints

from mobstore.engines.indexeddb.javascript import Browser, JsValue
from mobstore.scripts.tables import Key, Row, Table, Value
from mobstore.scripts.transaction import Scan

Found: TypeAlias = Any
"""A row from the browser: a dict or a list of its fields, from JSON, or a JavaScript object."""

MARK = "\uffff"
_EXACT = 2**53
_LEAST = float("-inf")  # sorts before all other keys


_new = cast("Callable[..., Row]", cast("Any", tuple).__new__)


class Converter:
    """Converter for the rows of one table.

    Attributes:
        key_of: returns the key of a row.
    """

    def __init__(self, table: Table[Any]) -> None:
        self.key_of: Callable[[Row], Key] = table.getter(table.key)
        self._columns = table.columns
        hints = get_type_hints(table.row)
        keys = {*table.key, *(c for index in table.indexes for c in index.sorted_by)}
        self._numbers = [n for n, c in enumerate(self._columns) if hints[c] is int]
        self._texts = [n for n, c in enumerate(self._columns) if c in keys and hints[c] is not int]
        self._by_name: Callable[[Found], tuple[Any, ...]] = itemgetter(*self._columns)
        self._by_attribute: Callable[[JsValue], tuple[Any, ...]] = attrgetter(*self._columns)
        # Takes half as long as the row's `_make`.
        self._make: Callable[[Iterable[Any]], Row] = partial(_new, table.row)

    def fields(self, row: Row) -> dict[str, Value]:
        """Return the fields to store for a row."""
        return dict(zip(self._columns, self._stored(row), strict=True))

    def row(self, found: Found) -> Row:
        """Return the row for what the browser found.

        Raises:
            LookupError, AttributeError: a field is missing.
        """
        fields: Iterable[Any]
        if isinstance(found, dict):
            fields = self._by_name(cast("Found", found))
        elif isinstance(found, list):
            fields = cast("list[Any]", found)
        else:
            fields = self._by_attribute(found)
        return self._make(self._restored(list(fields)))

    def rows(self, found: list[Found], *, marked: bool) -> list[Row]:
        """Return the rows for a list of found ones; `marked` if any value may have a mark."""
        if marked:
            return [self.row(one) for one in found]
        if found and isinstance(found[0], dict):
            found = list(map(self._by_name, found))
        return list(map(self._make, found))

    def _stored(self, row: tuple[Any, ...]) -> Row:
        """Return the row with its values encoded; nearly always the row itself."""
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
        return tuple(encode_value(value) if n in changed else value for n, value in enumerate(row))

    def _restored(self, row: list[Any]) -> list[Any]:
        """Decode the values of a row, in place."""
        for n in self._numbers:
            if type(row[n]) is str:
                row[n] = int(row[n].removeprefix(MARK))
        for n in self._texts:
            if not row[n].isascii():
                row[n] = _MARKED.sub(lambda high: high[1].replace("\0", MARK), row[n])
        return row


converter: Callable[[Table[Any]], Converter] = cache(Converter)
_HIGH = re.compile("[\uffff-\U0010ffff]")
_MARKED = re.compile("\uffff([\0\U00010000-\U0010ffff])")


def encode_value(value: Value) -> Value:
    """Encode a key's value or a number; nearly always the value itself."""
    if isinstance(value, int):
        return value if value < _EXACT else f"{MARK}{value:019}"
    if value.isascii():
        return value
    return _HIGH.sub(lambda high: MARK + ("\0" if high[0] == MARK else high[0]), value)


def _to_js_value(value: Value) -> Value | float:
    """Encode a key's value for JavaScript: Pyodide makes even 2**53 - 1 a BigInt."""
    return float(value) if value == _EXACT - 1 else encode_value(value)


def encode_key(key: Key) -> Value | Key:
    """Encode a key: one value, or a tuple for an array."""
    return tuple(map(encode_value, key)) if len(key) > 1 else encode_value(next(iter(key)))


def to_js_key(browser: Browser, key: Key) -> JsValue:
    """Return the JavaScript key of a row."""
    values = [_to_js_value(value) for value in key]
    return browser.array(*values) if len(values) > 1 else values[0]


def to_js_range(browser: Browser, scan: Scan[Any]) -> JsValue:
    """Return the IDBKeyRange of a scan."""
    after = None if scan.after is None else _to_js_value(scan.after)
    before = None if scan.before is None else _to_js_value(scan.before)
    if len(scan.index.sorted_by) == 1:
        if scan.prefix:
            value = _to_js_value(scan.prefix[0])
            return browser.within(value, value, False, False)
        lower = _LEAST if after is None else after
        if before is None:
            return browser.above(lower, True)
        return browser.within(lower, before, True, True)
    prefix = tuple(map(_to_js_value, scan.prefix))
    # An array sorts before its own extensions, and after any text or number in the same place.
    last = browser.array()
    first = prefix if after is None else (*prefix, after, last)
    end = (*prefix, last) if before is None else (*prefix, before)
    return browser.within(browser.array(*first), browser.array(*end), False, True)
