"""Kernel values: the values that the fields of a kernel state hold.

Kernel values in Python:

    Bool  bool          NamedVariant  NamedVariant        Seq  tuple (or list)
    U64   int           None          None                Set  KernelSet (or set, frozenset)
    String  str                                           Map  KernelMap (or dict)

`True` and `1` are one member of a Python set but two kernel values. `KernelSet` and `KernelMap`
tell them apart.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set as AbstractSet,
)
from json import JSONEncoder
from typing import Any, NamedTuple, TypeAlias, TypeVar, Union, cast

from mobstore.errors import SerializationError, UsageError
from mobstore.model.canonical import Walk, Wire, canonical_value, order_key
from mobstore.model.checks import require
from mobstore.model.extent import MAX_DEPTH
from mobstore.model.json import U64_MAX
from mobstore.model.text import LONGEST_REPR, cut


class NamedVariant(NamedTuple):
    """A variant of an enumeration of the machine, both by name."""

    enum_name: str
    variant: str


KernelValue: TypeAlias = Union[
    bool,
    int,
    str,
    NamedVariant,
    "tuple[KernelValue, ...]",
    "KernelSet",
    "KernelMap",
    None,
]
"""A kernel value as it is read."""

KernelInput: TypeAlias = Union[
    bool,
    int,
    str,
    NamedVariant,
    "Sequence[KernelInput]",
    "KernelSet",
    "AbstractSet[KernelInput]",
    "Mapping[str, KernelInput]",
    "Mapping[int, KernelInput]",
    "Mapping[KernelValue, KernelInput]",
    None,
]
"""A kernel value as callers pass it: of sequences, only tuples and lists."""

K = TypeVar("K", bound=KernelInput)


class KernelSet(Collection["KernelValue"]):
    """An immutable set of kernel values, iterated in their total order.

    Equal to any set of the same values. It has no other operators of sets: combined with Python's
    sets, they would confuse `True` and `1` again.

    Raises:
        SerializationError: an item is not a kernel value.
        UsageError: `items` is not iterable.
    """

    __slots__ = ("_items",)
    _items: dict[str, KernelValue]

    def __init__(self, items: Iterable[KernelInput] = ()) -> None:
        require(items, "items", Iterable)
        self._items = _members(_wires(items))

    @classmethod
    def from_wires(cls, wires: list[Wire]) -> KernelSet:
        """Build a set from the items in a state's canonical text."""
        kernel_set = cls.__new__(cls)
        kernel_set._items = {_canonical_text(wire): from_wire(wire) for wire in wires}  # noqa: SLF001 - its own
        return kernel_set

    def __contains__(self, item: object) -> bool:
        return _text_or_none(item) in self._items

    def __iter__(self) -> Iterator[KernelValue]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (KernelSet, AbstractSet)):
            try:
                others = KernelSet(cast("Iterable[Any]", other))
            except SerializationError:
                return False
            return self._items.keys() == others._items.keys()
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self))  # an equal frozenset has the same

    def __repr__(self) -> str:
        return cut(f"KernelSet({list(self)})", LONGEST_REPR)


class _Items(ItemsView["KernelValue", "KernelValue"]):
    def __init__(self, whole: KernelMap, pairs: Iterable[tuple[KernelValue, KernelValue]]) -> None:
        super().__init__(whole)
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[KernelValue, KernelValue]]:
        return iter(self._pairs)


