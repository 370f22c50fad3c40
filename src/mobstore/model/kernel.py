"""Kernel states: the states of the machines that drive a run, its frames and its loops.

A store never looks into a state; it only compares it. A `KernelState` is therefore its canonical
JSON text (keys, set items and map entries in the total order of kernel values), equal when the
texts are equal, and decoded only when somebody asks for its fields.

Kernel values in Python:

    Bool  bool          NamedVariant  NamedVariant        Seq  tuple (or list)
    U64   int           None          None                Set  KernelSet (or set, frozenset)
    String  str                                           Map  KernelMap (or dict)

`True` and `1` are one member of a Python set but two kernel values, hence `KernelSet` and
`KernelMap`, which keep them apart.
"""

from __future__ import annotations

from collections.abc import (
    Collection,
    Generator,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    Set as AbstractSet,
)
from contextlib import contextmanager
from json import JSONEncoder, loads
from types import NoneType
from typing import Any, NamedTuple, TypeAlias, TypeVar, Union, cast

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from mobstore.errors import SerializationError
from mobstore.model.canonical import Walk, Wire, canonical_state, canonical_value, order_key
from mobstore.model.extent import MAX_DEPTH
from mobstore.model.json import U64_MAX, parse
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
    "list[KernelValue]",
    "KernelSet",
    "AbstractSet[KernelValue]",
    "Mapping[KernelValue, KernelValue]",
    None,
]
K = TypeVar("K", bound=KernelValue)


