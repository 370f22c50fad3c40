"""The reference's rules for JSON text, independent of any model.

Stricter than Python's `json` where serde_json is: no NaN, at most 127 nested levels, no lone
surrogates; numbers beyond 64 bits become floats. A duplicate key of an object is kept as a
`Duplicate`, because structs reject it and maps take the last value.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, NoReturn, TypeAlias, Union, cast

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from mobstore.errors import SerializationError
from mobstore.model.extent import MAX_DEPTH, MAX_VALUES, has_more_values, nested_deeper
from mobstore.model.text import dotted_path

I64_MIN, I64_MAX, U64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_WRITABLE_DEPTH = 255  # pydantic's limit where stacks are large
_RECURSION_KILLS = sys.platform == "emscripten"  # about 5,000 levels crash the interpreter

_AROUND = 64  # values around a document: the columns of its row, or an event's fields
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

JsonInput: TypeAlias = Union[
    str, int, float, bool, "Sequence[JsonInput]", "Mapping[str, JsonInput]", None
]
"""Free JSON as callers pass it: dicts, lists and tuples of any items. It is read as `JsonValue`."""

NULL_IN_FREE_JSON = object()
"""A value that free JSON turns into null and all else rejects, such as nan in TOML."""

encode_string: Callable[[str], str] = encode_basestring


class Duplicate:
    """The last value of a key that occurs twice in one object."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value: object = value


def without_duplicates(value: Any) -> Any:
    """Return an object as a map: of a duplicate key, the last value."""
    if issubclass(value.__class__, dict) and Duplicate in map(type, value.values()):
        return {key: _without_box(item) for key, item in value.items()}
    return value


def parse(document: str | bytes, *, bounded: bool = False, most: int = MAX_VALUES) -> object:
    """Read one JSON document as serde_json does.

    Args:
        document: the text.
        bounded: the caller limits the depth of everything that it takes from the document.
        most: the number of values a document may have; a few more are accepted for what a row
            or an event adds around it.

    Returns:
        `None`, bool, int, float, str, lists and dicts. In a dict, the value of a duplicate key is
        a `Duplicate`. Integers are within -2**63 ... 2**64-1.

    Raises:
        SerializationError: the text is not one JSON document, is nested too deeply, or has too
            many values.
    """
    if not isinstance(document, (str, bytes)):
        raise SerializationError(f"JSON is text or bytes, not {type(document).__name__}")
    # Python's errors hold the whole document, so none is kept as the cause.
    try:
        raw = document.encode() if isinstance(document, str) else document
        text = raw.decode()
        if has_more_values(raw, most + _AROUND):
            raise SerializationError(too_many_values("JSON", most))
        if (not bounded or _RECURSION_KILLS) and nested_deeper(raw):
            raise SerializationError(f"JSON is nested deeper than {MAX_DEPTH} levels")
        value = _decoder().decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False, default=_duplicate_value).encode()
    except UnicodeError:
        why = "JSON text must be UTF-8 without lone surrogates"
    except (ValueError, RecursionError) as error:
        why = f"not a JSON document: {error}"
    else:
        return value
    raise SerializationError(why)


def too_many_values(what: str, most: int = MAX_VALUES) -> str:
    """Return the message for a text that has too many values."""
    return f"{what} has more than {most:,} values (an empty array or object counts twice)"


def copy_json(value: Any, room: int = MAX_DEPTH, *, in_order: bool = False) -> JsonValue:
    """Copy free JSON into the form in which it is stored: object keys sorted, tuples as lists.

    Args:
        value: `None`, bool, int, float, str, lists or tuples of these, dicts of these by str.
        room: levels of nesting still allowed.
        in_order: object keys keep their order, and none may occur twice.

    Raises:
        ValueError: the value is not JSON: another type, NaN or infinity, an integer outside
            -2**63 ... 2**64-1, a key that is not text, or nested deeper than `room`. The error
            names the place.
    """
    try:
        return _copy(value, room, in_order=in_order)
    except _UnfitError as error:
        why = error.with_place()
    raise ValueError(why)


class _UnfitError(ValueError):
    """A value that is not free JSON. Each container on the way up adds its name to the place."""

    def __init__(self, why: str, part: object) -> None:
        super().__init__(why)
        self._part = part
        self._names: list[str] = []

    def add_place(self, whole: object) -> None:
        # An object may occur several times. Its first occurrence was the first to fail.
        for name, part in _parts(whole):
            if part is self._part:
                self._names.append(name)
                break
        self._part = whole

    def with_place(self, what: str = "") -> str:
        """Return the reason and the place, such as `rows.1.cost`."""
        where = dotted_path(filter(None, (what, *reversed(self._names))))
        return f"{where}: {self}" if where else str(self)


