"""What the engine uses of the browser, with types; `browser()` gives it, where there is one.

Only values go over the bridge between Python and JavaScript that both have alike: text, and numbers
below 2**53. Whatever is larger goes as JSON text, which one call turns into objects on the other
side. Nothing here evaluates JavaScript from text, so a strict content-security policy may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from pydantic_core import to_json

from mobstore.errors import ReadFailedError, UsageError

JsValue: TypeAlias = Any
"""A JavaScript value that Python only hands on: an object, a key, undefined as None."""
Handler: TypeAlias = Any
"""A Python function that JavaScript can call until `destroy` is called on it."""


_LONGEST = 2**27
"""Bytes of JSON text that go over the bridge at once. At 2**29 characters, more than a text has in
Chromium, Pyodide ends for good; near 2**28 it was seen to hand over other bytes than these."""


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
    """What IDBObjectStore and IDBIndex share."""

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
    """The functions of a browser that the engine calls, looked up once."""

    open: Callable[..., Request]
    """Open a database (name, version); without a version as it is."""
    value: Callable[[object], JsValue]
    """What JSON can hold, from Python's form of it; MemoryError if that is too long."""
    stringify: JsValue
    """JSON.stringify."""
    array: Callable[..., JsValue]
    """An array of these values."""
    map: Callable[[JsValue], JsValue]
    """A Map from an array of pairs."""
    within: Callable[..., JsValue]
    """The keys within (lower, upper, lower excluded, upper excluded)."""
    above: Callable[..., JsValue]
    """The keys above (lower, lower excluded)."""
    values: JsValue
    """Object.values: the array of an object's fields."""
    call: JsValue
    """Function.prototype.call: as an array's callback it calls `this` on each item."""
    result: JsValue
    """The getter of a request's `result`; to be called on the request."""
    utf8: Callable[[JsValue], JsValue]
    """A value's text as bytes; that of an array is its items' texts with commas between."""
    channel: Callable[[str], BroadcastChannel]
    """The channel of this name to other tabs of the origin."""
    every: Callable[[Handler, int], int]
    """Call a function every so many milliseconds; gives a number for `stop`."""
    stop: Callable[[int], None]
    """End what `every` began."""
    handler: Callable[[Callable[..., None]], Handler]
    Error: type[Exception]
    """What a JavaScript exception is in Python."""


def browser() -> Browser:
    """What the engine needs of this browser.

    Raises:
        UsageError: this Python does not run in a browser.
        ReadFailedError: the browser does not let this page keep anything.
    """
    try:
        js, ffi = cast("Any", import_module("js")), cast("Any", import_module("pyodide.ffi"))
        js.addEventListener  # noqa: B018 - Node has none, and nothing else of a browser
    except (ImportError, AttributeError) as error:
        raise UsageError(
            "IndexedDB is there only for Python in a browser's page or worker (Pyodide);"
            " use sqlite:PATH or memory: here"
        ) from error
    try:
        factory, keys = js.indexedDB, js.IDBKeyRange
    except (AttributeError, ffi.JsException):
        factory = keys = None
    if not factory or not keys:
        raise ReadFailedError(
            "this browser keeps no IndexedDB for this page; open it in an ordinary window,"
            " outside of sandboxed frames, and let the site keep data"
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
