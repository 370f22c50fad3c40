"""Typed access to the parts of the browser that the engine uses; `browser()` returns them.

Only text and numbers below 2**53 cross the bridge between Python and JavaScript as values. Larger
values cross as JSON text, which one call turns into objects on the other side. No JavaScript is
evaluated from text, so the engine works under a strict content-security policy.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from pydantic_core import to_json

from mobstore.errors import ReadFailedError, UsageError

JsValue: TypeAlias = Any
"""A JavaScript value that Python only passes on: an object, a key, undefined as None."""
Handler: TypeAlias = Any
"""A Python function that JavaScript can call until `destroy` is called on it."""


_LONGEST = 2**27
"""The most bytes of JSON text to cross the bridge at once. At 2**29 characters, more than a string
may have in Chromium, Pyodide crashes for good; near 2**28 it was seen to pass on wrong bytes."""


class Fault(Protocol):
    """A DOMException."""

    name: str


class Request(Protocol):
    """IDBRequest and IDBOpenDBRequest."""

    result: JsValue
    error: Fault | None
    readyState: str  # noqa: N815
    transaction: Transaction
    onsuccess: Handler
    onerror: Handler
    onblocked: Handler
    onupgradeneeded: Handler


class Finder(Protocol):
    """The common part of IDBObjectStore and IDBIndex."""

    def get(self, key: JsValue, /) -> Request: ...
    def getAll(self, keys: JsValue, count: int = ..., /) -> Request: ...  # noqa: N802
    def getAllKeys(self, keys: JsValue, /) -> Request: ...  # noqa: N802
    def count(self, keys: JsValue, /) -> Request: ...
    def openCursor(self, keys: JsValue, direction: str, /) -> Request: ...  # noqa: N802


class ObjectStore(Finder, Protocol):
    """IDBObjectStore."""

    indexNames: Names  # noqa: N815
    add: Callable[[JsValue, JsValue], Request]
    put: Callable[[JsValue, JsValue], Request]
    delete: Callable[[JsValue], Request]

    def index(self, name: str, /) -> Finder: ...
    def createIndex(self, name: str, path: JsValue, /) -> object: ...  # noqa: N802


class Names(Protocol):
    """DOMStringList."""

    def contains(self, name: str, /) -> bool: ...
    def __iter__(self) -> Any: ...


class Transaction(Protocol):
    """IDBTransaction."""

    error: Fault | None
    oncomplete: Handler
    onabort: Handler
    onerror: Handler

    def objectStore(self, name: str, /) -> ObjectStore: ...  # noqa: N802
    def commit(self) -> None: ...
    def abort(self) -> None: ...


class Database(Protocol):
    """IDBDatabase."""

    objectStoreNames: Names  # noqa: N815
    version: int
    onversionchange: Handler
    onclose: Handler

    def transaction(self, names: JsValue, mode: str, options: JsValue, /) -> Transaction: ...
    def createObjectStore(self, name: str, /) -> ObjectStore: ...  # noqa: N802
    def close(self) -> None: ...


class BroadcastChannel(Protocol):
    """BroadcastChannel."""

    onmessage: Handler

    def postMessage(self, message: str, /) -> None: ...  # noqa: N802
    def close(self) -> None: ...


class Browser(NamedTuple):
    """Functions of the browser that the engine calls, looked up once."""

    open: Callable[..., Request]
    """Open a database (name, version); without a version, in its present one."""
    value: Callable[[object], JsValue]
    """Convert a JSON-like Python value; raises MemoryError if its JSON is too long."""
    stringify: JsValue
    """JSON.stringify."""
    array: Callable[..., JsValue]
    """Create an array of these values."""
    map: Callable[[JsValue], JsValue]
    """Create a Map from an array of pairs."""
    within: Callable[..., JsValue]
    """Create the range of keys within (lower, upper, lower excluded, upper excluded)."""
    above: Callable[..., JsValue]
    """Create the range of keys above (lower, lower excluded)."""
    values: JsValue
    """Object.values: returns the array of an object's fields."""
    call: JsValue
    """Function.prototype.call: as an array's callback it calls `this` on each item."""
    result: JsValue
    """The getter of `IDBRequest.result`, to be called on a request."""
    utf8: Callable[[JsValue], JsValue]
    """Encode a value's text as bytes; an array's text is that of its items, joined by commas."""
    channel: Callable[[str], BroadcastChannel]
    """Open the channel of this name to other tabs of the origin."""
    every: Callable[[Handler, int], int]
    """Call a function at an interval in milliseconds; returns a number for `stop`."""
    stop: Callable[[int], None]
    """Stop the calls that `every` started."""
    handler: Callable[[Callable[..., None]], Handler]
    """Make a Python function callable from JavaScript."""
    Error: type[Exception]
    """The Python type of JavaScript exceptions."""


def browser() -> Browser:
    """Look up the parts of this browser that the engine uses.

    Raises:
        UsageError: this Python does not run in a browser.
        ReadFailedError: the browser does not let this page store anything.
    """
    try:
        js, ffi = cast("Any", import_module("js")), cast("Any", import_module("pyodide.ffi"))
        js.addEventListener  # noqa: B018 - missing in Node
    except (ImportError, AttributeError) as error:
        raise UsageError(
            "IndexedDB exists only for Python in a browser's page or worker (Pyodide);"
            " use sqlite:PATH or memory: here"
        ) from error
    try:
        factory, keys = js.indexedDB, js.IDBKeyRange
    except (AttributeError, ffi.JsException):
        factory = keys = None
    if not factory or not keys:
        raise ReadFailedError(
            "this browser has no IndexedDB for this page; open it in an ordinary window,"
            " outside of sandboxed frames, and allow the site to store data"
        )
    parse = js.JSON.parse

    def value(plain: object) -> JsValue:
        text = to_json(plain)
        if len(text) > _LONGEST:
            raise MemoryError
        return parse(text.decode())

    return Browser(
        factory.open,
        value,
        js.JSON.stringify,
        js.Array.of,
        js.Map.new,
        keys.bound,
        keys.lowerBound,
        js.Object.values,
        js.Function.prototype.call,
        js.Object.getOwnPropertyDescriptor(js.IDBRequest.prototype, "result").get,
        js.TextEncoder.new().encode,
        js.BroadcastChannel.new,
        js.setInterval,
        js.clearInterval,
        ffi.create_proxy,
        ffi.JsException,
    )