class _TooDeepError(_UnfitError):
    """A value that is nested too deeply. The place would be as long and is left out."""

    def add_place(self, whole: object) -> None:
        pass


def _copy(value: Any, room: int, *, in_order: bool = False) -> JsonValue:
    plain: JsonValue = value
    kind: type[Any] = value.__class__
    if kind is str or kind is bool or value is None:
        return plain
    if value is NULL_IN_FREE_JSON:
        return None
    if kind is int:
        if not I64_MIN <= value <= U64_MAX:
            raise _UnfitError("free JSON holds integers of -2**63 to 2**64-1 only", value)
        return plain
    if kind is float:
        if not isfinite(value):
            raise _UnfitError(
                "free JSON cannot hold NaN, infinity or a number beyond 1.8e308", value
            )
        return plain
    if kind is Duplicate:
        raise _UnfitError("a key occurs twice in one object", value)
    if room == 0:
        raise _TooDeepError("free JSON is nested too deeply", value)
    try:
        if kind is list or kind is tuple:
            return [_copy(item, room - 1, in_order=in_order) for item in value]
        if issubclass(kind, dict):
            items: dict[Any, Any] = value if in_order else without_duplicates(value)
            if all(type(key) is str for key in items):
                keys = items if in_order else sorted(items)
                return {key: _copy(items[key], room - 1, in_order=in_order) for key in keys}
    except _UnfitError as error:
        error.add_place(value)
        raise
    if issubclass(kind, dict):
        raise _UnfitError("object keys of free JSON must be text", value)
    raise _UnfitError(f"free JSON cannot hold {kind.__name__}", value)


def _require_text(value: JsonValue) -> None:
    """Check that a copy of free JSON has no lone surrogates."""
    try:
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, list):
            for item in value:
                _require_text(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                key.encode()
                _require_text(item)
    except _UnfitError as error:
        error.add_place(value)
        raise
    except UnicodeEncodeError:
        raise _UnfitError("text must not hold lone surrogates", value) from None


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """Return the parts of an array or object by name, in the order in which they are copied."""
    if value.__class__ is list or value.__class__ is tuple:
        return ((str(number), item) for number, item in enumerate(value))
    return sorted(without_duplicates(value).items(), key=lambda item: item[0])


def encode_json(value: object, room: int = MAX_DEPTH, what: str = "") -> str:
    """Write free JSON as compact text with sorted keys, nested at most `room` levels.

    Raises:
        SerializationError: see `copy_json`, or the text has lone surrogates. `what` names the
            value.
    """
    try:
        return write_json(_copy(value, room))
    except _UnfitError as error:
        why = error.with_place(what)
    raise SerializationError(why)


def write_json(copied: JsonValue) -> str:
    """Write what `copy_json` returned as compact text.

    Raises:
        ValueError: the text has lone surrogates.
    """
    try:
        return to_json(copied).decode()
    except PydanticSerializationError:
        pass  # perhaps only nested too deeply for pydantic
    _require_text(copied)
    return write_deep(copied)


def write_deep(
    value: object,
    opened: Callable[[object], object] = lambda value: value,
    room: int = _WRITABLE_DEPTH,
) -> str:
    """Write JSON as pydantic does, but to the same depth on every platform.

    Pydantic itself stops at 49 levels in a browser, at 99 on Windows and at 255 elsewhere.
    Much slower: use it for what pydantic rejects.

    Args:
        value: lists, tuples and dicts of values that pydantic can write.
        opened: returns the form in which any other object is written.
        room: levels of nesting still allowed.

    Raises:
        ValueError: the value has no JSON form, or is nested deeper than `room`.
    """
    value = opened(value)
    if isinstance(value, (dict, list, tuple)) and room == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        texts = [
            f"{_written(str(key))}:{write_deep(item, opened, room - 1)}" for key, item in items
        ]
        return f"{{{','.join(texts)}}}"
    if isinstance(value, (list, tuple)):
        parts = cast("list[object]", value)
        return f"[{','.join([write_deep(part, opened, room - 1) for part in parts])}]"
    return _written(value)


def _written(value: object) -> str:
    return to_json(value).decode()


def decode_json(text: str) -> JsonValue:
    """Read text that `encode_json` wrote."""
    return cast("JsonValue", json.loads(text))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found[key] = Duplicate(_without_box(found[key]))
            seen.add(key)
    return found


def _without_box(value: object) -> object:
    return value.value if type(value) is Duplicate else value


def _integer(digits: str) -> int | float:
    if len(digits) <= 20 and digits != "-0":
        number = int(digits)
        if I64_MIN <= number <= U64_MAX:
            return number
    return float(digits)


@cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_constant=_reject_constant, parse_int=_integer
    )


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _duplicate_value(value: object) -> object:
    if type(value) is Duplicate:
        return value.value
    raise TypeError