class KernelMap(Mapping["KernelValue", "KernelValue"]):
    """An immutable map from kernel values to kernel values, iterated in the order of the keys.

    Raises:
        SerializationError: a key or a value is not a kernel value.
        UsageError: `entries` is neither a mapping nor an iterable of pairs.
    """

    __slots__ = ("_pairs",)
    _pairs: dict[str, tuple[KernelValue, KernelValue]]

    def __init__(
        self,
        entries: Mapping[K, KernelInput] | Iterable[tuple[KernelInput, KernelInput]] = (),
    ) -> None:
        require(entries, "entries", Iterable)
        pairs: Iterable[object] = entries
        if isinstance(entries, Mapping):
            pairs = cast("Mapping[object, object]", entries).items()
        try:
            found = [(key, value) for key, value in cast("Iterable[tuple[object, object]]", pairs)]
        except (TypeError, ValueError):
            raise UsageError("an entry of a map must be a pair of key and value") from None
        keys, values = _wires(key for key, _ in found), _wires(value for _, value in found)
        self._pairs = _entries(zip(keys, values, strict=True))

    @classmethod
    def from_wires(cls, wires: list[list[Wire]]) -> KernelMap:
        """Build a map from the entries in a state's canonical text."""
        kernel_map = cls.__new__(cls)
        kernel_map._pairs = {  # noqa: SLF001 - its own
            _canonical_text(key): (from_wire(key), from_wire(value)) for key, value in wires
        }
        return kernel_map

    def __getitem__(self, key: KernelValue) -> KernelValue:
        text = _text_or_none(key)
        if text is None or text not in self._pairs:
            raise KeyError(key)
        return self._pairs[text][1]

    def __iter__(self) -> Iterator[KernelValue]:
        return (key for key, _ in self._pairs.values())

    def __len__(self) -> int:
        return len(self._pairs)

    def items(self) -> ItemsView[KernelValue, KernelValue]:
        """Return pairs of keys and values, without a lookup that writes the text of each key."""
        return _Items(self, self._pairs.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return _text_or_none(self) == _text_or_none(cast("object", other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_text_or_none(self))

    def __repr__(self) -> str:
        return cut(f"KernelMap({list(self._pairs.values())})", LONGEST_REPR)


def to_wire(value: object, depth: int) -> Wire:
    """Return the JSON form of a Python value."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if value is None:
        return {"type": "none"}
    if isinstance(value, bool):
        return {"type": "bool", "value": bool(value)}
    if isinstance(value, int):
        if not 0 <= value <= U64_MAX:
            raise ValueError("an integer of a kernel state is within 0 ... 2**64-1")
        return {"type": "u64", "value": int(value)}
    if isinstance(value, str):
        return {"type": "string", "value": str.__str__(value)}
    if isinstance(value, NamedVariant):
        return {"type": "named_variant", "enum_name": value.enum_name, "variant": value.variant}
    if isinstance(value, (tuple, list)):
        items = cast("list[object]", value)
        return {"type": "seq", "items": [to_wire(item, depth + 2) for item in items]}
    if isinstance(value, (KernelSet, AbstractSet)):
        members = cast("Collection[object]", value)
        return {"type": "set", "items": [to_wire(item, depth + 2) for item in members]}
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        entries = [[to_wire(key, depth + 3), to_wire(item, depth + 3)] for key, item in pairs]
        return {"type": "map", "entries": entries}
    raise ValueError(f"{type(value).__name__} is not a kernel value")


def from_wire(wire: Wire) -> KernelValue:
    """Return the Python form of a value of a canonical state."""
    kind = wire["type"]
    if kind == "none":
        return None
    if kind == "named_variant":
        return NamedVariant(wire["enum_name"], wire["variant"])
    if kind == "seq":
        return tuple(map(from_wire, wire["items"]))
    if kind == "set":
        return KernelSet.from_wires(wire["items"])
    if kind == "map":
        return KernelMap.from_wires(wire["entries"])
    return cast("KernelValue", wire["value"])


def _wires(values: Iterable[object]) -> list[Wire]:
    """Return the checked JSON forms of Python values."""
    try:
        wires = [to_wire(value, 3) for value in values]
        for wire in wires:
            _text(wire)
    except ValueError as error:
        raise SerializationError(f"not a kernel value: {error}") from None
    return wires


def _members(wires: list[Wire]) -> dict[str, KernelValue]:
    """Return the items of a set by their canonical text, in the total order."""
    walk = Walk()
    ordered = sorted(wires, key=lambda wire: order_key(wire, walk))
    return {_text(wire): from_wire(wire) for wire in ordered}


def _entries(wires: Iterable[Any]) -> dict[str, tuple[KernelValue, KernelValue]]:
    """Return the entries of a map by the canonical text of their keys, in the order of the keys."""
    walk = Walk()
    ordered = sorted(wires, key=lambda entry: order_key(entry[0], walk))
    return {_text(key): (from_wire(key), from_wire(value)) for key, value in ordered}


def _canonical_text(wire: Wire) -> str:
    """Return the canonical text of a value that was read from one.

    Nothing is sorted again: sets in sets would be sorted once more on every level.
    """
    return dumped(wire) if wire["type"] in {"seq", "set", "map"} else _text(wire)


dumped: Callable[[Any], str] = JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":")
).encode
"""Writes what was read from a canonical text as it was there."""


def _text(wire: Wire) -> str:
    return canonical_value(wire, 3, Walk())


def _text_or_none(value: object) -> str | None:
    """Return the canonical text of a Python value; None if it is not a kernel value."""
    try:
        return _text(to_wire(value, 3))
    except ValueError:
        return None