class KernelSet(Collection["KernelValue"]):
    """An immutable set of kernel values, iterated in their total order.

    Equal to any set of the same values. It has no further operators of sets: mixed with Python's
    sets, those would take `True` for `1` again.

    Raises:
        SerializationError: an item is not a kernel value.
    """

    __slots__ = ("_items",)
    _items: dict[str, KernelValue]

    def __init__(self, items: Iterable[KernelValue] = ()) -> None:
        self._items = _members(_wires(items))

    @classmethod
    def from_wires(cls, wires: list[Wire]) -> KernelSet:
        """Build one from items as they stand in a state's canonical text."""
        kernel_set = cls.__new__(cls)
        kernel_set._items = {_given(wire): _from_wire(wire) for wire in wires}  # noqa: SLF001 - its own
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
        return hash(frozenset(self))  # that of an equal frozenset

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
    """

    __slots__ = ("_pairs",)
    _pairs: dict[str, tuple[KernelValue, KernelValue]]

    def __init__(
        self,
        entries: Mapping[K, KernelValue] | Iterable[tuple[KernelValue, KernelValue]] = (),
    ) -> None:
        pairs = list(
            cast(
                "Iterable[tuple[object, object]]",
                entries.items() if isinstance(entries, Mapping) else entries,
            )
        )
        keys, values = _wires(key for key, _ in pairs), _wires(value for _, value in pairs)
        self._pairs = _entries(zip(keys, values, strict=True))

    @classmethod
    def from_wires(cls, wires: list[list[Wire]]) -> KernelMap:
        """Build one from entries as they stand in a state's canonical text."""
        kernel_map = cls.__new__(cls)
        kernel_map._pairs = {  # noqa: SLF001 - its own
            _given(key): (_from_wire(key), _from_wire(value)) for key, value in wires
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
        """Pairs of keys and values; no key is looked up, which would write the text of each."""
        return _Items(self, self._pairs.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return _text_or_none(self) == _text_or_none(cast("object", other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_text_or_none(self))

    def __repr__(self) -> str:
        return cut(f"KernelMap({list(self._pairs.values())})", LONGEST_REPR)


class KernelFields(Mapping[str, "KernelValue"]):
    """The fields of a state; read-only, as a change would have no effect on the state."""

    __slots__ = ("_values",)
    _values: dict[str, KernelValue]

    def __init__(self, values: dict[str, KernelValue]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> KernelValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return cut(repr(self._values), LONGEST_REPR)


class KernelState:
    """The state of one machine: a phase and named fields; immutable.

    Compares and hashes by canonical text, the equality that every compare-and-swap uses.
    """

    __slots__ = ("_text", "depth")
    _text: str
    depth: int
    """Levels of JSON nesting; 0 for a state that came out of a store, which checked it before."""

    def __init__(self, phase: str = "", fields: Mapping[str, KernelValue] | None = None) -> None:
        """Build a state from Python values, which are copied.

        Raises:
            SerializationError: a value has no kernel form (an integer outside 0 ... 2**64-1, bytes,
                a float), text holds lone surrogates, or the nesting exceeds 127 levels.
        """
        try:
            if not isinstance(fields, (Mapping, NoneType)):
                raise ValueError("the fields are a mapping")  # noqa: TRY004, TRY301
            wire = {name: _to_wire(value, 3) for name, value in (fields or {}).items()}
            self._text, self.depth = canonical_state({"phase": phase, "fields": wire})
        except ValueError as error:
            raise SerializationError(f"not a kernel state: {error}") from None

    @classmethod
    def from_json(cls, document: str | bytes) -> KernelState:
        """Read a state in any order of keys, items and entries.

        Raises:
            SerializationError: the document is not a kernel state.
        """
        return cls._from_wire(parse(document))

    @classmethod
    def from_canonical(cls, text: str) -> KernelState:
        """Take back what `to_json` gave; checked only when somebody looks inside.

        Raises:
            ValueError: it is not text.
        """
        if type(text) is not str:
            raise ValueError("a kernel state is text")
        state = cls.__new__(cls)
        state._text, state.depth = text, 0  # noqa: SLF001 - its own
        return state

    @classmethod
    def _from_wire(cls, wire: object) -> KernelState:
        state = cls.__new__(cls)
        try:
            state._text, state.depth = canonical_state(wire)  # noqa: SLF001 - its own
        except ValueError as error:
            raise SerializationError(f"not a kernel state: {error}") from None
        return state

    def to_json(self) -> str:
        """The canonical text: compact JSON, keys, set items and map entries in order."""
        return self._text

    @property
    def phase(self) -> str:
        """The machine's phase, such as `Running`."""
        with _decoding():
            return self._decoded()[0]

    @property
    def fields(self) -> Mapping[str, KernelValue]:
        """The machine's fields, decoded anew at each access; see the module's table for types.

        They cannot be changed; `KernelState(phase, {**state.fields, name: value})` makes another
        state.
        """
        with _decoding():
            fields = self._decoded()[1]
            return KernelFields({name: _from_wire(value) for name, value in fields.items()})

    def _decoded(self) -> tuple[str, dict[str, Wire]]:
        state = loads(self._text)
        phase, fields = state["phase"], state["fields"]
        if type(phase) is not str:
            raise TypeError("a phase is text")
        return phase, fields

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, KernelState) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        if len(self._text) > LONGEST_REPR:
            return f"KernelState.from_json({cut(self._text, LONGEST_REPR)!r})"
        return f"KernelState(phase={self.phase!r}, fields={dict(self.fields)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: object) -> KernelState:
            if isinstance(value, KernelState):
                return value
            try:
                return cls._from_wire(value)
            except SerializationError as error:
                raise ValueError(error.detail) from None

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda state: loads(state.to_json()), when_used="json"
            ),
        )


@contextmanager
def _decoding() -> Generator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SerializationError("the stored kernel state cannot be read") from None


def _to_wire(value: object, depth: int) -> Wire:
    """Give a Python value the form it has in JSON."""
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
        return {"type": "seq", "items": [_to_wire(item, depth + 2) for item in items]}
    if isinstance(value, (KernelSet, AbstractSet)):
        members = cast("Collection[object]", value)
        return {"type": "set", "items": [_to_wire(item, depth + 2) for item in members]}
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        entries = [[_to_wire(key, depth + 3), _to_wire(item, depth + 3)] for key, item in pairs]
        return {"type": "map", "entries": entries}
    raise ValueError(f"{type(value).__name__} is not a kernel value")


def _from_wire(wire: Wire) -> KernelValue:
    """Give a value of a canonical state its Python form."""
    kind = wire["type"]
    if kind == "none":
        return None
    if kind == "named_variant":
        return NamedVariant(wire["enum_name"], wire["variant"])
    if kind == "seq":
        return tuple(map(_from_wire, wire["items"]))
    if kind == "set":
        return KernelSet.from_wires(wire["items"])
    if kind == "map":
        return KernelMap.from_wires(wire["entries"])
    return cast("KernelValue", wire["value"])


def _wires(values: Iterable[object]) -> list[Wire]:
    """The checked JSON forms of Python values."""
    try:
        wires = [_to_wire(value, 3) for value in values]
        for wire in wires:
            _text(wire)
    except ValueError as error:
        raise SerializationError(f"not a kernel value: {error}") from None
    return wires


def _members(wires: list[Wire]) -> dict[str, KernelValue]:
    """The items of a set by their canonical text, in the total order."""
    walk = Walk()
    ordered = sorted(wires, key=lambda wire: order_key(wire, walk))
    return {_text(wire): _from_wire(wire) for wire in ordered}


def _entries(wires: Iterable[Any]) -> dict[str, tuple[KernelValue, KernelValue]]:
    """The entries of a map by the canonical text of their keys, in the order of the keys."""
    walk = Walk()
    ordered = sorted(wires, key=lambda entry: order_key(entry[0], walk))
    return {_text(key): (_from_wire(key), _from_wire(value)) for key, value in ordered}


def _given(wire: Wire) -> str:
    """The text of a value as it stands in canonical text, found without looking at all its parts.

    Sets in sets would be looked through once more on every level.
    """
    return _dumped(wire) if wire["type"] in {"seq", "set", "map"} else _text(wire)


_dumped = JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _text(wire: Wire) -> str:
    return canonical_value(wire, 3, Walk())


def _text_or_none(value: object) -> str | None:
    """The canonical text of a Python value; None if it is not a kernel value."""
    try:
        return _text(_to_wire(value, 3))
    except ValueError:
        return None
