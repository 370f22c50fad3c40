"""The reference's rules for JSON text; knows no model.

Stricter than Python's `json` where serde_json is: no NaN, at most 127 nested levels, no lone
surrogates, numbers beyond 64 bits become floats. What an object holds twice is kept visible
(`Duplicate`), because a struct refuses it and a map takes the last.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, NoReturn, cast

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from mobstore.errors import SerializationError
from mobstore.model.shown import brief

MAX_DEPTH = 127
I64_MIN, I64_MAX, U64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_WRITABLE_DEPTH = 255  # what pydantic allows where stacks are large
_RECURSION_KILLS = sys.platform == "emscripten"  # some 5,000 levels end the whole interpreter

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_FLATTEN = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

NULL_IN_FREE_JSON = object()
"""Stands for what free JSON turns into null and everything else refuses, such as TOML's nan."""

encode_string: Callable[[str], str] = encode_basestring


class Duplicate:
    """The last value of a key that stands twice in one object."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value: object = value


def without_duplicates(value: Any) -> Any:
    """What a map makes of an object's values: of a key that stands twice, the last."""
    if issubclass(value.__class__, dict) and Duplicate in map(type, value.values()):
        return {key: _without_box(item) for key, item in value.items()}
    return value


def parse(document: str | bytes, *, bounded: bool = False) -> object:
    """Read one JSON document as serde_json would.

    Args:
        document: the text.
        bounded: the caller bounds the depth of all that it takes out of the document.

    Returns:
        `None`, bool, int, float, str, lists and dicts; in a dict the value of a key that stood
        twice is a `Duplicate`. Integers lie within -2**63 ... 2**64-1.

    Raises:
        SerializationError: the text is not one JSON document, or is nested too deeply.
    """
    if not isinstance(document, (str, bytes)):
        raise SerializationError(f"JSON is text or bytes, not {type(document).__name__}")
    try:
        raw = document.encode() if isinstance(document, str) else document
        text = raw.decode()
        if (not bounded or _RECURSION_KILLS) and nested_deeper(raw):
            raise SerializationError(f"JSON is nested deeper than {MAX_DEPTH} levels")
        value = _decoder().decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False, default=_duplicate_value).encode()
    except UnicodeError as error:
        raise SerializationError("JSON text must be UTF-8 without lone surrogates") from error
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"not a JSON document: {error}") from error
    return value


def copy_json(value: Any, room: int = MAX_DEPTH) -> JsonValue:
    """Copy free JSON into the form in which it is stored: object keys sorted, tuples as lists.

    Args:
        value: `None`, bool, int, float, str, lists or tuples of such, dicts of such by str.
        room: levels of nesting still allowed.

    Raises:
        ValueError: the value is not JSON: another type, NaN or infinity, an integer outside
            -2**63 ... 2**64-1, a key that is not text, or nested deeper than `room`. Its place is
            named.
    """
    try:
        return _copy(value, room)
    except ValueError as error:
        place = _place(value, room, _copy)
        raise ValueError(f"{place}: {error}" if place else str(error)) from error


def _copy(value: Any, room: int) -> JsonValue:
    plain: JsonValue = value
    kind: type[Any] = value.__class__
    if kind is str or kind is bool or value is None:
        return plain
    if value is NULL_IN_FREE_JSON:
        return None
    if kind is int:
        if not I64_MIN <= value <= U64_MAX:
            raise ValueError("free JSON holds integers of -2**63 to 2**64-1 only")
        return plain
    if kind is float:
        if not isfinite(value):
            raise ValueError("free JSON cannot hold NaN or infinity")
        return plain
    if room == 0:
        raise ValueError("free JSON is nested too deeply")
    if kind is list or kind is tuple:
        return [_copy(item, room - 1) for item in value]
    if issubclass(kind, dict):
        items: dict[Any, Any] = without_duplicates(value)
        if not all(type(key) is str for key in items):
            raise ValueError("object keys of free JSON must be text")
        return {key: _copy(items[key], room - 1) for key in sorted(items)}
    raise ValueError(f"free JSON cannot hold {kind.__name__}")


def _place(value: Any, room: int, check: Callable[[Any, int], object]) -> str:
    """The place in a value of what `check` raises for, such as `rows.1.cost`; "" for the whole.

    What is nested too deeply has none: its place would be as long.
    """
    names: list[str] = []
    while room:
        for name, part in _parts(value):
            try:
                check(part, room - 1)
            except (ValueError, PydanticSerializationError):
                names.append(brief(name))
                value, room = part, room - 1
                break
        else:
            return ".".join(names)
    return ""


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """The parts of an array or object by their names, in the order in which they are copied."""
    if value.__class__ is list or value.__class__ is tuple:
        return [(str(number), item) for number, item in enumerate(value)]
    if issubclass(value.__class__, dict) and all(type(key) is str for key in value):
        return sorted(without_duplicates(value).items(), key=lambda item: item[0])
    return ()


def encode_json(value: object, room: int = MAX_DEPTH, what: str = "") -> str:
    """Write free JSON as compact text with sorted keys, nested at most `room` levels.

    Raises:
        SerializationError: see `copy_json`, or the text holds lone surrogates. `what` names the
            value.
    """
    try:
        copied = _copy(value, room)
        try:
            return to_json(copied).decode()
        except PydanticSerializationError:
            return write_deep(copied)
    except PydanticSerializationError as error:
        place = _place(value, room, _write)
        raise _without_form(what, place, "text must not hold lone surrogates") from error
    except ValueError as error:
        raise _without_form(what, _place(value, room, _copy), str(error)) from error


def _write(value: Any, room: int) -> None:
    write_deep(_copy(value, room))


def _without_form(what: str, place: str, why: str) -> SerializationError:
    where = ".".join(filter(None, (what, place)))
    return SerializationError(f"{where}: {why}" if where else why)


def write_deep(
    value: object,
    opened: Callable[[object], object] = lambda value: value,
    room: int = _WRITABLE_DEPTH,
) -> str:
    """Write JSON as pydantic does, but everywhere to the same depth.

    Pydantic itself stops at 49 levels in a browser, at 99 on Windows and at 255 elsewhere.
    Much slower: for what it has refused.

    Args:
        value: lists, tuples and dicts, with what pydantic knows how to write in them.
        opened: gives any other object the form in which it is written.
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


def nested_deeper(raw: bytes, most: int = MAX_DEPTH) -> bool:
    """Whether JSON text has more than `most` levels of arrays and objects.

    Text that is never closed counts as deep if it opens so many, unless it is very short.
    """
    if len(raw) <= 2 * most or raw.count(b"[") + raw.count(b"{") <= most:
        return False
    # Outside strings stands every second piece between quotes, unless a quote is escaped.
    outside = _STRING.sub(b"", raw) if b"\\" in raw else b"".join(raw.split(b'"')[::2])
    brackets = outside.translate(_FLATTEN, _NOT_BRACKETS)
    depth = 0
    while brackets and depth <= most:  # each pass removes the innermost level
        shorter = brackets.replace(b"[]", b"")
        if shorter == brackets:  # unbalanced: the parser will refuse it, but may go down so far
            depth += brackets.count(b"[")
            break
        brackets, depth = shorter, depth + 1
    return depth > most


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
        object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _duplicate_value(value: object) -> object:
    if type(value) is Duplicate:
        return value.value
    raise TypeError
