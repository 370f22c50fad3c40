"""Canonical text of kernel states: validation and serialization.

Works on parsed JSON. Keys, set items and map entries are in the total order of kernel values:
first by kind (bool, u64, string, named variant, seq, set, map, none), then by content. Duplicate
items of a set count once. Of equal keys in a map, the last one counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias, cast

from mobstore.model.extent import MAX_DEPTH
from mobstore.model.json import U64_MAX, encode_string, without_duplicates

Wire: TypeAlias = dict[str, Any]
"""A kernel value in its JSON form."""

_OrderKey: TypeAlias = tuple[Any, ...]


class Walk:
    """The state of one walk through a value.

    Attributes:
        deepest: the deepest level seen.
        keys: the order keys of sequences, sets and maps by their `id`. Without them, each level of
            nested sets would build the keys of all lower levels again.
    """

    __slots__ = ("deepest", "keys")

    def __init__(self, deepest: int = 0) -> None:
        self.deepest: int = deepest
        self.keys: dict[int, _OrderKey] = {}


def canonical_state(wire: object) -> tuple[str, int]:
    """Check a parsed state; return its canonical text and its depth.

    Raises:
        ValueError: it is not a kernel state.
    """
    if type(wire) is not dict:
        raise ValueError("a kernel state is an object")
    state = cast("dict[str, object]", wire)
    phase, fields = state.get("phase"), without_duplicates(state.get("fields"))
    if type(phase) is not str or type(fields) is not dict:
        raise ValueError("a kernel state has a phase (text) and fields (an object)")
    if not all(type(name) is str for name in cast("dict[object, object]", fields)):
        raise ValueError("the names of fields are text")
    walk = Walk(2)
    written = [
        f"{_quoted(name)}:{canonical_value(value, 3, walk)}"
        for name, value in sorted(cast("dict[str, object]", fields).items())
    ]
    text = f'{{"phase":{_quoted(phase)},"fields":{{{",".join(written)}}}}}'
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must not hold lone surrogates") from None
    return text, walk.deepest


def _quoted(text: str) -> str:
    return _quoted_name(text) if len(text) <= 64 else encode_string(text)


# The same names and enumerations occur in every state of a machine.
_quoted_name = lru_cache(maxsize=4096)(encode_string)


def canonical_value(value: Any, depth: int, walk: Walk) -> str:
    """Check one parsed kernel value that opens at `depth`; return its canonical text.

    Raises:
        ValueError: it is not a kernel value, or nested deeper than a document may be.
    """
    if depth > walk.deepest:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        walk.deepest = depth
    if value.__class__ is not dict:
        raise ValueError("a kernel value is an object with a type")
    kind = value.get("type")
    if kind == "string":
        text = value.get("value")
        if text.__class__ is str:
            return f'{{"type":"string","value":{_quoted(text)}}}'
    elif kind == "none":
        return '{"type":"none"}'
    elif kind == "u64":
        number = value.get("value")
        if number.__class__ is int and 0 <= number <= U64_MAX:
            return f'{{"type":"u64","value":{number}}}'
    elif kind == "bool":
        flag = value.get("value")
        if flag.__class__ is bool:
            return '{"type":"bool","value":true}' if flag else '{"type":"bool","value":false}'
    elif kind == "named_variant":
        name, variant = value.get("enum_name"), value.get("variant")
        if name.__class__ is str and variant.__class__ is str:
            names = f'"enum_name":{_quoted(name)},"variant":{_quoted(variant)}'
            return f'{{"type":"named_variant",{names}}}'
    elif kind == "map":
        entries = value.get("entries")
        if entries.__class__ is list:
            walk.deepest = max(walk.deepest, depth + 1)
            texts = [_entry(pair, depth, walk) for pair in entries]
            return f'{{"type":"map","entries":[{",".join(_last_by_key(entries, texts, walk))}]}}'
    elif kind == "seq" or kind == "set":  # noqa: PLR1714 - twice as fast as a membership test
        items = value.get("items")
        if items.__class__ is list:
            walk.deepest = max(walk.deepest, depth + 1)
            texts = [canonical_value(item, depth + 2, walk) for item in items]
            if kind == "set":
                texts = _ordered(items, texts, walk)
            return f'{{"type":"{kind}","items":[{",".join(texts)}]}}'
    raise ValueError("a kernel value is one of the eight types, with its payload")


def _entry(pair: Any, depth: int, walk: Walk) -> str:
    if pair.__class__ is not list or len(pair) != 2:
        raise ValueError("a map entry is a pair")
    key, value = (canonical_value(item, depth + 3, walk) for item in pair)
    return f"[{key},{value}]"


def _ordered(items: Any, texts: list[str], walk: Walk) -> list[str]:
    """Return the texts of a set's items, each once, in the total order."""
    by_key = {order_key(item, walk): text for item, text in zip(items, texts, strict=True)}
    return [by_key[key] for key in sorted(by_key)]


def _last_by_key(pairs: Any, texts: list[str], walk: Walk) -> list[str]:
    """Return the texts of a map's entries in the order of their keys; of equal keys, the last."""
    by_key = {order_key(pair[0], walk): text for pair, text in zip(pairs, texts, strict=True)}
    return [by_key[key] for key in sorted(by_key)]


def order_key(wire: Wire, walk: Walk) -> _OrderKey:
    """Return a tuple that sorts as kernel values do: by kind, then by payload."""
    kind = wire["type"]
    if kind == "string":
        return (2, wire["value"])
    if kind == "bool":
        return (0, wire["value"])
    if kind == "u64":
        return (1, wire["value"])
    if kind == "named_variant":
        return (3, wire["enum_name"], wire["variant"])
    if kind == "none":
        return (7,)
    key = walk.keys.get(id(wire))
    if key is None:
        key = walk.keys[id(wire)] = _order_key_of_many(wire, walk)
    return key


def _order_key_of_many(wire: Wire, walk: Walk) -> _OrderKey:
    if wire["type"] == "seq":
        return (4, tuple([order_key(item, walk) for item in wire["items"]]))
    if wire["type"] == "set":
        return (5, tuple(sorted({order_key(item, walk) for item in wire["items"]})))
    by_key = {order_key(key, walk): order_key(value, walk) for key, value in wire["entries"]}
    return (6, tuple(sorted(by_key.items())))
